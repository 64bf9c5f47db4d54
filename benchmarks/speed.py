"""What carrying, learning and mixing motions cost: `python benchmarks/speed.py`, on an idle machine.

Figures are ratios within one run: what is compared runs in turns, repeat by repeat, so that a machine that is
slower for a while is so for both. The median is told with its quartiles.
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import finish, markdown, save
from tqdm import tqdm

from motion_studio.backbones.base import Backbone, Checkpointing
from motion_studio.backbones.checkpointing import checkpointed, kept_for_backward
from motion_studio.backbones.lean import lean
from motion_studio.backbones.registry import load
from motion_studio.motion.arithmetic import blend, cross_fade, then
from motion_studio.motion.embedding import Motion
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio.events import Event, LossPoint
from motion_studio.studio.generate import generate, played
from motion_studio.studio.invert import invert
from motion_studio.studio.motion_file import write_motion
from motion_studio.toybox.data import PICTURE
from motion_studio.toybox.sample import HELD_OUT, sample_scene
from motion_studio.toybox.world import render
from motion_studio.video.clip import Clip, fit

MIXED = (1, 2, 4, 8)
FRAMES = (8, 16, 32, 64)
SIDES = (64, 128, 192, 256)
PROMPT = "a red star on blue dots"
Run = Callable[[], Any]


class Bench:
    """A base, how often everything is repeated, and the rows so far."""

    def __init__(self, backbone: Backbone, repeats: int, steps: int) -> None:
        self.backbone, self.repeats, self.steps = backbone, repeats, steps
        self.clip = render(sample_scene(HELD_OUT, move="free"), PICTURE)
        self.motions = [self.learnt(seed) for seed in range(max(MIXED))]
        self.rows: list[dict[str, Any]] = []

    def learnt(self, seed: int) -> Motion:
        """Return a motion after a single step: what it holds costs as much as what it would hold later."""
        settings = InversionSettings(steps=1, seed=seed, preview_every=0)
        return finish(invert(self.backbone, self.clip, settings))

    def compare(self, question: str, runs: dict[str, Run], **facts: dict[str, Any]) -> None:
        """Time the runs in turns, in a new order each time; a row for each, against the first."""
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        order = list(runs)
        for run in runs.values():
            run()
        for _ in tqdm(range(self.repeats), desc=question):
            random.shuffle(order)
            for name in order:
                began = time.perf_counter()
                runs[name]()
                seconds[name].append(time.perf_counter() - began)
        first = np.array(seconds[next(iter(runs))])
        for name, times in seconds.items():
            low, median, high = np.quantile(np.array(times) / first, (0.25, 0.5, 0.75))
            row = {"question": question, "case": name, "seconds": times}
            row |= {"ratio": median, "ratio_low": low, "ratio_high": high}
            self.rows.append(row | {fact: values[name] for fact, values in facts.items()})

    def sized(self, **size: int) -> Backbone:
        """Return the same base at another number of frames or picture size."""
        return type(self.backbone)(replace(self.backbone.spec, **size), self.backbone.pipe)


def steps_of(backbone: Backbone, clip: Clip, count: int, **changes: str) -> Run:
    """Return what takes one more learning step of an inversion each time it is called."""
    settings = InversionSettings(**{"steps": count, "preview_every": 0, "checkpointing": "off", **changes})
    clip = fit(clip, backbone.frames, backbone.height, backbone.width, fps=backbone.fps)
    events: Iterator[Event] = invert(backbone, clip, settings)
    return lambda: next(event for event in events if isinstance(event, LossPoint))


def forward(backbone: Backbone, batch: int, motion: Motion | None = None) -> Run:
    """Return what predicts once for a batch, bare or carrying a motion."""
    shape = (batch, backbone.latent_channels, backbone.frames, *backbone.latent_size)
    latents, text = torch.zeros(shape), backbone.encode_text([PROMPT] * batch)
    ready = played(backbone, GenerationSettings(prompt=PROMPT), motion) if motion else None

    @torch.no_grad()
    def run() -> None:
        with backbone.playing(ready):
            backbone.predict(latents, 500, text)

    return run


def carrying(bench: Bench) -> None:
    """Compare making a clip with a motion with making it without, and with diffusers' own pipeline."""
    backbone, steps = bench.backbone, bench.steps
    settings = backbone.spec.generation(PROMPT, steps=steps)
    pipe = backbone.pipe
    pipe.set_progress_bar_config(disable=True)
    size = {"num_frames": backbone.frames, "height": backbone.height, "width": backbone.width}

    def theirs() -> None:
        pipe(PROMPT, num_inference_steps=steps, guidance_scale=settings.guidance, output_type="pt", **size)

    runs = {
        "diffusers' pipeline": theirs,
        "without a motion": lambda: finish(generate(backbone, settings)),
        "with a motion": lambda: finish(generate(backbone, settings, bench.motions[0])),
    }
    bench.compare("making a clip", runs)


def learning(bench: Bench) -> None:
    """Compare a learning step with a bare forward, late sites with all, and ways to keep less."""
    backbone, count = bench.backbone, bench.repeats + 1
    step = partial(steps_of, backbone, bench.clip, count)
    bench.compare("learning", {"a bare forward": forward(backbone, 2), "a learning step": step()})
    bench.compare("sites that learn", {name: step(sites=name) for name in ("all", "late")})

    shape = (2, backbone.latent_channels, backbone.frames, *backbone.latent_size)
    latents, text = torch.zeros(shape, requires_grad=True), backbone.encode_text([PROMPT] * 2)

    def predicted() -> torch.Tensor:
        return backbone.predict(latents, 500, text)

    def both_ways(around: AbstractContextManager[None]) -> None:
        with around:
            predicted().mean().backward()

    def kept_mb(around: AbstractContextManager[None], what: Checkpointing = "off") -> float:
        with around, checkpointed(backbone.denoiser, what):
            return kept_for_backward(backbone.denoiser, predicted) / 2**20

    frozen = lean(backbone.denoiser)
    ways = {"as they come": nullcontext(), "lean": frozen}
    runs = {name: partial(both_ways, way) for name, way in ways.items()}
    bench.compare("frozen layers", runs, kept_mb={name: kept_mb(way) for name, way in ways.items()})
    kept = {name: kept_mb(frozen, name) for name in ("off", "part", "on")}
    bench.compare("checkpointing", {name: step(checkpointing=name) for name in kept}, kept_mb=kept)


def growth(bench: Bench, frames: tuple[int, ...], sides: tuple[int, ...]) -> None:
    """Compare numbers of frames, picture sizes and numbers of mixed motions."""
    for question, sizes, named in (
        ("frames", frames, lambda number: {"frames": number}),
        ("pixels a side", sides, lambda side: {"height": side, "width": side}),
    ):
        bases = {str(size): bench.sized(**named(size)) for size in sizes}
        makes = {name: forward(base, 2, bench.motions[0]) for name, base in bases.items()}
        bench.compare(f"{question}, a forward with a motion", makes)
        learns = {name: steps_of(base, bench.clip, bench.repeats + 1) for name, base in bases.items()}
        bench.compare(f"{question}, a learning step", learns)
    mixes = {number: [(motion, 1 / number) for motion in bench.motions[:number]] for number in MIXED}
    blends = {str(number): partial(blend, terms) for number, terms in mixes.items()}
    bench.compare("motions mixed, mixing", blends)
    mixed = {name: mix() for name, mix in blends.items()}
    runs = {"bare": forward(bench.backbone, 2)}
    runs |= {name: forward(bench.backbone, 2, motion) for name, motion in mixed.items()}
    sizes = {"bare": 0.0} | {name: file_kb(motion) for name, motion in mixed.items()}
    bench.compare("motions mixed, a forward", runs, file_kb=sizes)


def joined(bench: Bench) -> None:
    """Compare one motion after another, which different frames hear, with one alone."""
    a, b, frames = bench.motions[0], bench.motions[1], bench.backbone.frames
    parts = {
        "one motion": a,
        "cut": then(a, b, frames // 2),
        "faded over 2 frames": then(a, b, frames // 2, 2),
        "over 4": then(a, b, frames // 2, 4),
        "over all": cross_fade(a, b, 0, frames),
    }
    runs = {name: forward(bench.backbone, 2, motion) for name, motion in parts.items()}
    sizes = {name: file_kb(motion) for name, motion in parts.items()}
    bench.compare("A then B, a forward", runs, file_kb=sizes)


def file_kb(motion: Motion) -> float:
    """Return the size of a motion's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motion.safetensors"
        write_motion(path, motion)
        return path.stat().st_size / 1024


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows in Markdown."""
    lines = []
    for row in rows:
        ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        facts = {"kept_mb": "{:.1f} MB kept", "file_kb": "{:.0f} KB on disk"}
        told = ", ".join(words.format(row[fact]) for fact, words in facts.items() if row.get(fact))
        seconds = f"{1000 * np.median(row['seconds']):.1f}"
        lines.append([row["question"], row["case"], ratio, seconds, told])
    return markdown(["", "case", "ratio to the first (quartiles)", "median ms", ""], lines)


def main() -> None:
    """Run the benchmark as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="toybox")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="denoising steps of a clip")
    parser.add_argument("--quick", action="store_true", help="two repeats at small sizes: does it run?")
    parser.add_argument("--out", type=Path, default=Path("out/speed"))
    args = parser.parse_args()
    repeats, steps = (2, 2) if args.quick else (args.repeats, args.steps)
    random.seed(0)
    bench = Bench(load(args.base), repeats, steps)
    carrying(bench)
    learning(bench)
    joined(bench)
    growth(bench, *((FRAMES[:2], SIDES[:2]) if args.quick else (FRAMES, SIDES)))
    results = {
        "base": args.base,
        "repeats": repeats,
        "steps": steps,
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "rows": bench.rows,
    }
    save(args.out, "speed", results, table(bench.rows), [], [])


if __name__ == "__main__":
    main()
