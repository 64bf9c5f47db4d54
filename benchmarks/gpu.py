"""What base models of full size cost on a CUDA GPU: `python benchmarks/gpu.py`, ten minutes, no download.

The weights are random, there is no text encoder and no autoencoder, texts and latents are random: times are
of the denoiser alone. Steps are measured, and whole inversions and clips extrapolated from them; --steps 300
runs whole inversions.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import markdown, summary
from torch.nn.functional import interpolate

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.checkpointing import blocks
from motion_studio.backbones.memory import store_as_float8, weight_bytes
from motion_studio.backbones.random_weights import random_base
from motion_studio.errors import OutOfMemory
from motion_studio.motion.embedding import Motion
from motion_studio.settings import InversionSettings
from motion_studio.studio.events import Done, Event, LossPoint, Progress
from motion_studio.studio.generate import generate
from motion_studio.studio.invert import invert
from motion_studio.studio.memory import release, within_memory
from motion_studio.video.clip import Clip

GB = 2**30
WHOLE = 300
"""Steps of a whole inversion, as in the paper."""
BASES = {"animatediff": torch.float16, "zeroscope": torch.float16, "wan": torch.bfloat16}
"""The bases, at their own sizes, and the type that each computes in."""


def compiled(backbone: Backbone, backend: str = "inductor") -> None:
    """Have torch.compile take up the denoiser's blocks, each by itself and for each of its sizes."""
    # Every site carries a motion of its own, which is a case of its own to the compiler.
    torch._dynamo.config.recompile_limit = 256
    for block in blocks(backbone.denoiser):
        # Inductor fails at a temporal transformer whose places and channels are both left open.
        block.compile(dynamic=False, backend=backend)


LATE, CHECKPOINTED, PARTLY = {"sites": "late"}, {"checkpointing": "on"}, {"checkpointing": "part"}
LEVERS: dict[str, tuple[dict[str, str], list[Callable[[Backbone], None]]]] = {
    "none": ({}, []),
    "checkpointing": (CHECKPOINTED, []),
    "checkpointing in part": (PARTLY, []),
    "late sites": (LATE, []),
    "late sites, checkpointing in part": (LATE | PARTLY, []),
    "late sites, checkpointing": (LATE | CHECKPOINTED, []),
    "float8": ({}, [store_as_float8]),
    "float8, checkpointing": (CHECKPOINTED, [store_as_float8]),
    "torch.compile": ({}, [compiled]),
}
"""What is changed in the settings of learning, and what is done to the base first."""


@dataclass
class Row:
    """Figures of one base under one lever; times are medians in seconds, peaks in GB."""

    base: str
    lever: str
    weights_gb: float
    error: str = ""
    learning_steps: int = 0
    learning_s: float = float("nan")
    learning_spread_s: float = float("nan")
    learning_peak_gb: float = float("nan")
    making_steps: int = 0
    bare_s: float = float("nan")
    carrying_s: float = float("nan")
    making_peak_gb: float = float("nan")


def moving(backbone: Backbone) -> Clip:
    """Return a clip of the base's size whose soft random pattern moves to the right."""
    size = (backbone.height, backbone.width)
    seed = torch.Generator().manual_seed(0)
    pattern = interpolate(torch.rand(1, 3, 8, 8, generator=seed), size, mode="bilinear")[0]
    frames = [pattern.roll(2 * number, -1) for number in range(backbone.frames)]
    return Clip(torch.stack(frames), backbone.fps)


def timed(backbone: Backbone, events: Iterator[Event], kind: type) -> Iterator[tuple[Event, float]]:
    """Yield each event of a kind and Done, with the seconds since the one before of that kind."""
    before = time.perf_counter()
    for event in events:
        if not isinstance(event, kind | Done):
            continue
        if backbone.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        yield event, now - before
        before = now


def learn(
    backbone: Backbone, settings: InversionSettings, deadline: float = float("inf")
) -> tuple[list[float], Motion]:
    """Return the seconds of each learning step but the first, which warms up, and what was learnt.

    After `deadline`, by the clock of time.perf_counter, it stops as soon as one step is measured.
    """
    times: list[float] = []
    stop = threading.Event()
    for event, seconds in timed(backbone, invert(backbone, moving(backbone), settings, stop=stop), LossPoint):
        if isinstance(event, Done):
            return times, event.result
        if event.step > 1:
            times.append(seconds)
            if time.perf_counter() > deadline:
                stop.set()
    raise AssertionError("unreachable: an inversion ends with Done")


def make(backbone: Backbone, steps: int, motion: Motion | None) -> list[float]:
    """Return the seconds of each denoising step but the first, guidance included."""
    settings = backbone.spec.generation("a", steps=steps)
    found = timed(backbone, generate(backbone, settings, motion), Progress)
    return [seconds for event, seconds in found if isinstance(event, Progress) and event.step > 1]


def measure(backbone: Backbone, lever: str, learning_steps: int, making_steps: int, seconds: float) -> Row:
    """Fill a row; learning takes about `seconds` at most. A lack of memory is told in the row."""
    changes, preparations = LEVERS[lever]
    for prepare in preparations:
        prepare(backbone)
    row = Row(backbone.name, lever, weight_bytes(backbone.denoiser) / GB)
    settings = InversionSettings(
        steps=learning_steps + 1,
        noise_levels=1,
        preview_every=0,
        **{"checkpointing": "off", **changes},
    )
    motion = None
    try:
        with within_memory():
            started(backbone)
            times, motion = learn(backbone, settings, time.perf_counter() + seconds)
            row.learning_steps, row.learning_s = len(times), summary(times)
            row.learning_spread_s = summary(times, 0.75) - summary(times, 0.25)
            row.learning_peak_gb = peak(backbone)
    except OutOfMemory:
        row.error = "learning: out of memory"
    try:
        with within_memory():
            started(backbone)
            row.bare_s = summary(bare := make(backbone, making_steps + 1, None))
            row.making_steps = len(bare)
            row.making_peak_gb = peak(backbone)
            if motion is not None:
                row.carrying_s = summary(make(backbone, making_steps + 1, motion))
    except OutOfMemory:
        row.error = f"{row.error}; making: out of memory".strip("; ")
    return row


def started(backbone: Backbone) -> None:
    """Free what nobody needs and count the memory anew."""
    release()
    if backbone.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backbone.device)


def peak(backbone: Backbone) -> float:
    """Return the most GB that were in use since `started`; nan off CUDA, where it isn't counted."""
    if backbone.device.type != "cuda":
        return float("nan")
    return torch.cuda.max_memory_allocated(backbone.device) / GB


def table(rows: list[Row], spec_steps: dict[str, int]) -> str:
    """Return the figures in Markdown; whole inversions and clips are extrapolated where they weren't run."""
    header = ["base", "lever", "weights GB", "learning step s", f"{WHOLE} steps s", "learning peak GB"]
    header += ["clip s", "clip with a motion s", "making peak GB", "note"]
    lines = []
    for row in rows:
        steps = spec_steps[row.base]
        notes = [row.error] if row.error else []
        if 0 < row.learning_steps < WHOLE - 1:
            notes.append(f"inversion extrapolated from {row.learning_steps} steps")
        if 0 < row.making_steps < steps - 1:
            notes.append(f"clips of {steps} steps from {row.making_steps}")
        figures = [
            f"{row.weights_gb:.2f}",
            f"{row.learning_s:.3f} ± {row.learning_spread_s:.3f}",
            f"{WHOLE * row.learning_s:.0f}",
            f"{row.learning_peak_gb:.1f}",
            f"{steps * row.bare_s:.1f}",
            f"{steps * row.carrying_s:.1f}",
            f"{row.making_peak_gb:.1f}",
        ]
        lines.append([row.base, row.lever, *figures, "; ".join(notes)])
    return markdown(header, lines)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", nargs="+", choices=list(BASES), default=list(BASES))
    parser.add_argument("--levers", nargs="+", choices=list(LEVERS), default=list(LEVERS))
    parser.add_argument("--steps", type=int, default=5, help=f"learning steps to measure; {WHOLE} for all")
    parser.add_argument("--making-steps", type=int, default=4, help="denoising steps to measure")
    parser.add_argument("--minutes", type=float, default=9, help="no further row is begun after that long")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measure row by row, every file written anew after each; return the exit status, 2 without CUDA."""
    args = parsed(argv)
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py measures on a CUDA GPU, and torch finds none here.", file=sys.stderr)
        return 2
    began, rows, spec_steps = time.perf_counter(), [], {}
    cases = [(lever, base) for lever in args.levers for base in args.bases]
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (lever, base) in enumerate(cases):
        left = 60 * args.minutes - (time.perf_counter() - began)
        if left <= 0:
            print("not measured for want of time: " + ", ".join(f"{b} {way}" for way, b in cases[number:]))
            break
        backbone = random_base(base, "cuda", BASES[base])
        spec_steps[base] = backbone.spec.steps
        # A half of a row's fair share for learning; the first step, which warms up, is beyond it.
        rows.append(measure(backbone, lever, args.steps, args.making_steps, left / (len(cases) - number) / 2))
        del backbone
        release()
        results: dict[str, Any] = {
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "noise_levels": 1,
            "rows": [vars(row) for row in rows],
        }
        (args.out / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.out / "gpu.md").write_text(table(rows, spec_steps) + "\n")
        print(f"{base}, {lever}: {rows[-1]}", flush=True)
    print(table(rows, spec_steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
