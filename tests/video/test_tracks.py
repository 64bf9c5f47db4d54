"""The object's path, the camera's curve and the flow, against clips whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn_clips import CAMERAS, PATHS, backwards, draw

from motion_studio.errors import ClipError
from motion_studio.video.clip import Clip
from motion_studio.video.flow import flow
from motion_studio.video.measures import camera_correlation, path_correlation, size_ratio
from motion_studio.video.tracks import camera_curve, see, track_object, tracks


def _noisy(clip: Clip, amount: float = 0.03) -> Clip:
    noise = torch.randn(clip.frames.shape, generator=torch.Generator().manual_seed(1)) * amount
    return Clip((clip.frames + noise).clamp(0, 1), clip.fps)


@pytest.mark.parametrize(
    ("pattern", "shape"), [("plain", "square"), ("stripes", "disc"), ("checks", "square"), ("clouds", "disc")]
)
@pytest.mark.parametrize("name", ["straight", "circle", "wave", "small"])
def test_object_on_a_still_ground(name, pattern, shape):
    path = track_object(draw(PATHS[name], pattern=pattern, shape=shape))
    truth = torch.tensor(PATHS[name])
    assert path_correlation(path, truth) > 0.99
    assert size_ratio(truth, path) == pytest.approx(1, abs=0.05)
    assert (path - truth).abs().max() < 0.01


@pytest.mark.parametrize(("colour", "radius"), [("yellow", 0.06), ("white", 0.15), ("red", 0.15)])
def test_object_of_any_colour_and_size(colour, radius):
    path = track_object(_noisy(draw(PATHS["circle"], pattern="checks", colour=colour, radius=radius)))
    assert path_correlation(path, torch.tensor(PATHS["circle"])) > 0.99
    assert size_ratio(torch.tensor(PATHS["circle"]), path) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("first", "last"), [(0.06, 0.16), (0.15, 0.08), (0.11, 0.11)])
def test_how_an_object_grows_is_seen(first, last):
    radii = np.linspace(first, last, 16)
    sizes = see(draw(PATHS["wave"], pattern="checks", radius=radii)).sizes
    assert sizes.tolist() == pytest.approx(radii / radii.mean(), rel=0.04)


TURNS = {
    "round": np.linspace(0, 2.5, 16),
    "to and fro": 0.6 * np.sin(np.linspace(0, 5, 16)),
    "not": np.zeros(16),
}


@pytest.mark.parametrize("shape", ["square", "bar"])
@pytest.mark.parametrize("name", TURNS)
def test_how_an_object_turns_is_seen(name, shape):
    way, radii = TURNS[name] + 0.4, np.linspace(0.1, 0.15, 16)
    clip = draw(PATHS["wave"], pattern="checks", shape=shape, radius=radii, angle=way)
    assert see(clip).turns.tolist() == pytest.approx(TURNS[name], abs=0.04)
    assert see(backwards(clip)).turns.tolist() == pytest.approx(TURNS[name][::-1] - TURNS[name][-1], abs=0.04)


def test_turns_are_those_of_the_last_frames_that_showed_it():
    clip = draw(PATHS["straight"], shape="bar", angle=TURNS["round"])
    clip.frames[6:8] = draw().frames[6:8]
    assert see(clip).turns[[5, 8, 15]].tolist() == pytest.approx(TURNS["round"][[5, 8, 15]], abs=0.05)
    assert see(clip).turns[6:8].tolist() == see(clip).turns[[5, 5]].tolist()


def test_what_is_round_or_takes_many_shapes_shows_no_turns():
    assert see(draw(PATHS["wave"], pattern="checks", shape="disc")).turns is None
    mixed = [draw(PATHS["straight"], shape=shape).frames for shape in ("square", "bar", "disc")]
    frames = torch.stack([mixed[n % 3][n] for n in range(16)])
    assert see(Clip(frames, 8)).turns is None


@pytest.mark.parametrize(("pattern", "move"), [("clouds", "circle"), ("checks", "wave"), ("clouds", None)])
@pytest.mark.parametrize("name", [name for name in CAMERAS if name != "none"])
def test_camera_and_object_together(name, pattern, move):
    seen = see(draw(None if move is None else PATHS[move], CAMERAS[name], pattern))
    truth = torch.tensor(CAMERAS[name])
    assert camera_correlation(seen.camera, truth) > 0.97
    assert seen.camera_confidence > 0.5
    # Units and signs: no column is off by more than a pixel and a half of 64; zoom and roll at 0.4 widths.
    assert ((seen.camera - truth).abs() * torch.tensor([1, 1, 0.4, 0.4])).max() < 0.025
    if move is not None:
        assert path_correlation(seen.path, torch.tensor(PATHS[move])) > 0.99


def test_stripes_show_only_what_crosses_them():
    # Across the stripes of `draw` is (0.9, 0.45) / 1.006: the part of the pan along them cannot be seen.
    seen = see(draw(PATHS["wave"], CAMERAS["pan"], "stripes"))
    across = np.array([0.8, 0.4]) / np.sqrt(0.8)
    expected = across * (across @ CAMERAS["pan"][-1, :2])
    assert np.abs(seen.camera[-1, :2].numpy() - expected).max() < 0.02
    assert 0.3 < seen.camera_confidence < 0.7


def test_plain_ground_shows_no_camera():
    seen = see(draw(PATHS["straight"]))
    assert seen.camera.abs().max() == 0
    assert seen.camera_confidence == 0


@pytest.mark.parametrize("pattern", ["plain", "stripes", "clouds"])
def test_still_clip_is_still(pattern):
    seen = see(_noisy(draw(PATHS["still"], pattern=pattern), 0.01))
    assert (seen.path - torch.tensor(PATHS["still"])).abs().max() < 0.01
    assert seen.camera.abs().max() < 0.02


def test_nothing_to_see():
    seen = see(Clip(torch.full((4, 3, 32, 48), 0.5), 8))
    assert seen.path.tolist() == [[0.5, pytest.approx(1 / 3)]] * 4
    assert seen.camera.abs().max() == 0
    assert seen.sizes.tolist() == [1] * 4
    assert seen.turns is None
    assert (seen.path_confidence, seen.camera_confidence) == (0, 0)


def test_textured_object_is_found_by_its_motion():
    ground, thing = draw(pattern="clouds").frames, draw(curve=CAMERAS["all"], pattern="checks").frames
    axis = (torch.arange(64) + 0.5) / 64
    truth, frames = torch.tensor(PATHS["straight"], dtype=torch.float32), ground.clone()
    for index, (x, y) in enumerate(truth):
        inside = ((axis - x).abs() < 0.13)[None, :] & ((axis - y).abs() < 0.13)[:, None]
        frames[index, :, inside] = thing[0, :, :17, :17].reshape(3, -1)[:, : int(inside.sum())]
    assert path_correlation(track_object(Clip(frames, 8)), truth) > 0.9


def test_wide_and_large_clips_keep_their_units():
    clip = draw(PATHS["wave"], pattern="clouds")
    large = Clip(torch.nn.functional.interpolate(clip.frames, scale_factor=4, mode="bilinear"), 8)
    assert (track_object(large) - torch.tensor(PATHS["wave"])).abs().max() < 0.01
    wide = Clip(torch.cat([draw(pattern="clouds").frames.flip(-1), clip.frames], -1)[..., 32:], 8)
    expected = (torch.tensor(PATHS["wave"]) + torch.tensor([0.5, 0])) / 1.5
    assert (track_object(wide) - expected).abs().max() < 0.01
    assert camera_curve(wide).abs().max() < 0.01


def test_second_object_does_not_move_the_camera():
    clip = draw(PATHS["wave"], pattern="clouds")
    two = Clip(torch.cat([clip.frames.flip(-1), clip.frames], -1)[..., 32:-32], 8)
    assert camera_curve(two).abs().max() < 0.02


@pytest.mark.parametrize("step", [(2.0, 0.0), (-1.0, 1.5)])
def test_flow_is_in_pixels(step):
    shift = np.arange(16)[:, None] * np.array(step) / 64
    clip = draw(curve=np.concatenate([shift, np.zeros((16, 2))], 1), pattern="clouds")
    field = flow(clip)
    assert field.shape == (15, 2, 64, 64)
    assert field[..., 8:-8, 8:-8].mean((0, 2, 3)).tolist() == pytest.approx(step, abs=0.1)


def test_tracks_follow_the_ground_and_the_object():
    shift = 0.3 * np.linspace(0, 1, 16)
    curve = np.stack([shift, *np.zeros((3, 16))], 1)
    followed = tracks(draw(curve=curve, pattern="clouds"), torch.tensor([[0.3, 0.5], [0.5, 0.2]]))
    assert followed.shape == (16, 2, 2)
    assert (followed[:, :, 0] - followed[:1, :, 0] - torch.tensor(shift)[:, None]).abs().max() < 0.02
    assert tracks(draw()).shape == (16, 144, 2)


def test_one_frame_has_no_motion():
    one = Clip(torch.zeros(1, 3, 8, 8), 8)
    for look in (see, flow, tracks):
        with pytest.raises(ClipError, match="at least 2"):
            look(one)
