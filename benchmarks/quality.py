"""How well motions come over, and how little of the looks: `python benchmarks/quality.py`.

Held-out clips whose motion has no name are learnt under each preset and played on prompts that ask for
another colour, shape and ground; beside them four controls on the same prompts and seeds, and what the same
judge reads from an exact rendering of what was asked for: the best that any figure could be.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from common import KINDS, exact, finish, held_out, markdown, other_looks, save, summary, through_a_file
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import load
from motion_studio.motion.embedding import Motion
from motion_studio.motion.operations_time import Reverse
from motion_studio.settings import FIGURES, GenerationSettings, preset
from motion_studio.studio.generate import generate, played
from motion_studio.studio.invert import invert
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.toybox.judge import judge
from motion_studio.toybox.sample import caption
from motion_studio.toybox.world import render
from motion_studio.video.clip import Clip

PLAYED = {"unguided, to the end": {"guide_until": 0.0, "play_until": 1.0}}
"""Another way to play the first preset's motions: to the end, guidance leading to the prompt alone."""
CONTROLS = ("no motion", "the camera's curve alone", "another clip's", "reversed")
EXACT = "exact rendering"
HEADER = ["", "object path", "worst tenth", "camera", "size object", "size camera", "colour", "shape"]
HEADER += ["colour leak", "shape leak", "layout", "learning s", "making s"]


class Run:
    """One base model, its scenes, and everything measured so far."""

    def __init__(self, backbone: Backbone, pairs: int, motions: Path) -> None:
        self.backbone = backbone
        self.motions = motions
        each = [held_out(kind, pairs // 3) for kind in KINDS]
        self.sources = [scene for group in each for scene in group]
        self.asked = [other_looks(scene, number) for number, scene in enumerate(self.sources)]
        self.rows: list[dict] = []
        self.clips, self.labels = [], []

    def learn(self, name: str, number: int) -> tuple[Motion, float]:
        """Return a pair's motion under a preset, kept or learnt now, and the seconds that learning took."""
        scene, settings = self.sources[number], preset(name)
        kind, index = divmod(number, len(self.sources) // len(KINDS))
        file = self.motions / f"{name}-{list(KINDS)[kind]}-{index}.safetensors"
        if file.exists():
            motion = read_motion(file)
            info = motion.info
            same = info.settings == settings.to_json() and info.base_hash == self.backbone.weights_hash
            if same and info.prompt == caption(scene, motion=False):
                return motion, info.report["learning_s"]
        clip = through_a_file(scene)
        began = time.perf_counter()
        motion = finish(invert(self.backbone, clip, settings, caption(scene, motion=False)))
        seconds = time.perf_counter() - began
        motion = motion.replace_info(report=motion.info.report | {"learning_s": seconds})
        return write_motion(file, motion), seconds

    def play(
        self,
        condition: str,
        number: int,
        motion: Motion | None,
        learning: float = float("nan"),
        **changes: float,
    ) -> None:
        """Make the clip asked for with a motion, judge it and keep the figures; `changes` are of settings."""
        asked = caption(self.asked[number], motion=False)
        settings = self.backbone.spec.generation(asked, seed=number, **changes)
        began = time.perf_counter()
        made = finish(generate(self.backbone, settings, motion))
        self.keep(condition, number, made, learning, time.perf_counter() - began)

    def keep(
        self,
        condition: str,
        number: int,
        made: Clip,
        learning: float = float("nan"),
        making: float = float("nan"),
    ) -> None:
        """Judge a clip made for a pair and keep the figures."""
        source, asked = self.sources[number], self.asked[number]
        row = {"condition": condition, "pair": number, "prompt": caption(asked, motion=False)}
        times = {"learning": learning, "making": making}
        self.rows.append(row | asdict(judge(source, asked, made)) | times)
        if number % max(1, len(self.sources) // 6) == 0:
            self.clips.append(made)
            self.labels.append(f"{number} {condition}")


def table(rows: list[dict]) -> str:
    """Return the medians and shares of every condition."""
    lines = []
    for condition in dict.fromkeys(row["condition"] for row in rows):
        mine = [row for row in rows if row["condition"] == condition]

        def of(key: str, quantile: float = 0.5, mine: list[dict] = mine) -> str:
            return f"{summary([float(row[key]) for row in mine], quantile):.2f}"

        shares = [
            f"{np.mean([row[key] for row in mine]):.0%}"
            for key in ("colour", "shape", "colour_leak", "shape_leak")
        ]
        figures = [of("path"), of("path", 0.1), of("camera"), of("path_size"), of("camera_size"), *shares]
        seconds = [f"{summary([row[key] for row in mine]):.1f}" for key in ("learning", "making")]
        lines.append([condition, *figures, of("layout"), *seconds])
    return markdown(HEADER, lines)


def published(rows: list[dict], presets: list[str]) -> dict[str, dict[str, float]]:
    """Return what the studio shows beside each preset."""

    def median(condition: str, key: str) -> float:
        return summary([float(row[key]) for row in rows if row["condition"] == condition])

    return {
        name: {
            "path": round(median(name, "path"), 3),
            "camera": round(median(name, "camera"), 3),
            "layout": round(median(name, "layout") - median("no motion", "layout"), 3),
            "seconds": round(median(name, "learning"), 1),
        }
        for name in presets
    }


def overhead(backbone: Backbone, motion: Motion) -> dict[str, float]:
    """Measure carrying a motion against the bare model, in turns, and the cost of swapping one in."""
    noise, text = (
        torch.randn(2, backbone.latent_channels, backbone.frames, *backbone.latent_size),
        backbone.encode_text(["", "a"]),
    )
    settings = GenerationSettings(prompt="a")
    ratios, swaps = [], []
    with torch.no_grad():
        for _ in range(12):
            began = time.perf_counter()
            ready = played(backbone, settings, motion)
            with backbone.playing(ready):
                attached = time.perf_counter()
                backbone.predict(noise, 500, text)
                carrying = time.perf_counter() - attached
            swaps.append(attached - began)
            with backbone.playing(None):
                began = time.perf_counter()
                backbone.predict(noise, 500, text)
                ratios.append(carrying / (time.perf_counter() - began))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "motion.safetensors"
        write_motion(file, motion)
        size = file.stat().st_size
    return {
        "carrying_ratio": float(np.median(ratios)),
        "swap_ms": float(np.median(swaps)) * 1000,
        "file_kb": size / 1024,
    }


def main() -> None:
    """Run the benchmark as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pairs", type=int, default=24, help="clips, a third each of object, camera and both"
    )
    parser.add_argument("--presets", nargs="+", default=["quick", "faithful", "pure"])
    parser.add_argument("--base", default="toybox")
    parser.add_argument("--publish", action="store_true", help=f"write {FIGURES.name} for the studio to show")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    parser.add_argument("--motions", type=Path, help="keep motions here, and take what is here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Run(load(args.base), args.pairs, args.motions or Path(folder)))


def measure(args: argparse.Namespace, run: Run) -> None:
    """Learn, play, judge; save the figures and publish them if asked for."""
    for number, scene in enumerate(run.sources[:: max(1, args.pairs // 6)]):
        run.clips.append(render(scene))
        run.labels.append(f"source {number}")
    motions: dict[str, list[Motion]] = {}
    for name in args.presets:
        motions[name] = []
        for number in tqdm(range(len(run.sources)), desc=name):
            motion, seconds = run.learn(name, number)
            motions[name].append(motion)
            run.play(name, number, motion, seconds)
        print(table(run.rows), flush=True)
    first = motions["faithful" if "faithful" in motions else args.presets[0]]
    for number in tqdm(range(len(run.sources)), desc="controls"):
        run.keep(EXACT, number, render(exact(run.sources[number], run.asked[number])))
        for condition, changes in PLAYED.items():
            run.play(condition, number, first[number], **changes)
        mine, other = first[number], first[(number + 1) % len(first)]
        controls = (None, mine.map(torch.zeros_like), other, Reverse().apply(mine))
        for condition, motion in zip(CONTROLS, controls, strict=True):
            run.play(condition, number, motion)
    cost = overhead(run.backbone, first[0])
    results = {"base": args.base, "weights": run.backbone.weights_hash, "overhead": cost, "rows": run.rows}
    text = table(run.rows) + "\n\n" + ", ".join(f"{key} {value:.3f}" for key, value in cost.items())
    save(args.out, "quality", results, text, run.clips, run.labels)
    if args.publish:
        shown = {"base": args.base, "weights": run.backbone.weights_hash, "pairs": len(run.sources)}
        shown["presets"] = published(run.rows, args.presets)
        FIGURES.write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
