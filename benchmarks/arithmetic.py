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
from common import LEAST, finish, held_out, markdown, other_looks, save, summary, through_a_file
from torch import Tensor
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import load
from motion_studio.motion.arithmetic import blend, blend_path, operation_from_json, shifts_together, then
from motion_studio.motion.embedding import Motion
from motion_studio.motion.looks import without_looks
from motion_studio.motion.operations_place import Along
from motion_studio.motion.operations_time import Strength
from motion_studio.settings import preset
from motion_studio.studio.generate import generate
from motion_studio.studio.invert import invert
from motion_studio.toybox.judge import correlation, spread
from motion_studio.toybox.probe import read
from motion_studio.toybox.sample import caption
from motion_studio.toybox.world import Scene

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ONE = {
    "as learnt": {"op": "speed", "factor": 1},
    "reverse": {"op": "reverse"},
    "half speed": {"op": "speed", "factor": 0.5},
    "mirror x": {"op": "mirror", "axis": "x"},
    "quarter turn": {"op": "turn", "degrees": 90},
    "move": {"op": "move", "x": 0.12, "y": -0.12},
    "zoom": {"op": "zoom", "factor": 0.7},
    "amplitude 0.6": {"op": "amplitude", "factor": 0.6},
    "amplitude 1.4": {"op": "amplitude", "factor": 1.4},
}
"""Operations on one motion; `as learnt` is the control that the others are measured against."""
TWO = {"A / 2 + B / 2": (0.5, 0.5), "A + B / 2": (1.0, 0.5)}
"""Weighted sums; the path that they should follow is the weighted mean."""
STRENGTHS = (-1.0, -0.5, 0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5)


class Bench:
    """Motions learnt once, and a place to play what becomes of them."""

    def __init__(self, backbone: Backbone, number: int, name: str) -> None:
        self.backbone = backbone
        self.scenes = held_out("object", number)
        self.asked = [other_looks(scene, 500 + k) for k, scene in enumerate(self.scenes)]
        self.paths = [torch.from_numpy(scene.path()).float() for scene in self.scenes]
        self.motions = [self._learn(scene, name) for scene in tqdm(self.scenes, desc="learning")]
        self.clips, self.labels = [], []

    def _learn(self, scene: Scene, name: str) -> Motion:
        motion = finish(
            invert(self.backbone, through_a_file(scene), preset(name), caption(scene, motion=False))
        )
        return without_looks(motion, self.backbone.default_looks)

    def play(self, number: int, motion: Motion, truth: Tensor, label: str) -> dict:
        """Make a clip with the motion and compare its path with the truth (N, 2)."""
        settings = self.backbone.spec.generation(caption(self.asked[number], motion=False), seed=number)
        clip = finish(generate(self.backbone, settings, motion))
        seen = read(clip)
        if number == 0:
            self.clips.append(clip)
            self.labels.append(label)
        path = seen.path if seen else np.zeros(truth.shape)
        size = spread(path) / max(spread(truth.numpy()), 1e-6)
        offset = float(np.linalg.norm(path.mean(0) - truth.numpy().mean(0)))
        return {
            "operation": label,
            "clip": number,
            "correlation": correlation(path, truth.numpy()),
            "size": size,
            "offset": offset,
        }


def one(bench: Bench) -> list[dict]:
    """Play every operation on one motion."""
    rows = []
    for label, values in tqdm(ONE.items(), desc="operations"):
        operation = operation_from_json(values)
        for number, motion in enumerate(bench.motions):
            truth = operation.apply_path(bench.paths[number])
            if spread(truth.numpy()) > LEAST:  # half of a small motion is no question
                rows.append(bench.play(number, operation.apply(motion), truth, label))
    return rows


def several(bench: Bench) -> list[dict]:
    """Play A then B, and weighted sums of A and B: as they are, and both moved to the path of their mean."""
    rows, count = [], len(bench.motions)
    middle = bench.backbone.frames // 2
    for number in tqdm(range(count), desc="pairs"):
        other = (number + 1) % count
        a, b, pa, pb = bench.motions[number], bench.motions[other], bench.paths[number], bench.paths[other]
        joined = torch.cat([pa[:middle], pb[: len(pa) - middle] - pb[0] + pa[middle]])
        if joined.min() > 0.08 and joined.max() < 0.92:  # what leaves the picture cannot be read
            rows.append(bench.play(number, then(a, b, middle, join=True), joined, "A then B"))
        for label, weights in TWO.items():
            terms = [(a, weights[0]), (b, weights[1])]
            way = blend_path([(pa, weights[0]), (pb, weights[1])])
            if spread(way.numpy()) <= LEAST:
                continue
            rows.append(bench.play(number, blend(terms), way, label))
            shifts = shifts_together([(motion.path(), weight) for motion, weight in terms])
            moved = [
                (Along(shift).apply(motion), w) for (motion, w), shift in zip(terms, shifts, strict=True)
            ]
            rows.append(bench.play(number, blend(moved), way, f"{label}, together"))
    return rows


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
    """Return medians by operation."""
    lines = []
    for label in dict.fromkeys(row["operation"] for row in rows):
        mine = [row for row in rows if row["operation"] == label]
        figures = [("correlation", 0.5), ("correlation", 0.1), ("size", 0.5), ("offset", 0.5)]
        values = (f"{summary([row[key] for row in mine], q):.2f}" for key, q in figures)
        lines.append([label, str(len(mine)), *values])
    return markdown(["operation", "clips", "correlation", "worst tenth", "size", "offset (widths)"], lines)


def main() -> None:
    """Run the benchmark as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--preset", default="faithful")
    parser.add_argument("--out", type=Path, default=Path("out/arithmetic"))
    args = parser.parse_args()
    bench = Bench(load("toybox"), args.clips, args.preset)
    rows = one(bench) + several(bench)
    by_strength = strengths(bench, min(3, args.clips))
    rows += by_strength
    results = {"weights": bench.backbone.weights_hash, "preset": args.preset, "rows": rows}
    save(args.out, "arithmetic", results, table(rows), bench.clips, bench.labels)
    curve(by_strength, args.out / "strength.png")


if __name__ == "__main__":
    main()
