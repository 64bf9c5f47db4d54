"""Motions as tracks, summed into one motion, and what ways they go.

What stands still in a motion (its source's looks) is taken out before anything that would make it move or
pulse: a window, a fade, another speed, a path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from motion_studio.errors import InputError
from motion_studio.motion.arithmetic import blend, operation_from_json, resampled
from motion_studio.motion.carried import moving
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.factors import stretched
from motion_studio.motion.looks import without_looks
from motion_studio.motion.operation import Operation
from motion_studio.motion.operations_place import Along, Film, Turn
from motion_studio.motion.operations_time import Delay, Fade
from motion_studio.motion.ways import (
    blend_camera,
    blend_extent,
    blend_path,
    blend_sizes,
    blend_turns,
    shifts_together,
)
from motion_studio.studio.roles import Role
from motion_studio.studio.tracks import Mix, Track, naming

Load = Callable[[str], Motion]

# These leave the mean over the frames where it was, so that looks can be taken out after them as well.
KEEP_LOOKS_APART = ("reverse", "mirror", "turn", "move", "zoom", "mask")
REST = Film()


def build(mix: Mix, load: Load) -> Motion:
    """Sum the tracks into one motion whose lineage names its parents and whose settings hold the mix.

    `load` reads a motion by name. A motion of another number of frames is stretched to the mix's. Raises
    InputError (or IncompatibleMotion, MotionFileError) that names the track at fault, and where tracks have
    words of their own: what moves several objects is no one motion, but a `cast`.
    """
    if len(mix.prompts) > 1:
        raise InputError(
            "Tracks with words of their own make a clip together, but not one motion: take the words out."
        )
    operations = _operations(mix)
    drawn, camera = _drawn(mix, load)
    shifts = [None] * len(mix.tracks) if mix.together == "no" else _shifts_together(drawn, mix.law)
    laid = list(zip(mix.tracks, operations, shifts, strict=True))
    apart = any(
        track.windowed or shift is not None or not _keeps_looks_apart(steps) for track, steps, shift in laid
    )
    frames = mix.frames
    terms: list[tuple[Motion, float]] = []
    for number, ((track, steps, shift), gain) in enumerate(zip(laid, _gains(mix, drawn), strict=True), 1):
        with naming(number, track.motion):
            motion = load(track.motion)
            motion = _apply(without_looks(motion, "background") if apart else motion, steps)
            frames = frames or motion.frames
            motion = motion if motion.frames == frames else resampled(motion, frames)
            motion = _apply(motion, _window(track))
            if shift is not None:
                motion = _shifted(motion, shift, mix.together == "sum" and track.weight < 0)
            if terms:
                blend([terms[0], (motion, 1.0)])  # refuses, by this track's name, what does not fit
            terms.append((motion, gain))
    # A sum knows its weights, but not which of its frames an operation has silenced: the tracks do.
    (way,) = drawn["blends"]
    path = way if way and None not in way else None
    heard = [torch.tensor(track["weight"]) for track in drawn["tracks"]]
    parts = [(motion, weight) for (motion, _), weight in zip(terms, heard, strict=True)]
    curves = {
        "path": path,
        "extent": _extent(mix, drawn, terms),
        "sizes": blend_sizes([(motion.sizes(), weight) for motion, weight in parts]),
        "turns": blend_turns([(motion.turns(), weight) for motion, weight in parts]),
        "camera": camera,
    }
    return blend(terms).replace_info(settings={"mix": mix.to_json()}, **curves)


def cast(mix: Mix, load: Load) -> list[Role]:
    """The mix as roles, one for each of its `prompts` in their order; the first has the camera of all.

    Raises InputError as `build` does, and for a track with words whose motion does not say where it goes.
    """
    drawn, camera = _drawn(mix, load)
    roles = []
    for words, way in zip(mix.prompts, drawn["blends"], strict=True):
        tracks = tuple(track for track in mix.tracks if track.prompt == words)
        if way is None and roles:
            number = mix.tracks.index(tracks[0]) + 1
            raise InputError(
                f"Track {number} ({tracks[0].motion}) has words of its own, but its motion has no path: "
                "it moves no object that they could name."
            )
        motion = build(replace(mix, tracks=tracks, frames=drawn["frames"]), load)
        if not roles and len(mix.prompts) > 1:
            motion = motion.replace_info(camera=camera)
        path = None if way is None else torch.tensor([point or [math.nan] * 2 for point in way])
        roles.append(Role(words, motion, path))
    return roles


def edit(motion: Motion, operations: Sequence[dict[str, Any]]) -> Motion:
    """Apply operations, given as JSON, in their order. Raises InputError for one that does not fit."""
    steps = [operation_from_json(step) for step in operations]
    return _apply(motion if _keeps_looks_apart(steps) else without_looks(motion, "background"), steps)


def preview_paths(mix: Mix, load: Load, film: Film = REST) -> dict[str, Any]:
    """The object's way in each track and in the mix, and the mix's camera, as `film` sees them, unbuilt.

    A dict with `frames`, `tracks`: a list of {motion, path, weight}, `blends`: a path for each of the mix's
    prompts, `radii`: about how large the object is that goes there, 0 where not known, and `camera`. A path
    is a list of [x, y] in fractions of the width, y down, or None where the motion has none; a blend's points
    are None at frames where no track is heard. A track's weight has one value a frame. The camera is a list
    of rows as in MotionInfo, None where it is not known or rests. Raises InputError as `build` does.
    """
    drawn, camera = _drawn(mix, load)
    if film != REST:
        aspect = load(mix.tracks[0].motion).aspect
        for track in drawn["tracks"]:
            track["path"] = _filmed(track["path"], film, aspect)
        drawn["blends"] = [_filmed(way, film, aspect) for way in drawn["blends"]]
        camera = film.seen(camera, drawn["frames"])
    rests = camera is None or not moving(camera)
    return {**drawn, "camera": None if rests else camera.tolist()}


def _filmed(path: list | None, film: Film, aspect: float) -> list | None:
    """A path as `_points` gives it, seen by a camera that moves."""
    if path is None:
        return None
    moved = film.apply_path(torch.tensor([point or [0.0, 0.0] for point in path]), aspect).tolist()
    return [point and place for point, place in zip(path, moved, strict=True)]


def _drawn(mix: Mix, load: Load) -> tuple[dict[str, Any], Tensor | None]:
    """What `preview_paths` draws, and the mix's camera even where it rests."""
    frames = mix.frames
    shown: list[dict[str, Any]] = []
    terms: dict[str, list[tuple[Tensor, Tensor]]] = {prompt: [] for prompt in mix.prompts}
    radii = dict.fromkeys(mix.prompts, 0.0)
    cameras: list[tuple[Tensor | None, Tensor, Tensor]] = []
    for number, (track, steps) in enumerate(zip(mix.tracks, _operations(mix), strict=True), 1):
        with naming(number, track.motion):
            motion = _outline(load(track.motion))
            played = torch.full((motion.frames,), track.weight)
            for step in steps:
                motion, played = step.apply(motion), _played(step, played)
            frames = frames or motion.frames
            motion = motion if motion.frames == frames else resampled(motion, frames)
            played = stretched(played[:, None], frames)[:, 0]
            for step in _window(track):
                motion, played = step.apply(motion), _played(step, played)
        path, weight = motion.path(), played * motion.heard()
        shown.append({"motion": track.motion, "path": _points(path), "weight": weight.tolist()})
        cameras.append((motion.camera(), played, motion.heard()))
        if path is not None:
            terms[track.prompt].append((path, weight))
            radii[track.prompt] = max(radii[track.prompt], motion.info.extent)
    ways = [_points(blend_path(mine, mix.law)) if mine else None for mine in terms.values()]
    drawn = {"frames": frames, "tracks": shown, "blends": ways, "radii": list(radii.values())}
    return drawn, blend_camera(cameras, mix.law)


def _extent(mix: Mix, drawn: dict[str, Any], terms: Sequence[tuple[Motion, float]]) -> float:
    """How large the mix's object is; 0 where its tracks move several, or it is not known."""
    paths, (way,) = [track["path"] for track in drawn["tracks"]], drawn["blends"]
    if None in paths or None in way:
        return 0.0
    way = torch.tensor(way)
    weights = [torch.tensor(track["weight"]) for track in drawn["tracks"]]
    paths = [way if mix.together != "no" else torch.tensor(path) for path in paths]
    radii = [motion.info.extent for motion, _ in terms]
    return blend_extent(list(zip(paths, weights, radii, strict=True)), way)


def _outline(motion: Motion) -> Motion:
    """A motion of zeros with the same curves and aspect: what becomes of those is known while one drags."""
    grids = [site.grid for site in motion.sites.values() if site.grid] or [motion.info.latent_size or (1, 1)]
    height, width = max(grids, key=math.prod)
    grid = (height // math.gcd(height, width), width // math.gcd(height, width))
    site = SiteEmbedding(torch.zeros(motion.frames, 1), grid=grid, heard=motion.heard())
    if motion.rank:
        site = replace(site, space=torch.zeros(1, math.prod(grid), 1), time=torch.zeros(1, motion.frames, 1))
    return replace(motion, sites={"outline": site})


def _shifts_together(drawn: dict[str, Any], law: str) -> list[Tensor | None]:
    """How each track's object must be moved to the mix's path, as `preview_paths` draws both; None: not."""
    known = {
        number: (torch.tensor(track["path"]), torch.tensor(track["weight"]))
        for number, track in enumerate(drawn["tracks"])
        if track["path"] is not None
    }
    shifts = dict(zip(known, shifts_together(list(known.values()), law), strict=True)) if known else {}
    moved = {number: shift for number, shift in shifts.items() if shift.abs().max() > 1e-4}
    return [moved.get(number) for number in range(len(drawn["tracks"]))]


def _shifted(motion: Motion, shift: Tensor, turned: bool) -> Motion:
    """The motion with its object moved by (N, 2); `turned` where it is to go the other way, so that what the
    embedding says of its sides turns with it."""
    if turned:
        path, motion = motion.path(), Turn(180).apply(motion)
        shift = shift + path - motion.path()
    return Along(shift).apply(motion)


def _gains(mix: Mix, drawn: dict[str, Any]) -> list[float]:
    """The tracks' weights in the sum of motions.

    Where ways add up, the way has them: it says how far a track goes, and whether the other way round. Played
    softly a motion would not follow it: there the loudest plays at full, and none against the others. A track
    without a way keeps its sign.
    """
    weights = [track.weight for track in mix.tracks]
    if mix.together != "sum":
        return weights
    loudest = max(map(abs, weights)) or 1.0
    ways = [track["path"] for track in drawn["tracks"]]
    gains = [weight if way is None else abs(weight) for weight, way in zip(weights, ways, strict=True)]
    return [gain / loudest for gain in gains]


def _operations(mix: Mix) -> list[list[Operation]]:
    steps = []
    for number, track in enumerate(mix.tracks, 1):
        with naming(number, track.motion):
            steps.append([operation_from_json(step) for step in track.operations])
    return steps


def _window(track: Track) -> list[Operation]:
    """What makes a track begin later, and what makes it heard in a part of the frames only."""
    fade = Fade(track.fade_in, track.fade_out, track.start, track.length)
    later: list[Operation] = [Delay(track.start)] if track.start else []
    return [*later, fade] if track.windowed else []


def _played(step: Operation, strength: Tensor) -> Tensor:
    """A strength a frame (N,) after a step; of a fade the motion itself knows how far frames hear it."""
    return strength if isinstance(step, Fade) else step.apply_strength(strength)


def _apply(motion: Motion, steps: Sequence[Operation]) -> Motion:
    for step in steps:
        motion = step.apply(motion)
    return motion


def _keeps_looks_apart(steps: Sequence[Operation]) -> bool:
    return all(
        step.op in KEEP_LOOKS_APART or (step.op == "strength" and not isinstance(step.value, tuple))
        for step in steps
    )


def _points(path: Tensor | None) -> list[list[float] | None] | None:
    if path is None:
        return None
    return [point.tolist() if point.isfinite().all() else None for point in path]
