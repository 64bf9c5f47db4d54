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
from common import (
    CHOSEN_ON,
    KINDS,
    exact,
    finish,
    held_out,
    markdown,
    other_looks,
    save,
    summary,
    through_a_file,
)
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import load
from motion_studio.motion.embedding import Motion
from motion_studio.motion.operations_time import Reverse
from motion_studio.settings import FIGURES, preset
from motion_studio.studio.along import shared_object
from motion_studio.studio.generate import generate, played
from motion_studio.studio.invert import invert
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.toybox.data import PICTURE
from motion_studio.toybox.judge import judge
from motion_studio.toybox.sample import caption
from motion_studio.toybox.world import render
from motion_studio.video.clip import Clip

PLAYED = {"unguided, to the end": {"guide_until": 0.0, "play_until": 1.0}}
"""Another way to play the first preset's motions: to the end, guidance leading to the prompt alone."""
PARTS = {"its object alone": {"motion_type": "object"}, "its camera alone": {"motion_type": "camera"}}
"""A part of the first preset's motions, of clips that move both: the other part is to be small."""
CONTROLS = ("no motion", "the curves alone", "another clip's", "reversed")
EXACT = "exact rendering"
HEADER = ["", "object path", "worst tenth", "camera", "worst tenth", "size object", "size camera"]
HEADER += ["colour", "shape", "colour leak", "shape leak", "layout", "flicker", "learning s", "making s"]
SIZES = (0.8, 1.2)
"""The aim for the size of a motion over the truth's."""
TURN = 4
"""Predictions in a turn of `overhead`."""


class Run:
    """One base model, its scenes, and everything measured so far."""

    def __init__(self, backbone: Backbone, pairs: int, motions: Path, skip: int) -> None:
        self.backbone = backbone
        self.motions = motions
        self.skip = skip
        each = [held_out(kind, pairs // 3, skip) for kind in KINDS]
        self.sources = [scene for group in each for scene in group]
        self.asked = [other_looks(scene, skip + number) for number, scene in enumerate(self.sources)]
        self.every = max(1, len(self.sources) // 6)  # so many pairs are one on the contact sheet
        self.rows: list[dict] = []
        self.clips, self.labels = [], []

    def kind(self, number: int) -> tuple[str, int]:
        """Return the kind of a pair's motion and the pair's index among the held-out scenes of it."""
        kind, index = divmod(number, len(self.sources) // len(KINDS))
        return list(KINDS)[kind], self.skip + index

    def learn(self, name: str, number: int) -> tuple[Motion, float]:
        """Return a pair's motion under a preset, kept or learnt now, and the seconds that learning took."""
        scene, settings = self.sources[number], preset(name)
        kind, index = self.kind(number)
        file = self.motions / f"{name}-{kind}-{index}.safetensors"
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
        row = {"condition": condition, "pair": number, "kind": self.kind(number)[0]}
        row["prompt"] = caption(asked, motion=False)
        times = {"learning": learning, "making": making}
        self.rows.append(row | asdict(judge(source, asked, made)) | times)
        if number % self.every == 0:
            self.clips.append(made)
            self.labels.append(f"{number} {condition}")


def column(rows: list[dict], key: str, quantile: float = 0.5) -> str:
    """Return a quantile of one figure, as text; a dash where no row has it."""
    value = summary([float(row[key]) for row in rows], quantile)
    return "–" if np.isnan(value) else f"{value:.3f}" if key == "flicker" else f"{value:.2f}"


def table(rows: list[dict]) -> str:
    """Return the medians and shares of every condition that was played on all clips."""
    lines = []
    for condition in dict.fromkeys(row["condition"] for row in rows if row["condition"] not in PARTS):
        mine = [row for row in rows if row["condition"] == condition]
        shares = [
            f"{np.mean([row[key] for row in mine]):.0%}"
            for key in ("colour", "shape", "colour_leak", "shape_leak")
        ]
        figures = [("path", 0.5), ("path", 0.1), ("camera", 0.5), ("camera", 0.1)]
        figures += [("path_size", 0.5), ("camera_size", 0.5)]
        values = [column(mine, key, quantile) for key, quantile in figures]
        rest = [column(mine, key) for key in ("layout", "flicker", "learning", "making")]
        lines.append([condition, *values, *shares, *rest])
    return markdown(HEADER, lines)


def by_kind(rows: list[dict], presets: list[str]) -> str:
    """Return each preset's figures by the kind of its clips, and in how many the size is as it should be."""
    lines = []
    for name in (*presets, *PARTS):
        for kind in KINDS:
            mine = [row for row in rows if row["condition"] == name and row["kind"] == kind]
            if not mine:
                continue
            values = [column(mine, key, q) for key in ("path", "camera") for q in (0.5, 0.1)]
            for key in ("path_size", "camera_size"):
                known = [row[key] for row in mine if not np.isnan(row[key])]
                fits = sum(SIZES[0] <= value <= SIZES[1] for value in known)
                values += [column(mine, key), f"{fits} of {len(known)}" if known else "–"]
            lines.append([name, kind, *values])
    low, high = SIZES
    header = ["", "clips of", *HEADER[1:6], f"{low} to {high}", "size camera", f"{low} to {high}"]
    return markdown(header, lines)


def by_pose(rows: list[dict], presets: list[str]) -> str:
    """Return how objects grow and turn that do so in their clips, under each preset and control."""
    lines = []
    for name in (*presets, EXACT, *CONTROLS):
        mine, line = [row for row in rows if row["condition"] == name], [name]
        for key in ("growth", "turn"):
            known = [row for row in mine if not np.isnan(row[key])]
            line += [str(len(known)), column(known, key), column(known, f"{key}_size")]
        lines.append(line)
    return markdown(["", "clips", "growth", "size", "clips", "turn", "size"], lines)


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
    """Measure carrying a motion against the bare model, in turns, and the cost of swapping one in.

    A clip swaps once and predicts at each step, so each turn is several predictions, the first one with it.
    """
    noise, text = (
        torch.randn(2, backbone.latent_channels, backbone.frames, *backbone.latent_size),
        backbone.encode_text(["", "a"]),
    )
    settings = backbone.spec.generation("a")
    held = shared_object((1, *noise.shape[1:]), settings, motion, motion.path())
    ratios, swaps = [], []
    with torch.no_grad():
        for _ in range(12):
            began = time.perf_counter()
            ready = played(backbone, settings, motion, held)
            with backbone.playing(ready):
                attached = time.perf_counter()
                for _ in range(TURN):
                    backbone.predict(noise, 500, text)
                carrying = time.perf_counter() - attached
            swaps.append(attached - began)
            with backbone.playing(None):
                began = time.perf_counter()
                for _ in range(TURN):
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
    parser.add_argument("--skip", type=int, default=CHOSEN_ON, help="clips of each kind; 0: those chosen on")
    parser.add_argument("--presets", nargs="+", default=["quick", "faithful", "pure"])
    parser.add_argument("--base", default="toybox")
    parser.add_argument("--publish", action="store_true", help=f"write {FIGURES.name} for the studio to show")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    parser.add_argument("--motions", type=Path, help="keep motions here, and take what is here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Run(load(args.base), args.pairs, args.motions or Path(folder), args.skip))


def measure(args: argparse.Namespace, run: Run) -> None:
    """Learn, play, judge; save the figures and publish them if asked for."""
    for number in range(0, len(run.sources), run.every):
        run.clips.append(render(run.sources[number], PICTURE))
        run.labels.append(f"{number} source")
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
        run.keep(EXACT, number, render(exact(run.sources[number], run.asked[number]), PICTURE))
        for condition, changes in (PLAYED | (PARTS if run.kind(number)[0] == "both" else {})).items():
            run.play(condition, number, first[number], **changes)
        mine, other = first[number], first[(number + 1) % len(first)]
        controls = (None, mine.map(torch.zeros_like), other, Reverse().apply(mine))
        for condition, motion in zip(CONTROLS, controls, strict=True):
            run.play(condition, number, motion)
    cost = overhead(run.backbone, first[0])
    weights = run.backbone.weights_hash
    results = {"base": args.base, "weights": weights, "skip": args.skip, "overhead": cost, "rows": run.rows}
    costs = ", ".join(f"{key} {value:.3f}" for key, value in cost.items())
    text = "\n\n".join(
        [table(run.rows), by_kind(run.rows, args.presets), by_pose(run.rows, args.presets), costs]
    )
    order = sorted(range(len(run.labels)), key=lambda k: int(run.labels[k].split()[0]))  # a pair's together
    clips, labels = ([kept[k] for k in order] for kept in (run.clips, run.labels))
    save(args.out, "quality", results, text, clips, labels)
    if args.publish:
        shown = {"base": args.base, "weights": weights, "pairs": len(run.sources)}
        shown["presets"] = published(run.rows, args.presets)
        FIGURES.write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
