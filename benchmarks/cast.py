"""Two objects in one clip, each with a motion and words of its own: `python benchmarks/cast.py`.

Motions of held-out objects are learnt, laid on two tracks and moved aside (the operation *move*), so that
in most frames they do not touch. Read back are both objects, by the probe, against the true paths moved as
far. Controls on the same pairs: the tracks without words, of which the prompt names both objects; the words
changed over, against the same truths; and both objects in a bare prompt, without motions.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from common import (
    CHOSEN_ON,
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
from motion_studio.settings import preset
from motion_studio.studio.invert import invert
from motion_studio.studio.render import render as render_mix
from motion_studio.studio.tracks import Mix, Track
from motion_studio.toybox.data import PICTURE
from motion_studio.toybox.judge import correlation, spread
from motion_studio.toybox.probe import read_each
from motion_studio.toybox.sample import apart, caption
from motion_studio.toybox.world import Scene, Thing, render
from motion_studio.video.clip import Clip

EDGE = 0.16
"""Paths that are moved stay so far, in widths, from the picture's edge: the objects do not leave it."""
FARTHEST, STEPS = 0.35, 7
"""How far a path is moved aside at most, and in how many steps that is tried."""
APART = 0.75
"""Share of the frames in which two objects of a pair must not touch."""
Pair = tuple[Scene, Scene, Scene]
"""Two sources with their paths moved aside, and the scene that shows both in other looks."""


def aside(a: Thing, b: Thing) -> tuple[Thing, Thing]:
    """Return both with their paths moved away from each other, no farther than parts them in most frames."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for farthest in np.linspace(0, FARTHEST, STEPS):
        tried = [
            (moved_by(a, way, farthest), moved_by(b, -way, farthest))
            for way in (np.array([np.cos(angle), np.sin(angle)]) for angle in angles)
        ]
        best = max(tried, key=lambda moved: apart(*moved).mean())
        if apart(*best).mean() >= APART:
            break
    return best


def moved_by(thing: Thing, way: np.ndarray, farthest: float) -> Thing:
    """Return a thing moved along a way, as far as its path stays in the picture and no farther than that."""
    low, high = thing.path.min(0), thing.path.max(0)
    room = [
        ((1 - EDGE - high[k]) if way[k] > 0 else (low[k] - EDGE)) / abs(way[k])
        for k in (0, 1)
        if abs(way[k]) > 1e-6
    ]
    return replace(thing, path=thing.path + way * min(farthest, max(0.0, min(room))))


def pair(a: Scene, b: Scene, seed: int) -> Pair | None:
    """Return the pair of two sources, None where they cannot be kept apart or are not read back exactly."""
    moved = aside(a.things[0], b.things[0])
    if apart(*moved).mean() < APART:
        return None
    looks = other_looks(a, seed)
    taken = (looks.things[0].colour, looks.ground.colour)
    for number in count(seed + 1):
        other = other_looks(b, number).things[0]
        if other.colour not in taken:
            break
    new = (looks.things[0], other)
    things = [replace(one, shape=it.shape, colour=it.colour) for one, it in zip(moved, new, strict=True)]
    asked = replace(looks, things=tuple(things))
    exact = judged(render(asked, PICTURE), asked)
    if not all(row["shape"] and row["path"] > 0.95 for row in exact):
        return None
    return replace(a, things=moved[:1]), replace(b, things=moved[1:]), asked


def pairs(number: int, skip: int) -> list[tuple[Scene, Scene, Pair]]:
    """Return that many pairs of held-out objects, each in one, with the scenes of both."""
    found, waiting = [], []
    for second, scene in enumerate(held_out("object", 3 * number, skip)):
        for first in waiting:
            made = pair(first, scene, 2000 + 50 * (skip + second))
            if made is not None:
                waiting.remove(first)
                found.append((first, scene, made))
                break
        else:
            waiting.append(scene)
        if len(found) == number:
            break
    return found


def judged(clip: Clip, asked: Scene) -> list[dict[str, float | bool]]:
    """Compare each object of a clip, told by its colour, with what is asked; a missing one goes nowhere."""
    seen = {reading.colour: reading for reading in read_each(clip)}
    rows = []
    for thing in asked.things:
        found = seen.get(thing.colour)
        rows.append(
            {
                "colour": found is not None,
                "shape": found is not None and found.shape == thing.shape,
                "path": correlation(found.path, thing.path) if found else 0.0,
                "path_size": spread(found.path) / spread(thing.path) if found else np.nan,
            }
        )
    return rows


def ways(asked: Scene) -> dict[str, tuple[str, tuple[str, str] | None]]:
    """Return each way to ask for both: the prompt, and the words of the two tracks (None: there are none)."""
    one, two = (caption(replace(asked, things=(thing,)), motion=False) for thing in asked.things)
    both = caption(asked, motion=False)
    return {
        "words of their own": (one, ("", two)),
        "words changed over": (two, ("", one)),
        "one prompt for both": (both, ("", "")),
        "no motion": (both, None),
    }


def mix_of(made: Pair, sources: list[Scene], prompts: tuple[str, str]) -> Mix:
    """Return the two motions as tracks, moved as far as the pair's paths are, with these prompts."""
    tracks = []
    for name, source, moved, prompt in zip("ab", sources, made, prompts, strict=False):
        x, y = (moved.things[0].path - source.things[0].path).mean(0)
        move = {"op": "move", "x": round(float(x), 4), "y": round(float(y), 4)}
        tracks.append(Track(name, operations=(move,), prompt=prompt))
    return Mix(tuple(tracks))


def measured(
    backbone: Backbone, number: int, name: str, skip: int
) -> tuple[list[dict], list[Clip], list[str]]:
    """Return a row for each object, way and pair, and the clips of the first way with their labels."""
    rows, clips, labels = [], [], []
    for index, (*sources, made) in enumerate(tqdm(pairs(number, skip), desc="pairs")):
        motions = {
            track: finish(invert(backbone, through_a_file(one), preset(name), caption(one, motion=False)))
            for track, one in zip("ab", sources, strict=True)
        }
        asked = made[2]
        for way, (prompt, words) in ways(asked).items():
            mix = mix_of(made, sources, words) if words else None
            settings = backbone.spec.generation(prompt, len(mix.prompts) if mix else 1, seed=index)
            clip = finish(render_mix(backbone, settings, mix, motions.__getitem__)).clip
            for thing, row in zip(asked.things, judged(clip, asked), strict=True):
                rows.append({"way": way, "pair": index, "object": f"{thing.colour} {thing.shape}", **row})
            if way == "words of their own":
                clips.append(clip)
                labels.append(caption(asked, motion=False))
    return rows, clips, labels


def table(rows: list[dict]) -> str:
    """Return medians and shares by way."""
    header = ["two tracks with", "objects", "path", "worst tenth", "size", "shape", "colour", "both right"]
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        mine = [row for row in rows if row["way"] == way]
        figures = [summary([row["path"] for row in mine]), summary([row["path"] for row in mine], 0.1)]
        figures.append(summary([row["path_size"] for row in mine]))
        right = [np.mean([row[key] for row in mine]) for key in ("shape", "colour")]
        whole = [all(row["shape"] for row in mine if row["pair"] == n) for n in {row["pair"] for row in mine}]
        shown = ("–" if np.isnan(value) else f"{value:.2f}" for value in figures)
        shares = (f"{value:.0%}" for value in (*right, np.mean(whole)))
        lines.append([way, str(len(mine)), *shown, *shares])
    return markdown(header, lines)


def main() -> None:
    """Learn, lay on tracks, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--preset", default="faithful")
    parser.add_argument("--skip", type=int, default=CHOSEN_ON, help="held-out clips to leave out first")
    parser.add_argument("--out", type=Path, default=Path("out/cast"))
    args = parser.parse_args()
    backbone = load("toybox")
    rows, clips, labels = measured(backbone, args.pairs, args.preset, args.skip)
    results = {"weights": backbone.weights_hash, "preset": args.preset, "rows": rows}
    save(args.out, "cast", results, table(rows), clips, labels)


if __name__ == "__main__":
    main()
