"""Does the built-in model draw what it is told? `python benchmarks/gate.py`: a probe reads it back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import finish, markdown, save
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import load
from motion_studio.settings import GenerationSettings
from motion_studio.studio.generate import generate
from motion_studio.toybox.data import PICTURE
from motion_studio.toybox.motions import MOVES
from motion_studio.toybox.probe import obeys, read, read_each
from motion_studio.toybox.sample import HELD_OUT, caption, sample_scene
from motion_studio.toybox.world import Scene, render
from motion_studio.video.clip import Clip

Judge = Callable[[Scene, Clip], dict[str, bool]]
NAMED = [name for name in MOVES if name != "free"]


def prompts(number: int) -> list[Scene]:
    """Return held-out scenes whose object motion has a name, its families in turn, under a still camera."""
    return [
        sample_scene(HELD_OUT + 500_000 + k, move=NAMED[k % len(NAMED)], camera="none") for k in range(number)
    ]


def pairs(number: int) -> list[Scene]:
    """Return held-out scenes of two objects under a still camera."""
    return [sample_scene(HELD_OUT + 700_000 + k, camera="none", two=1.0) for k in range(number)]


def check_pair(scene: Scene, clip: Clip) -> dict[str, bool]:
    """Read two objects back: whether both have their colours, and each colour its shape."""
    seen = {reading.colour: reading.shape for reading in read_each(clip)}
    asked = {thing.colour: thing.shape for thing in scene.things}
    return {"colour": seen.keys() == asked.keys(), "shape": seen == asked}


def check(scene: Scene, clip: Clip) -> dict[str, bool]:
    """Read a clip back and compare it with what the scene's caption says."""
    seen, thing = read(clip), scene.things[0]
    if seen is None:
        return {"colour": False, "shape": False, "motion": False}
    motion = obeys(thing.words, seen.path, seen.angle, seen.radius)
    return {"colour": seen.colour == thing.colour, "shape": seen.shape == thing.shape, "motion": motion}


def by_chance(scenes: list[Scene], clips: list[Clip]) -> list[float]:
    """Return, for each scene's motion words, the share of clips asked for in other words that obey them."""
    asked = [scene.things[0].words for scene in scenes]
    seen = [(words, found) for words, found in zip(asked, map(read, clips), strict=True) if found]

    def share(mine: str) -> float:
        others = [obeys(mine, it.path, it.angle, it.radius) for words, it in seen if words != mine]
        return float(np.mean(others)) if others else 0.0

    known = {words: share(words) for words in set(asked)}
    return [known[words] for words in asked]


def drawn(
    backbone: Backbone, scenes: list[Scene], judge: Judge, **how: float
) -> tuple[list[dict], list[Clip]]:
    """Make a clip of each caption, seeded by its number; return what the judge says, and the clips."""
    rows, clips = [], []
    for seed, scene in enumerate(tqdm(scenes)):
        clip = finish(generate(backbone, GenerationSettings(prompt=caption(scene), seed=seed, **how)))
        rows.append({"prompt": caption(scene), "words": scene.things[0].words, **judge(scene, clip)})
        clips.append(clip)
    return rows, clips


def table(rows: list[dict]) -> str:
    """Return the shares, over all and by motion."""
    names = ["all", *dict.fromkeys(row["words"].split()[0] for row in rows)]
    lines = []
    for name in names:
        mine = [row for row in rows if name in ("all", row["words"].split()[0])]
        keys = ("colour", "shape", "motion", "chance")
        lines.append([name, str(len(mine)), *(f"{np.mean([row[key] for row in mine]):.0%}" for key in keys)])
    return markdown(["motion", "prompts", "colour", "shape", "motion obeyed", "by chance"], lines)


def shares(rows: list[dict[str, bool]]) -> str:
    """Return in how many of the rows each thing is right, as text."""
    names = [name for name, value in rows[0].items() if isinstance(value, bool)] if rows else []
    return ", ".join(f"{name} {np.mean([row[name] for row in rows]):.1%}" for name in names)


def main() -> None:
    """Check the probe on rendered clips, then the model on held-out prompts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=40, help="prompts of two objects")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, help="default: the base's own")
    parser.add_argument("--out", type=Path, default=Path("out/gate"))
    args = parser.parse_args()
    scenes = prompts(args.prompts)
    twos = pairs(args.pairs)
    probe = [check(scene, render(scene, PICTURE)) for scene in scenes]
    right = {key: float(np.mean([row[key] for row in probe])) for key in probe[0]}
    print("the probe on rendered clips:", shares(probe))
    print("of two objects:", shares([check_pair(scene, render(scene, PICTURE)) for scene in twos]))
    backbone = load("toybox")
    how = {"steps": args.steps, "guidance": args.guidance or backbone.spec.guidance}
    rows, clips = drawn(backbone, scenes, check, **how)
    rows = [row | {"chance": chance} for row, chance in zip(rows, by_chance(scenes, clips), strict=True)]
    both, more = drawn(backbone, twos, check_pair, **how)
    results = {"weights": backbone.weights_hash, "guidance": how["guidance"], "probe": right}
    text = f"{table(rows)}\n\ntwo objects, {len(both)} prompts: {shares(both)}"
    labels = [caption(scene) for scene in (*scenes[:24], *twos[:8])]
    shown = clips[:24] + more[:8]
    save(args.out, "gate", results | {"rows": rows, "pairs": both}, text, shown, labels)


if __name__ == "__main__":
    main()
