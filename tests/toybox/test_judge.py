"""How steady a ground is, on clips where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from motion_studio.toybox.judge import flicker, judge
from motion_studio.toybox.sample import sample_scene
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
