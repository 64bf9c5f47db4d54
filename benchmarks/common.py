"""What the benchmarks share: held-out scenes, jobs run to their end, tables, JSON and contact sheets."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script finds the package from its own folder

from motion_studio.studio.events import Done, Event  # noqa: E402
from motion_studio.toybox.data import PICTURE  # noqa: E402
from motion_studio.toybox.judge import judge, shifts, spread  # noqa: E402
from motion_studio.toybox.sample import HELD_OUT, sample_scene  # noqa: E402
from motion_studio.toybox.world import Scene, render  # noqa: E402
from motion_studio.video.clip import Clip  # noqa: E402
from motion_studio.video.files import write_clip  # noqa: E402
from motion_studio.video.reading import read_clip  # noqa: E402
from motion_studio.video.sheets import contact_sheet  # noqa: E402

KINDS = {"object": ("free", "none"), "camera": ("still", "free"), "both": ("free", "free")}
"""Kind of motion: the families of the object's and the camera's motion. None of them has a name."""
LEAST = 0.03
"""Spread in widths below which a truth is too small to be a question."""
CHOSEN_ON = 24
"""Held-out clips of each kind on which settings were chosen: reports are of those that come after them."""
SEEN = 0.95
"""Least correlation that the judge must read from an exact rendering of a camera's curve."""


def finish(events: Iterator[Event]):
    """Run a job to its end and return its result."""
    for event in events:
        if isinstance(event, Done):
            return event.result
    raise RuntimeError("the job ended without a result")


def held_out(kind: str, number: int, skip: int = CHOSEN_ON) -> list[Scene]:
    """Return that many held-out scenes whose motion no caption names, after the first `skip` of them."""
    move, camera = KINDS[kind]
    first = HELD_OUT + 10_000 * (1 + list(KINDS).index(kind))
    scenes = (sample_scene(seed, move=move, camera=camera) for seed in count(first))
    found = []
    for scene in scenes:
        moves = kind == "camera" or spread(scene.things[0].path) > LEAST
        pans = kind == "object" or spread(shifts(scene.camera)) > LEAST
        if moves and pans and shows_camera(scene, scene):
            found.append(scene)
        if len(found) == skip + number:
            return found[skip:]
    raise AssertionError("unreachable: seeds do not end")


def other_looks(source: Scene, seed: int) -> Scene:
    """Return a held-out scene whose colour, shape, ground and pattern all differ from the source's.

    Its ground shows the source's camera: along stripes none is seen to move, however well it came over.
    """
    old, ground = source.things[0], source.ground
    for number in count(HELD_OUT + 900_000 + 1000 * seed):
        scene = sample_scene(number, move="still", camera="none")
        new = scene.things[0]
        same = new.colour == old.colour, new.shape == old.shape, scene.ground.colour == ground.colour
        if any(same) or scene.ground.pattern in (ground.pattern, "plain"):
            continue
        if shows_camera(source, scene):
            return scene
    raise AssertionError("unreachable: seeds do not end")


def exact(source: Scene, asked: Scene) -> Scene:
    """Return the looks of `asked` in the motion of `source`: what a perfect clip would show."""
    new = asked.things[0]
    thing = replace(source.things[0], shape=new.shape, colour=new.colour)
    return replace(asked, things=(thing,), camera=source.camera)


def shows_camera(source: Scene, asked: Scene) -> bool:
    """Whether the judge reads the source's camera, if it moves, from a small clip of just what is asked."""
    if not np.any(source.camera):
        return True
    return judge(source, asked, render(exact(source, asked))).camera > SEEN


def through_a_file(scene: Scene) -> Clip:
    """Render a scene to an mp4 and read it back, as a user's clip comes in."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, render(scene, PICTURE))
        return read_clip(path)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def save(out: Path, name: str, results: dict, table: str, clips: list[Clip], labels: list[str]) -> None:
    """Write NAME.json, NAME.md and a contact sheet NAME.webp, and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(results, indent=1, allow_nan=True) + "\n")
    (out / f"{name}.md").write_text(table + "\n")
    if clips:
        sheet = Image.fromarray(contact_sheet(clips, labels, columns=6))
        # A tenth of a PNG: the history keeps each copy.
        sheet.save(out / f"{name}.webp", quality=80, method=6)
    print(table)


def summary(values: list[float], quantile: float = 0.5) -> float:
    """Return a quantile of the values that are not nan, nan where there are none."""
    known = np.array([v for v in values if not np.isnan(v)])
    return float(np.quantile(known, quantile)) if len(known) else float("nan")
