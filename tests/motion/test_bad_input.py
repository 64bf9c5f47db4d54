"""Bad input is refused in one line that says what was given and what is allowed."""

from __future__ import annotations

import math

import pytest
import torch

from motion_studio.errors import IncompatibleMotion, InputError
from motion_studio.motion import arithmetic
from motion_studio.motion.arithmetic import blend, compact, cross_fade, resampled, then
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.operations_place import Along, Amplitude, Follow, Mask, Mirror
from motion_studio.motion.operations_time import Delay, Fade, Speed, Strength, Trim
from motion_studio.motion.ways import blend_path
from tests.motion.operation_examples import PLACE, TIME, name

JSON = {
    "nothing": (None, 'like {"op": "turn", "degrees": 90}, not None'),
    "a text": ("reverse", "not 'reverse'"),
    "no name": ({"degrees": 90}, "An operation is like"),
    "a name that is no text": ({"op": ["turn"]}, "An operation is like"),
    "unknown": ({"op": "explode"}, "no operation 'explode'; reverse, speed, .* are allowed"),
    "unknown parameter": (
        {"op": "turn", "degrees": 90, "axis": "x"},
        "turn has no parameter axis; degrees are",
    ),
    "parameter of none": ({"op": "reverse", "factor": 2}, "reverse has no parameter factor; none is allowed"),
    "missing": ({"op": "mask", "x0": 0, "y0": 0}, "mask needs x1, y1"),
    "a text for a number": (
        {"op": "turn", "degrees": "90"},
        "turn.degrees is '90', a finite number is allowed",
    ),
    "true for a number": ({"op": "zoom", "factor": True}, "zoom.factor is True, a finite number"),
    "null for a number": ({"op": "zoom", "factor": None}, "zoom.factor is None, a finite number"),
    "NaN": ({"op": "turn", "degrees": math.nan}, "turn.degrees is nan, a finite number"),
    "infinity": ({"op": "delay", "frames": math.inf}, "delay.frames is inf"),
    "too large for a float": ({"op": "delay", "frames": 10**400}, "delay.frames is"),
    "film that shrinks to nothing": ({"op": "film", "zoom": 0}, "film.zoom is 0, 0.25 to 4 is allowed"),
    "film of text": ({"op": "film", "pan": "left"}, "film.pan is 'left', a finite number"),
    "zoom 0": ({"op": "zoom", "factor": 0}, "zoom.factor is 0, 0.1 to 10 is allowed"),
    "too fast": ({"op": "speed", "factor": 80}, "speed.factor is 80, -8 to 8 is allowed"),
    "pivot before the start": ({"op": "speed", "factor": 1, "pivot": -1}, "speed.pivot is -1, 0 or more"),
    "no axis": ({"op": "mirror", "axis": "z"}, "mirror.axis is 'z', x or y is allowed"),
    "an axis that cannot be looked up": ({"op": "mirror", "axis": ["x"]}, r"mirror.axis is \['x'\]"),
    "no kind": ({"op": "ease", "kind": "slow"}, "ease.kind is 'slow', in or out or in-out is allowed"),
    "loop 0": ({"op": "loop", "times": 0}, "loop.times is 0, 0.125 to 64"),
    "loop back as a number": ({"op": "loop", "times": 1, "back": 1}, "loop.back is 1, true or false"),
    "trim to nothing": ({"op": "trim", "start": 0, "length": 0}, "trim.length is 0, 1 or more"),
    "trim between frames": ({"op": "trim", "start": 0.5, "length": 3}, "trim.start is 0.5, a whole number"),
    "an empty curve": ({"op": "strength", "value": []}, "strength.value has 0 values, 1 to"),
    "NaN in a curve": ({"op": "strength", "value": [1, math.nan]}, r"strength.value\[1\] is nan"),
    "a table for a curve": ({"op": "strength", "value": [[1]]}, r"strength.value\[0\] is \[1\]"),
    "an empty path": ({"op": "along", "path": []}, "along.path must be a list of 1 to 4096 points"),
    "a path of numbers": ({"op": "along", "path": [1, 2]}, r"points \[x, y\]"),
    "a path in space": ({"op": "along", "path": [[1, 2, 3]]}, r"points \[x, y\]"),
    "no path": ({"op": "along", "path": None}, r"points \[x, y\]"),
    "NaN in a path": ({"op": "along", "path": [[0, math.nan]]}, r"along.path\[0\].y is nan"),
    "an endless path": ({"op": "along", "path": [[0, 0]] * 5000}, "1 to 4096"),
    "a region outside of the picture": (
        {"op": "mask", "x0": 1.2, "y0": 0, "x1": 1.5, "y1": 1},
        "mask.x0 is 1.2, 0 to 1 is allowed",
    ),
    "a region before the picture": (
        {"op": "mask", "x0": 0, "y0": -1, "x1": 1, "y1": 1},
        "mask.y0 is -1, 0 or",
    ),
    "a region without area": (
        {"op": "mask", "x0": 0.5, "y0": 0, "x1": 0.5, "y1": 1},
        r"\(0.5, 0\) and \(0.5, 1\); x0 < x1",
    ),
    "negative fade": ({"op": "fade", "in_frames": -1}, "fade.in_frames is -1, 0 or more"),
}


@pytest.mark.parametrize("case", JSON)
def test_operations_from_json(case):
    values, message = JSON[case]
    with pytest.raises(InputError, match=message) as caught:
        arithmetic.operation_from_json(values)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Trim(8, 5), "frames 8 to 12, 0 to 11 are allowed for 12 frames"),
        (Speed(1, pivot=12), "speed.pivot is 12, 0 to 11 is allowed for 12 frames"),
        (Strength([1, 2, 3]), "strength.value has 3 values, the motion has 12 frames"),
        (Follow([(0.5, 0.5)]), "follow needs the object's own path"),
        (Follow([(0.5, 0.5)], [(0, 0)] * 11), "follow.own has 11 values, the motion has 12 frames"),
        (Along([(0, 0)] * 11), "along.path has 11 values, the motion has 12 frames"),
        (Amplitude(2, [(0, 0)] * 16), "amplitude.path has 16 values, the motion has 12 frames"),
        (Amplitude(2), "amplitude needs the object's path"),
        (Mask(0, 0, 1, 1.5), "mask.y1 is 1.5, up to the picture's height 1 is allowed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_operations_that_do_not_fit(operation, message, make_motion):
    with pytest.raises(InputError, match=message):
        operation.apply(make_motion())


@pytest.mark.parametrize(
    "operation", [*(one for one in PLACE if one.op != "film"), Mask(0, 0, 0.5, 1)], ids=name
)
def test_places_of_a_motion_without_values(operation):
    keys = Motion({"a": SiteEmbedding(torch.ones(12, 3))}, MotionInfo(version="v1"))
    with pytest.raises(IncompatibleMotion, match=f"{operation.op} works on value embeddings.*version v1"):
        operation.apply(keys)


@pytest.mark.parametrize(
    "path", [torch.zeros(12), torch.zeros(12, 3), torch.zeros(0, 2), torch.full((12, 2), torch.nan)]
)
@pytest.mark.parametrize("operation", [TIME[0], Mirror("x"), Mask(0, 0, 0.5, 1)], ids=name)
def test_broken_paths(operation, path):
    with pytest.raises(InputError, match=r"\(frames, 2\) with finite values is allowed"):
        operation.apply_path(path)


DIFFERENT = {
    "frames": ({"frames": 16}, "differ in frames: 12 and 16; resample one of them first"),
    "base": ({"base": "other"}, "differ in base model: toybox and other"),
    "weights": ({"base_hash": "beef"}, "differ in base model's weights: cafe and beef"),
    "version": ({"version": "v1"}, "differ in version: v2 and v1"),
    "grids": (
        {"grids": {"down": (8, 8), "mid": (4, 4), "up": (6, 5)}},
        r"site up: 5 .* grid \(6, 6\).*\(6, 5\)",
    ),
    "looks": ({"looks": "difference"}, "differ in looks taken out: difference and raw"),
    "sites": ({"base": "", "grids": {"down": (8, 8)}}, "different sites: mid, up only in one"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_motions_that_do_not_fit(case, make_motion):
    changes, message = DIFFERENT[case]
    known = {"base": "toybox", "base_hash": "cafe"}
    a, b = make_motion(**known), make_motion(1, **{**known, **changes})
    for mix in (lambda: blend([(a, 1), (b, 1)]), lambda: cross_fade(a, b, 3, 2), lambda: then(a, b, 3)):
        with pytest.raises(IncompatibleMotion, match=message) as caught:
            mix()
        assert "\n" not in str(caught.value)


def test_channels_that_do_not_fit(make_motion):
    a = make_motion()
    other = Motion({n: SiteEmbedding(torch.zeros(12, 7)) for n in a.sites})
    with pytest.raises(IncompatibleMotion, match="5 channels .* 7 channels"):
        blend([(a, 1), (other, 1)])


def test_weights(make_motion):
    a = make_motion()
    with pytest.raises(InputError, match="at least one motion"):
        blend([])
    for weight in (math.nan, "1", None, True):
        with pytest.raises(InputError, match="A weight is .*, a finite number is allowed"):
            blend([(a, weight)])
    with pytest.raises(InputError, match="A weight has 5 values, the motion has 12 frames"):
        blend([(a, torch.ones(5))])
    with pytest.raises(InputError, match="not finite"):
        blend([(a, torch.full((12,), torch.nan))])
    with pytest.raises(InputError, match="The path has 5 values, the motion has 12 frames"):
        blend_path([(torch.zeros(12, 2), 1), (torch.zeros(5, 2), 1)])
    with pytest.raises(InputError, match="at least one path"):
        blend_path([])


def test_places_in_time(make_motion):
    a = make_motion()
    with pytest.raises(InputError, match="then.at is 13, 0 to 12 is allowed"):
        then(a, a, 13)
    with pytest.raises(InputError, match="then.fade is -1, 0 or more"):
        then(a, a, 3, fade=-1)
    with pytest.raises(InputError, match="cross_fade.length is -2, 0 or more"):
        cross_fade(a, a, 3, -2)
    with pytest.raises(InputError, match="path of both motions"):
        then(a, a, 3, join=True)


def test_sizes(make_motion):
    a = make_motion()
    with pytest.raises(InputError, match="rank is 0, 1 or more"):
        compact(a, 0)
    with pytest.raises(InputError, match="frames is 0, 1 or more"):
        resampled(a, 0)
    with pytest.raises(InputError, match="frames is 2.5, a whole number"):
        resampled(a, 2.5)
    with pytest.raises(InputError, match="no site side; it has down, mid, up"):
        resampled(a, grids={"side": (2, 2)})
    with pytest.raises(InputError, match=r"A grid is \(0, 2\)"):
        resampled(a, grids={"up": (0, 2)})


def test_what_is_allowed_at_the_limits(make_motion):
    a = make_motion()
    for operation in (Delay(-1e6), Delay(1e6), Fade(1e6, 1e6), Fade(start=-5, length=1), Speed(8), Speed(-8)):
        assert operation.apply(a).frames == 12
