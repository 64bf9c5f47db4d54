"""How steady a ground is, and how an object grows and turns, on clips where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from motion_studio.toybox.judge import flicker, judge
from motion_studio.toybox.sample import sample_scene
from motion_studio.toybox.shapes import SYMMETRY
from motion_studio.toybox.world import Ground, render
from motion_studio.video.clip import Clip


def scene(seed: int, camera: str = "none"):
    return sample_scene(seed, move="circle", camera=camera)


@pytest.mark.parametrize("pattern", ["stripes", "checks", "dots"])
def test_a_ground_holds_still_or_flickers(pattern):
    shown = [replace(scene(4), ground=Ground(colour, pattern, 1)) for colour in ("blue", "red")]
    steady, other = map(render, shown)
    assert flicker(steady) < 0.002  # whatever the object does before it
    turns = (torch.arange(steady.num_frames) // 4 % 2)[:, None, None, None]
    for changed in (steady.frames.flip(3), other.frames):
        jumps = Clip(torch.where(turns == 1, changed, steady.frames), 8)
        assert flicker(jumps) > 0.004 > 2 * flicker(steady)
    half = Clip(steady.frames.lerp(steady.frames.flip(3), 0.2 * turns), 8)
    assert flicker(half) < flicker(Clip(torch.where(turns == 1, steady.frames.flip(3), steady.frames), 8))


def test_it_is_asked_where_the_camera_rests():
    still, pan = scene(3), scene(3, camera="pan")
    assert judge(still, still, render(still)).flicker < 0.002
    assert np.isnan(judge(pan, pan, render(pan)).flicker)


@pytest.mark.parametrize(("move", "key"), [("grow", "growth"), ("spin", "turn")])
def test_growth_and_turns_are_read_where_there_are_any(move, key):
    seeds = (seed for seed in count(3) if SYMMETRY[sample_scene(seed, move=move).things[0].shape])
    moved = sample_scene(next(seeds), move=move, camera="none")
    curves = ("scale", "angle")
    held = {name: np.repeat(getattr(moved.things[0], name)[:1], len(moved.camera)) for name in curves}
    back = {name: getattr(moved.things[0], name)[::-1] for name in curves}
    still, reversed_ = (replace(moved, things=(replace(moved.things[0], **to),)) for to in (held, back))
    itself, against = (judge(moved, moved, render(one)) for one in (moved, reversed_))
    assert getattr(itself, key) > 0.98 and getattr(itself, f"{key}_size") == pytest.approx(1, abs=0.1)
    assert getattr(against, key) < -0.9
    assert getattr(judge(moved, moved, render(still)), f"{key}_size") < 0.2
    assert np.isnan(getattr(judge(still, still, render(still)), key))
