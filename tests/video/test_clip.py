"""A clip's own checks, and its fitting in time and size."""

from __future__ import annotations

import math

import pytest
import torch

from motion_studio.errors import ClipError
from motion_studio.video.clip import Clip, fit


def _counting(frames: int, fps: float, height: int = 8, width: int = 8) -> Clip:
    """Each frame is a flat grey that tells its number."""
    grey = torch.arange(frames) / 100
    return Clip(grey[:, None, None, None].expand(frames, 3, height, width).contiguous(), fps)


def _numbers(clip: Clip) -> list[int]:
    return (clip.frames[:, 0, clip.height // 2, clip.width // 2] * 100).round().int().tolist()


def test_what_a_clip_knows():
    clip = _counting(12, 8, 6, 10)
    assert (clip.num_frames, clip.height, clip.width, clip.seconds) == (12, 6, 10, 1.5)


@pytest.mark.parametrize(
    "frames", [torch.zeros(2, 8, 8), torch.zeros(2, 4, 8, 8), torch.zeros(0, 3, 8, 8), None]
)
def test_wrong_frames_are_refused(frames):
    with pytest.raises(ClipError):
        Clip(frames, 8)


def test_wrong_type_or_rate_is_refused():
    with pytest.raises(ClipError, match="float32"):
        Clip(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 8)
    for fps in (0, -1, math.nan, math.inf):
        with pytest.raises(ClipError, match="above 0"):
            Clip(torch.zeros(2, 3, 8, 8), fps)


def test_same_size_and_length_is_the_same():
    clip = Clip(torch.rand(16, 3, 8, 8), 8)
    assert fit(clip, 16, 8, 8).frames.equal(clip.frames)
    assert fit(clip, 16, 8, 8, fps=8).frames.equal(clip.frames)


def test_time_is_resampled_to_the_nearest_frame():
    assert _numbers(fit(_counting(30, 15), 15, 8, 8)) == [round(n * 29 / 14 - 1e-6) for n in range(15)]
    half = fit(_counting(30, 16), 16, 8, 8, fps=8)
    assert (_numbers(half), half.fps) == ([*range(0, 30, 2), 29], 8)
    assert fit(_counting(30, 15), 10, 8, 8).fps == pytest.approx(5)
    assert fit(_counting(30, 15), None, 8, 8, fps=5).num_frames == 10


def test_short_part_is_spread_and_no_frame_held():
    slow = fit(_counting(8, 8), 16, 8, 8, fps=8)
    assert slow.num_frames == 16
    assert _numbers(slow)[0] == 0
    assert _numbers(slow)[-1] == 7
    assert max(_numbers(slow).count(n) for n in range(8)) <= 3


def test_part_is_taken_by_seconds():
    clip = _counting(40, 10)
    assert _numbers(fit(clip, None, 8, 8, start=1.0, end=1.5)) == [10, 11, 12, 13, 14]
    assert _numbers(fit(clip, 3, 8, 8, fps=5, start=2.0)) == [20, 22, 24]
    assert _numbers(fit(clip, None, 8, 8, start=3.8, end=99)) == [38, 39]
    for start, end in ((4.0, None), (2.0, 2.0), (-1.0, None)):
        with pytest.raises(ClipError, match="no frame"):
            fit(clip, 4, 8, 8, start=start, end=end)


def test_crop_fills_from_the_centre_and_letterbox_shows_all():
    frames = torch.zeros(2, 3, 8, 16)
    frames[..., 4:12] = 1
    wide = Clip(frames, 8)
    assert fit(wide, 2, 8, 8).frames.min() == 1
    boxed = fit(wide, 2, 16, 16, how="letterbox").frames
    assert boxed[:, :, :4].max() == 0
    assert boxed[:, :, 12:].max() == 0
    assert boxed[0, 0, 8, 8] == 1
    assert fit(wide, 2, 4, 8).frames.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("bad", [{"how": "stretch"}, {"fps": 0}, {"frames": 0}, {"height": 0}])
def test_impossible_fits_are_refused(bad):
    with pytest.raises(ClipError):
        fit(_counting(4, 8), **{"frames": 4, "height": 8, "width": 8, **bad})
