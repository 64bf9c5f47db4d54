"""What a camera that films does to clips: `python benchmarks/camera.py`, on the built-in model.

Motions of held-out objects, and no motion at all, are filmed by a pan, a tilt, a zoom and a roll. Read back
are the camera, by the studio's own tracker, and the object's path, by the probe; truths are what was asked
for: the film's curve, and the true path as that camera sees it. The control is the same clip unfilmed,
against the same truths.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from common import (
    CHOSEN_ON,
    finish,
    held_out,
    markdown,
    other_looks,
    save,
    shows_camera,
    summary,
    through_a_file,
)
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import load
from motion_studio.motion.embedding import Motion
from motion_studio.motion.operations_place import Film
from motion_studio.settings import FILM, preset
from motion_studio.studio.generate import generate
from motion_studio.studio.invert import invert
from motion_studio.toybox.judge import correlation, shifts, spread
from motion_studio.toybox.probe import read
from motion_studio.toybox.sample import caption
from motion_studio.toybox.world import Scene
from motion_studio.video.clip import Clip
from motion_studio.video.tracks import camera_curve

FILMS = {
    "pan .35": (Film(pan=0.35), Film(pan=-0.35)),
    "tilt .35": (Film(tilt=0.35), Film(tilt=-0.35)),
    "zoom 1.5": (Film(zoom=1.5),),
    "zoom .67": (Film(zoom=0.67),),
    "roll 30": (Film(roll=30), Film(roll=-30)),
    "pan .2, zoom 1.3, roll 15": (Film(0.2, 0, 1.3, 15), Film(-0.2, 0, 1.3, -15)),
}
"""Of each kind, the ways to try: that which keeps more of the object's path in the picture is taken."""
MARGIN = 0.06
"""Paths that come closer to the picture's edge, in widths, are not asked about."""


def chosen(ways: tuple[Film, ...], path: torch.Tensor | None, number: int) -> tuple[Film, bool]:
    """Return one of the ways, and whether the path (N, 2) stays in the picture under it."""
    if path is None:
        return ways[number % len(ways)], False
    room = [float((0.5 - (way.apply_path(path) - 0.5).abs()).min()) for way in ways]
    return ways[int(np.argmax(room))], max(room) > MARGIN


def filmable(source: Scene, seed: int) -> Scene:
    """Return other looks than the source's, on a ground that shows what every film does."""
    curves = [film.curve(len(source.camera)).numpy() for ways in FILMS.values() for film in ways]
    for number in count(seed, 100):
        asked = other_looks(source, number)
        if all(shows_camera(replace(source, camera=curve), asked) for curve in curves):
            return asked
    raise AssertionError("unreachable: seeds do not end")


def make(backbone: Backbone, asked: Scene, seed: int, motion: Motion | None, film: Film) -> Clip:
    """Return the clip asked for, with a motion or none, filmed."""
    settings = {name: getattr(film, name) for name in FILM}
    prompt = caption(asked, motion=False)
    return finish(generate(backbone, backbone.spec.generation(prompt, seed=seed, **settings), motion))


def judged(clip: Clip, asked: Scene, film: Film, path: torch.Tensor | None) -> dict[str, float | bool]:
    """Compare a clip with what the film and the path (N, 2), None where it isn't asked about, make of it."""
    seen, frames = read(clip), clip.num_frames
    view, camera = shifts(film.curve(frames).numpy()), shifts(camera_curve(clip).numpy())
    row = {"camera": correlation(camera, view), "camera_size": spread(camera) / spread(view)}
    row |= {"path": np.nan, "path_size": np.nan}
    if path is not None and seen:
        truth = film.apply_path(path).numpy()
        row |= {"path": correlation(seen.path, truth), "path_size": spread(seen.path) / spread(truth)}
    thing = asked.things[0]
    right = {"shape": seen.shape == thing.shape, "colour": seen.colour == thing.colour} if seen else {}
    return row | {"shape": False, "colour": False} | right


def measured(
    backbone: Backbone, number: int, name: str, skip: int
) -> tuple[list[dict], list[Clip], list[str]]:
    """Return a row for each film and clip, and the first motion's clips with their labels."""
    sources = held_out("object", number, skip)
    rows, clips, labels = [], [], []
    for index, source in enumerate(tqdm(sources, desc="filming")):
        asked, path = filmable(source, 800 + skip + index), torch.from_numpy(source.path()).float()
        scene_of = caption(source, motion=False)
        motion = finish(invert(backbone, through_a_file(source), preset(name), scene_of))
        for played, truth in ((motion, path), (None, None)):
            bare = make(backbone, asked, index, played, Film())
            of = "motions" if played else "no motion"
            for label, ways in FILMS.items():
                film, inside = chosen(ways, truth, index)
                clip = make(backbone, asked, index, played, film)
                asked_path = truth if inside else None
                facts = {"film": label, "clip": index, "of": of}
                rows.append(facts | judged(clip, asked, film, asked_path))
                rows.append(facts | judged(bare, asked, film, asked_path) | {"of": f"{of}, unfilmed"})
                if index == 0:
                    clips.append(clip)
                    labels.append(f"{of}: {label}")
    return rows, clips, labels


def table(rows: list[dict]) -> str:
    """Return medians by film and by what is filmed."""
    header = ["filmed", "by", "clips", "camera", "worst tenth", "size camera", "object path", "worst tenth"]
    header += ["size object", "shape", "colour"]
    figures = (("camera", 0.5), ("camera", 0.1), ("camera_size", 0.5), ("path", 0.5), ("path", 0.1))
    figures += (("path_size", 0.5),)
    lines = []
    for of in dict.fromkeys(row["of"] for row in rows):
        for film in (*FILMS, "all"):
            mine = [row for row in rows if row["of"] == of and film in (row["film"], "all")]
            if of.endswith("unfilmed") and film != "all":
                continue
            values = (summary([row[key] for row in mine], q) for key, q in figures)
            right = (f"{np.mean([row[key] for row in mine]):.0%}" for key in ("shape", "colour"))
            shown = ("–" if np.isnan(value) else f"{value:.2f}" for value in values)
            lines.append([of, film, str(len(mine)), *shown, *right])
    return markdown(header, lines)


def main() -> None:
    """Run the benchmark as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--skip", type=int, default=CHOSEN_ON, help="clips of each kind; 0: those chosen on")
    parser.add_argument("--preset", default="faithful")
    parser.add_argument("--out", type=Path, default=Path("out/camera"))
    args = parser.parse_args()
    backbone = load("toybox")
    rows, clips, labels = measured(backbone, args.clips, args.preset, args.skip)
    results = {"weights": backbone.weights_hash, "preset": args.preset, "skip": args.skip, "rows": rows}
    save(args.out, "camera", results, table(rows), clips, labels)


if __name__ == "__main__":
    main()
