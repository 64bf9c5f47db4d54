"""The mixer's desk: tracks with their knobs as the page holds them, and the mix that they make.

A desk is JSON: {selected, frames, together, film: {pan, tilt, zoom, roll}, tracks: [{motion, weight, start,
length, fade_in, fade_out, prompt, and KNOBS}]}. A page says in `done` how many changes were made there, and
is told by `opened` where undoing begins (components/desk.js).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import torch

from motion_studio.errors import InputError
from motion_studio.motion.embedding import Motion
from motion_studio.motion.operations_place import Film, Follow
from motion_studio.settings import FILM
from motion_studio.studio.mix import preview_paths
from motion_studio.studio.tracks import Mix, Track
from motion_studio.ui import text

Desk = dict[str, Any]

MAX_TRACKS = 6
PLACE = {"weight": 1.0, "start": 0.0, "length": None, "fade_in": 0.0, "fade_out": 0.0, "prompt": ""}
KNOBS: dict[str, Any] = {
    "way": None,
    "reverse": False,
    "speed": 1.0,
    "mirror_x": False,
    "mirror_y": False,
    "turn": 0.0,
    "zoom": 1.0,
    "amplitude": 1.0,
    "x": 0.0,
    "y": 0.0,
}
"""Each knob at rest, in the order in which they act: a way drawn by hand, in place of the motion's own; then
in time, then in place, the move last."""


def empty(frames: int) -> Desk:
    """A desk without tracks."""
    return {"selected": 0, "frames": frames, "together": "sum", "film": FILM, "tracks": []}


def add(desk: Desk, motion: str) -> Desk:
    """The desk with one more track, which is then the chosen one. Raises InputError when it is full."""
    tracks = desk["tracks"]
    if len(tracks) >= MAX_TRACKS:
        raise InputError(text.MIX["full"].format(most=MAX_TRACKS))
    return {**desk, "tracks": [*tracks, {"motion": motion, **PLACE, **KNOBS}], "selected": len(tracks)}


def turned(desk: Desk, index: int, **values: Any) -> Desk:
    """The desk with some values of one track set."""
    tracks = [{**track, **values} if n == index else track for n, track in enumerate(desk["tracks"])]
    return {**desk, "tracks": tracks}


def led(desk: Desk, index: int, path: list[list[float]] | None, aspect: float) -> Desk:
    """The desk with one track on a way drawn on the stage, or (None) on its own again.

    A way is drawn as the camera sees it, and runs while the track's bar does. All else that bends the track
    is at rest then, so that it goes where it was drawn. Raises InputError for what is no path.
    """
    if path is None:
        return turned(desk, index, way=None)
    track, frames = desk["tracks"][index], desk["frames"]
    heard = _heard(track["start"], track["length"], frames)
    step = _step(len(path), heard)
    before, after = (round(step * n) for n in (track["start"], frames - track["start"] - heard))
    seen = torch.tensor(Follow([*path[:1] * before, *path, *path[-1:] * after]).path)
    way = Film(**desk["film"]).unseen_path(seen, aspect)[before : before + len(path)].tolist()
    return turned(desk, index, **{**KNOBS, "way": [[round(x, 3), round(y, 3)] for x, y in way]})


def _heard(start: float, length: float | None, frames: int) -> float:
    """For how many frames a track's bar runs."""
    return min(length or frames, frames - start)


def _step(points: int, frames: float) -> float:
    """How many points a way of so many goes on from frame to frame."""
    return (points - 1) / max(1, frames - 1)


def only(desk: Desk, names: Container[str]) -> Desk:
    """The desk without the tracks whose motion is none of `names`; what an older desk lacks is at rest."""
    tracks = [{**PLACE, **KNOBS, **track} for track in desk["tracks"] if track["motion"] in names]
    return {**desk, "tracks": tracks, "selected": min(desk["selected"], max(0, len(tracks) - 1))}


def operations(track: dict[str, Any], frames: int) -> list[dict[str, Any]]:
    """The operations of a track's knobs that are not at rest. A drawn way runs while the track's bar does."""
    way = track["way"]
    if way is not None:
        Follow(way)  # raises for what is no path
        heard = _heard(track["start"], track["length"], frames)
        waits = round(_step(len(way), heard) * (frames - heard))  # beyond its bar
        way = [*way, *way[-1:] * waits]
    steps = {
        "way": {"op": "follow", "path": way},
        "reverse": {"op": "reverse"},
        "speed": {"op": "speed", "factor": track["speed"]},
        "mirror_x": {"op": "mirror", "axis": "x"},
        "mirror_y": {"op": "mirror", "axis": "y"},
        "turn": {"op": "turn", "degrees": track["turn"]},
        "zoom": {"op": "zoom", "factor": track["zoom"]},
        "amplitude": {"op": "amplitude", "factor": track["amplitude"]},
    }
    active = [step for knob, step in steps.items() if track[knob] != KNOBS[knob]]
    if track["x"] or track["y"]:
        active.append({"op": "move", "x": track["x"], "y": track["y"]})
    return active


def to_mix(desk: Desk) -> Mix:
    """The mix on the desk. Raises InputError without tracks or for values that are not allowed."""
    tracks = [
        {
            "motion": track["motion"],
            **{key: track[key] for key in PLACE},
            "operations": operations(track, desk["frames"]),
        }
        for track in desk["tracks"]
    ]
    return Mix.from_json({"tracks": tracks, **{key: desk[key] for key in ("frames", "together")}})


def plain(mix: Mix) -> bool:
    """Whether it is one motion as it was learnt."""
    return mix.tracks[0] == Track(mix.tracks[0].motion) and len(mix.tracks) == 1


def from_mix(mix: Mix, names: dict[str, str], frames: int, film: dict[str, float] = FILM) -> Desk:
    """The desk of a mix, with its motions' present names; tracks whose motion is missing are left out."""
    desk = {**empty(frames), "together": mix.together, "film": film}
    for track in mix.tracks:
        if track.motion in names:
            place = {key: getattr(track, key) for key in PLACE}
            desk = turned(
                add(desk, names[track.motion]), len(desk["tracks"]), **place, **_knobs(track, frames)
            )
    return desk


def _knobs(track: Track, frames: int) -> dict[str, Any]:
    heard = _heard(track.start, track.length, frames)
    knobs = dict(KNOBS)
    for step in track.operations:
        match step:
            case {"op": "follow", "path": path}:
                last = round(_step(len(path), frames) * max(0, heard - 1))
                knobs["way"] = [list(point) for point in path[: last + 1]]
            case {"op": "reverse"}:
                knobs["reverse"] = True
            case {"op": "mirror", "axis": "x" | "y" as axis}:
                knobs[f"mirror_{axis}"] = True
            case {"op": "turn", "degrees": degrees}:
                knobs["turn"] = degrees
            case {"op": "speed" | "zoom" | "amplitude" as op, "factor": factor}:
                knobs[op] = factor
            case {"op": "move", "x": x, "y": y}:
                knobs |= {"x": x, "y": y}
    return knobs


def ways(desk: Desk, load: Callable[[str], Motion]) -> dict[str, Any] | None:
    """What the stage draws: the objects' ways and the mix's camera; None without tracks."""
    if not desk["tracks"]:
        return None
    aspect = load(desk["tracks"][0]["motion"]).aspect
    drawn = preview_paths(to_mix(desk), load, Film(**desk["film"]))
    for shown, track in zip(drawn["tracks"], desk["tracks"], strict=True):
        shown["led"] = track["way"] is not None
    return {**drawn, "aspect": aspect, "selected": desk["selected"]}
