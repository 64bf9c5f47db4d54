"""Do operations on a saved motion do what they say? `python benchmarks/arithmetic.py`.

Held-out object motions are learnt once, operated on without learning again, and played on other looks; the
path in the made clip is compared with the same operation applied to the true path.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from common import (
    CHOSEN_ON,
    LEAST,
    markdown,
    other_looks,
    save,
    summary,
)
from operated import Bench, compared, distance, mixed, stays
from tqdm import tqdm

from motion_studio.backbones.registry import load
from motion_studio.motion.arithmetic import operation_from_json, then
from motion_studio.motion.carried import camera_from_steps, camera_steps
from motion_studio.motion.embedding import Motion
from motion_studio.motion.operations_place import Follow
from motion_studio.motion.operations_time import Delay, Strength
from motion_studio.motion.ways import blend_path
from motion_studio.studio.mix import build
from motion_studio.studio.tracks import Mix, Track
from motion_studio.toybox.judge import shifts, spread
from motion_studio.toybox.probe import read
from motion_studio.toybox.world import Scene
from motion_studio.video.tracks import camera_curve

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ONE = {
    "reverse": {"op": "reverse"},
    "half speed": {"op": "speed", "factor": 0.5},
    "mirror x": {"op": "mirror", "axis": "x"},
    "quarter turn": {"op": "turn", "degrees": 90},
    "move": {"op": "move", "x": 0.12, "y": -0.12},
    "zoom": {"op": "zoom", "factor": 0.7},
    "amplitude 0.6": {"op": "amplitude", "factor": 0.6},
    "amplitude 1.4": {"op": "amplitude", "factor": 1.4},
}
"""Operations on one motion."""
TWO = {
    "A / 2 + B / 2": (0.5, 0.5, ("no", "mean")),
    "A + B / 2": (1.0, 0.5, ("no", "mean")),
    "A + B": (1.0, 1.0, ("sum",)),
    "A - B / 2": (1.0, -0.5, ("sum",)),
    "A / 3": (1 / 3, 0.0, ("sum",)),
    "-A": (-1.0, 0.0, ("sum",)),
}
"""Mixes of two motions: weights, and how they are laid together; each should follow the path of its law."""
FOLLOWED = "another's way"
"""What an operation is called that leads a motion along the path of the next."""
THEN = {"A then B": 2.0, "A then B, cut": 0.0}
"""One motion after another, and for how many frames they fade into each other."""
NEXT = (1, 5)
"""How many motions further on those are that follow each."""
FAR = 0.06
"""Spread in widths, about a latent cell, above which paths of A then B are reported by themselves too."""
STRENGTHS = (-1.0, -0.5, 0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5)


def one(bench: Bench) -> list[dict]:
    """Play every operation on one motion."""
    rows = []
    for number, path in enumerate(bench.paths):
        row = compared("as learnt", number, bench.unchanged[number], path.numpy())
        rows.append(row | {"unchanged": row["distance"]})
    for label, values in tqdm(ONE.items(), desc="operations"):
        operation = operation_from_json(values)
        for number, motion in enumerate(bench.motions):
            truth = operation.apply_path(bench.paths[number])
            if spread(truth.numpy()) > LEAST:  # half of a small motion is no question
                rows.append(bench.play(number, operation.apply(motion), truth, label))
    for number, motion in enumerate(bench.motions):
        way = bench.paths[(number + 1) % len(bench.paths)]
        rows.append(bench.play(number, Follow(way).apply(motion), way, FOLLOWED))
    return rows


def joined(bench: Bench) -> list[dict]:
    """Play A then B, as an operation and as tracks of a mix, with each motion followed by two others."""
    rows, count, middle = [], len(bench.motions), bench.backbone.frames // 2
    steps = dict.fromkeys(step % count for step in NEXT if step % count)  # none follows itself
    pairs = [(number, (number + step) % count) for step in steps for number in range(count)]
    for number, other in tqdm(pairs, desc="A then B"):
        a, b, pa, pb = bench.motions[number], bench.motions[other], bench.paths[number], bench.paths[other]
        way = torch.cat([pa[:middle], pb[: len(pa) - middle] - pb[0] + pa[middle]])
        for label, fade in THEN.items() if stays(way) else ():
            rows.append(bench.play(number, then(a, b, middle, fade, join=True), way, label))
        tracks = Track("a", length=middle), Track("b", start=middle)
        later = (torch.arange(len(pa)) >= middle).float()
        way = blend_path([(pa, 1 - later), (Delay(middle).apply_path(pb), later)], "sum")
        if stays(way):
            motion = build(Mix(tracks, together="sum"), {"a": a, "b": b}.__getitem__)
            rows.append(bench.play(number, motion, way, "A then B, as tracks"))
    return rows


def several(bench: Bench) -> list[dict]:
    """Play mixes of A and B, each laid together in some of the ways that there are."""
    rows, count = [], len(bench.motions)
    for number in tqdm(range(count), desc="pairs"):
        other = (number + 1) % count
        a, b, pa, pb = bench.motions[number], bench.motions[other], bench.paths[number], bench.paths[other]
        for label, (wa, wb, ways) in TWO.items():
            for together in ways:
                way = blend_path([(pa, wa), (pb, wb)], "sum" if together == "sum" else "mean")
                if stays(way) and spread(way.numpy()) > LEAST:
                    motion = mixed(a, b, (wa, wb), together)
                    rows.append(bench.play(number, motion, way, _laid(label, together)))
    return rows


def _laid(label: str, together: str) -> str:
    return label if together == "no" else f"{label}, together by {together}"


def filmed(bench: Bench) -> list[dict]:
    """Play an object's motion and a camera's at once: the object goes its own way and with the camera."""
    rows = []
    for number, (scene, camera) in enumerate(
        zip(tqdm(bench.films, desc="cameras"), bench.filmed, strict=True)
    ):
        way = blend_path([(bench.paths[number], 1.0), (torch.from_numpy(scene.path()).float(), 1.0)], "sum")
        if not stays(way):
            continue
        asked = other_looks(scene, 700 + bench.skip + number)  # on a ground that shows its camera
        for together in ("no", "mean", "sum"):
            label = _laid("A + camera", together)
            motion = mixed(bench.motions[number], camera, (1.0, 1.0), together)
            clip = bench.make(asked, number, motion, label)
            seen = read(clip)
            path = seen.path if seen else np.zeros(way.shape)
            rows.append(compared(f"{label}: its path", number, path, way.numpy()))
            curve = shifts(camera_curve(clip).numpy())
            rows.append(compared(f"{label}: its camera", number, curve, shifts(scene.camera)))
    return rows


def cameras(bench: Bench) -> list[dict]:
    """Add two cameras up, and take one of them out of the sum again.

    `unchanged` is how far from what is left the camera of the sum goes, out of which nothing was taken.
    """
    rows, steps = [], [camera_steps(torch.from_numpy(scene.camera)) for scene in bench.films]
    for number, scene in enumerate(tqdm(bench.films, desc="pairs of cameras")):
        other = (number + 1) % len(bench.films)
        asked = other_looks(scene, 800 + bench.skip + number)
        both = mixed(bench.filmed[number], bench.filmed[other], (1.0, 1.0), "sum")
        way = camera_from_steps(steps[number] + steps[other]).numpy()
        made = _camera(bench, asked, number, both, "A + B, of cameras")
        rows.append(compared("A + B, of cameras", number, made, shifts(way)))
        for together in ("no", "sum"):
            label = _laid("A + B - B, of cameras", together)
            left = _camera(
                bench, asked, number, mixed(both, bench.filmed[other], (1.0, -1.0), together), label
            )
            row = compared(label, number, left, shifts(scene.camera))
            rows.append(row | {"unchanged": distance(made, shifts(scene.camera))})
    return rows


def _camera(bench: Bench, asked: Scene, number: int, motion: Motion, label: str) -> np.ndarray:
    return shifts(camera_curve(bench.make(asked, number, motion, label)).numpy())


def strengths(bench: Bench, number: int) -> list[dict]:
    """Play strength times a motion, over the range that a slider has."""
    rows = []
    for strength in tqdm(STRENGTHS, desc="strength"):
        for k in range(number):
            row = bench.play(
                k, Strength(strength).apply(bench.motions[k]), bench.paths[k], f"strength {strength}"
            )
            rows.append({**row, "strength": strength})
    return rows


def curve(rows: list[dict], file: Path) -> None:
    """Draw measured correlation and size against strength."""
    figure, axes = pyplot.subplots(figsize=(5, 3), constrained_layout=True)
    for key in ("correlation", "size"):
        values = [summary([row[key] for row in rows if row["strength"] == s]) for s in STRENGTHS]
        axes.plot(STRENGTHS, values, marker="o", label=key)
    axes.set(xlabel="strength of the motion", ylabel="against the true path", ylim=(-1.1, 1.6))
    axes.axhline(0, color="0.8", linewidth=1)
    axes.legend()
    figure.savefig(file, dpi=150)


def table(rows: list[dict]) -> str:
    """Return medians by operation, and those of the first of `THEN` by how far its path spreads."""
    lines = []
    for label in dict.fromkeys(row["operation"] for row in rows):
        mine = [row for row in rows if row["operation"] == label]
        lines.append(_line(label, mine))
        if label == next(iter(THEN)):
            far = [row for row in mine if row["spread"] > FAR]
            near = [row for row in mine if row["spread"] <= FAR]
            lines += [_line(f"{label}, spread over {FAR}", far), _line(f"{label}, the others", near)]
    header = ["operation", "clips", "correlation", "worst tenth", "size", "distance", "unchanged"]
    return markdown(header, lines)


def _line(label: str, rows: list[dict]) -> list[str]:
    figures = [
        ("correlation", 0.5),
        ("correlation", 0.1),
        ("size", 0.5),
        ("distance", 0.5),
        ("unchanged", 0.5),
    ]
    values = (summary([row.get(key, np.nan) for row in rows], q) for key, q in figures)
    return [label, str(len(rows)), *("–" if np.isnan(value) else f"{value:.2f}" for value in values)]


def main() -> None:
    """Run the benchmark as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--skip", type=int, default=CHOSEN_ON, help="clips of each kind; 0: those chosen on")
    parser.add_argument("--preset", default="faithful")
    parser.add_argument("--out", type=Path, default=Path("out/arithmetic"))
    args = parser.parse_args()
    bench = Bench(load("toybox"), args.clips, args.preset, args.skip)
    rows = one(bench) + joined(bench) + several(bench) + filmed(bench) + cameras(bench)
    by_strength = strengths(bench, min(3, args.clips))
    rows += by_strength
    results = {"weights": bench.backbone.weights_hash, "preset": args.preset, "skip": args.skip, "rows": rows}
    save(args.out, "arithmetic", results, table(rows), bench.clips, bench.labels)
    curve(by_strength, args.out / "strength.png")


if __name__ == "__main__":
    main()
