"""Motions as tracks: each with a weight, operations, a place in time and fades; summed into one motion.

Times are frames, as in the operations. What stands still in a motion (its source's looks) is taken out before
anything that would make it move or pulse: a window, a fade, another speed, a path.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from motion_studio.errors import InputError
from motion_studio.motion.arithmetic import blend, operation_from_json, resampled
from motion_studio.motion.carried import moving
from motion_studio.motion.checks import Choice, Number, Whole
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.factors import stretched
from motion_studio.motion.looks import without_looks
from motion_studio.motion.operation import Operation
from motion_studio.motion.operations_place import Along, Turn
from motion_studio.motion.operations_time import Delay, Fade
from motion_studio.motion.ways import LAWS, blend_camera, blend_extent, blend_path, shifts_together

Load = Callable[[str], Motion]

TOGETHER = ("no", *LAWS)
"""How tracks that differ are laid together: not at all, or by a law of blends."""
MAX_TRACKS = 32
MAX_OPERATIONS = 32
# These leave the mean over the frames where it was, so that looks can be taken out after them as well.
KEEP_LOOKS_APART = ("reverse", "mirror", "turn", "move", "zoom", "mask")
RESTS = 0.05
"""How far a camera must be `moving` to be drawn: less is what tracking a still one gives."""


@dataclass(frozen=True)
class Track:
    """One motion of a mix. Raises InputError for a field of the wrong kind."""

    motion: str
    """Its name in the library."""
    weight: float = 1.0
    """How strongly it counts; may be negative."""
    start: float = 0.0
    """The frame of the mix at which it begins; it is silent before."""
    length: float | None = None
    """For how many frames it is heard; None: to the end."""
    fade_in: float = 0.0
    """Frames from silence to full, from `start` on."""
    fade_out: float = 0.0
    """Frames from full to silence, up to its end."""
    operations: Sequence[dict[str, Any]] = ()
    """Operations as JSON, in the order in which they act."""

    def __post_init__(self) -> None:
        if not isinstance(self.motion, str) or not self.motion:
            raise InputError(f"A track's motion is {self.motion!r}, a name is needed.")
        checks = {"weight": Number(-10, 10), "start": Number(0), "fade_in": Number(0), "fade_out": Number(0)}
        for name, check in checks.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.length is not None:
            object.__setattr__(self, "length", Number(0)("length", self.length))
        if not isinstance(self.operations, list | tuple) or len(self.operations) > MAX_OPERATIONS:
            raise InputError(f"A track's operations are a list of {MAX_OPERATIONS} at most.")
        object.__setattr__(self, "operations", tuple(self.operations))

    @property
    def windowed(self) -> bool:
        """Whether it is heard in a part of the frames only."""
        return bool(self.start or self.length is not None or self.fade_in or self.fade_out)


@dataclass(frozen=True)
class Mix:
    """Tracks to sum into a motion of `frames` frames (None: those of the first track)."""

    tracks: tuple[Track, ...]
    frames: int | None = None
    together: str = "no"
    """Whether the tracks move one object, one of TOGETHER. By "mean" and "sum" each is moved along, at each
    frame, to where the mix's path is, which is the mean of theirs or their steps added up (`blend_path`).
    By "no" each puts it where its own path is, and where they differ the loudest wins."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.tracks) <= MAX_TRACKS:
            raise InputError(f"A mix has {len(self.tracks)} tracks, 1 to {MAX_TRACKS} are allowed.")
        if self.frames is not None:
            object.__setattr__(self, "frames", Whole(2, 512)("frames", self.frames))
        object.__setattr__(self, "together", Choice(TOGETHER)("together", self.together))

    @property
    def law(self) -> str:
        """Which way it goes, one of LAWS: tracks that go their own ways are drawn at the mean of them."""
        return "sum" if self.together == "sum" else "mean"

    def to_json(self) -> dict[str, Any]:
        """The mix as JSON values; `from_json` makes it again."""
        tracks = [
            {**dataclasses.asdict(track), "operations": list(track.operations)} for track in self.tracks
        ]
        return {"tracks": tracks, "frames": self.frames, "together": self.together}

    @classmethod
    def from_json(cls, values: Any) -> Mix:
        """The mix that `to_json` wrote. Raises InputError, naming the track, for anything else."""
        known = {field.name for field in dataclasses.fields(Track)}
        if not isinstance(values, dict) or not isinstance(values.get("tracks"), list):
            raise InputError('A mix is an object like {"tracks": [{"motion": "circle", "weight": 1}]}.')
        if unknown := sorted(set(values) - {"tracks", "frames", "together"}):
            raise InputError(f"A mix has no {', '.join(unknown)}; tracks, frames and together are allowed.")
        tracks = []
        for number, track in enumerate(values["tracks"], 1):
            if not isinstance(track, dict) or "motion" not in track or not set(track) <= known:
                raise InputError(f"Track {number} must be an object of {', '.join(sorted(known))}.")
            with _naming(number, track["motion"]):
                tracks.append(Track(**track))
        together = values.get("together", "no")
        # Before there was a choice of laws, it was true or false.
        together = {True: "mean", False: "no"}[together] if isinstance(together, bool) else together
        return cls(tuple(tracks), values.get("frames"), together)


def build(mix: Mix, load: Load) -> Motion:
    """Sum the tracks into one motion whose lineage names its parents and whose settings hold the mix.

    `load` reads a motion by name. A motion of another number of frames is stretched to the mix's. Raises
    InputError (or IncompatibleMotion, MotionFileError) that names the track at fault.
    """
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
        with _naming(number, track.motion):
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
    way = drawn["blend"]
    path = way if way and None not in way else None
    rows = None if camera is None else camera.tolist()
    curves = {"path": path, "extent": _extent(mix, drawn, terms), "camera": rows}
    return blend(terms).replace_info(settings={"mix": mix.to_json()}, **curves)


def edit(motion: Motion, operations: Sequence[dict[str, Any]]) -> Motion:
    """Apply operations, given as JSON, in their order. Raises InputError for one that does not fit."""
    steps = [operation_from_json(step) for step in operations]
    return _apply(motion if _keeps_looks_apart(steps) else without_looks(motion, "background"), steps)


def preview_paths(mix: Mix, load: Load) -> dict[str, Any]:
    """The object's way in each track and in the mix, and the mix's camera, without building it.

    A dict with `frames`, `tracks`: a list of {motion, path, weight}, `blend` and `camera`. A path is a list
    of [x, y] in fractions of the width, y down, or None where the motion has none; the blend's points are
    None at frames where no track is heard. A track's weight has one value a frame. The camera is a list of
    rows as in MotionInfo, None where it is not known or rests. Raises InputError as `build` does.
    """
    drawn, camera = _drawn(mix, load)
    rests = camera is None or moving(camera) < RESTS
    return {**drawn, "camera": None if rests else camera.tolist()}


def _drawn(mix: Mix, load: Load) -> tuple[dict[str, Any], Tensor | None]:
    """What `preview_paths` draws, and the mix's camera even where it rests."""
    frames = mix.frames
    shown: list[dict[str, Any]] = []
    terms: list[tuple[Tensor, Tensor]] = []
    cameras: list[tuple[Tensor | None, Tensor]] = []
    for number, (track, steps) in enumerate(zip(mix.tracks, _operations(mix), strict=True), 1):
        with _naming(number, track.motion):
            motion = _outline(load(track.motion))
            heard = torch.ones(motion.frames)
            for step in steps:
                motion, heard = _unfaded(step, motion), step.apply_strength(heard)
            frames = frames or motion.frames
            motion = motion if motion.frames == frames else resampled(motion, frames)
            heard = stretched(heard[:, None], frames)[:, 0]
            for step in _window(track):
                motion, heard = _unfaded(step, motion), step.apply_strength(heard)
        path, weight = motion.path(), heard * track.weight
        shown.append({"motion": track.motion, "path": _points(path), "weight": weight.tolist()})
        cameras.append((motion.camera(), weight))
        if path is not None:
            terms.append((path, weight))
    way = _points(blend_path(terms, mix.law)) if terms else None
    return {"frames": frames, "tracks": shown, "blend": way}, blend_camera(cameras, mix.law)


def _extent(mix: Mix, drawn: dict[str, Any], terms: Sequence[tuple[Motion, float]]) -> float:
    """How large the mix's object is; 0 where its tracks move several, or it is not known."""
    paths = [track["path"] for track in drawn["tracks"]]
    if None in paths or None in drawn["blend"]:
        return 0.0
    way = torch.tensor(drawn["blend"])
    weights = [torch.tensor(track["weight"]) for track in drawn["tracks"]]
    paths = [way if mix.together != "no" else torch.tensor(path) for path in paths]
    radii = [motion.info.extent for motion, _ in terms]
    return blend_extent(list(zip(paths, weights, radii, strict=True)), way)


def _outline(motion: Motion) -> Motion:
    """A motion of zeros with the same curves and aspect: what becomes of those is known while one drags."""
    grids = [site.grid for site in motion.sites.values() if site.grid] or [motion.info.latent_size or (1, 1)]
    height, width = max(grids, key=math.prod)
    grid = (height // math.gcd(height, width), width // math.gcd(height, width))
    site = SiteEmbedding(torch.zeros(motion.frames, 1), grid=grid)
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
        with _naming(number, track.motion):
            steps.append([operation_from_json(step) for step in track.operations])
    return steps


def _window(track: Track) -> list[Operation]:
    """What makes a track begin later, and what makes it heard in a part of the frames only."""
    fade = Fade(track.fade_in, track.fade_out, track.start, track.length)
    later: list[Operation] = [Delay(track.start)] if track.start else []
    return [*later, fade] if track.windowed else []


def _unfaded(step: Operation, motion: Motion) -> Motion:
    """The motion after a step; a fade does nothing, since curves are summed with weights that have it."""
    return motion if isinstance(step, Fade) else step.apply(motion)


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


@contextmanager
def _naming(number: int, name: Any) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise type(error)(f"Track {number} ({str(name)[:64]}): {error}") from None
