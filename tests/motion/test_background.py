"""Taking out what stands still behind an object: the ground goes, where the object is stays."""

from __future__ import annotations

import pytest
import torch

from motion_studio.motion.background import SOFT, Background, disc
from motion_studio.motion.carried import moving
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.looks import without_looks
from motion_studio.motion.operations_place import Along, Zoom

GRID = (16, 16)
FRAMES = 8


def way(size: float) -> torch.Tensor:
    """A way to the right about the picture's middle."""
    return torch.stack([0.5 + size * torch.linspace(-0.5, 0.5, FRAMES), torch.full((FRAMES,), 0.5)], 1)


def scene(size: float, extent: float = 0.15, **info) -> Motion:
    """A spot of one feature that goes its way before a ground of stripes in the other feature."""
    path = way(size)
    spots = (disc(path, extent, GRID) > 0.6).float().flatten(1)  # (N, P)
    stripes = torch.sin(torch.arange(256.0) % 16)
    ground = stripes * (1 - spots)
    space = torch.cat([spots, ground]).T[None]
    time = torch.zeros(2 * FRAMES, FRAMES, 2)
    time[torch.arange(FRAMES), torch.arange(FRAMES), 0] = 1
    time[FRAMES + torch.arange(FRAMES), torch.arange(FRAMES), 1] = 1
    site = SiteEmbedding(torch.ones(FRAMES, 2), space, time, GRID)
    known = {"path": path.tolist(), "extent": extent, "camera": torch.zeros(FRAMES, 4).tolist()}
    return Motion({"site": site}, MotionInfo(**{**known, **info}))


def values(motion: Motion) -> torch.Tensor:
    return motion.sites["site"].v()


def test_a_disc_covers_places_by_their_distance():
    cover = disc(torch.tensor([[0.5, 0.25], [0.0, 0.0]]), 0.2, (8, 16))
    assert cover.shape == (2, 8, 16)
    assert cover[0, 3:5, 7:9].min() == 1 and cover[0, :, 0].max() == 0
    assert cover[1, 0, 0] == 1 and cover[1, 7, 15] == 0 and ((cover > 0) & (cover < 1)).any()


def test_a_blur_keeps_a_constant_and_spreads_a_point():
    ground = Background(way(0.4), 0.15, (32, 32))
    assert torch.allclose(ground.blurred(torch.full((1024, 2), 2.0)), torch.full((1024, 2), 2.0), atol=1e-5)
    point = torch.zeros(32 * 32, 1)
    point[16 * 32 + 16] = 1
    image = ground.blurred(point)[:, 0].view(32, 32)
    assert torch.allclose(image, image.T) and image.argmax() == 16 * 32 + 16
    across = torch.arange(32.0) - 16
    assert abs(float((image.sum(0) * across**2).sum().sqrt()) / 32 - SOFT) < 0.1 * SOFT
    wide = Background(way(0.4), 0.15, (4, 6))
    tall = torch.arange(24.0)[:, None] // 6
    assert torch.allclose(wide.blurred(tall).view(4, 6), wide.blurred(tall).view(4, 6)[:, :1].expand(4, 6))
    small = torch.rand(4, 1)
    assert torch.allclose(Background(way(0.4), 0.15, (2, 2)).blurred(small), small, atol=1e-2)


@pytest.mark.parametrize("size", [0.06, 0.5])
def test_the_ground_goes_and_the_object_stays_where_it_is(size):
    motion = scene(size)
    left, mean_out = (values(without_looks(motion, mode)) for mode in ("background", "centre"))
    assert left.shape == (256, FRAMES, 2)
    away = disc(way(size), 0.3, GRID).flatten(1).T == 0
    assert left[..., 1][away].abs().max() < 0.1 * values(motion)[..., 1].abs().max()
    spots = left[..., 0].clamp(min=0)
    x = (torch.arange(256) % 16 + 0.5) / 16
    centre = (spots * x[:, None]).sum(0) / spots.sum(0)
    assert torch.allclose(centre, way(size)[:, 0], atol=0.04)
    # The mean takes a small motion's object with it.
    kept = float(left[..., 0].sum(0).min() / values(motion)[..., 0].sum(0).max())
    assert kept > 0.6 > float(mean_out[..., 0].sum(0).abs().max() / values(motion)[..., 0].sum(0).max())


def test_where_no_frame_shows_the_ground_its_mean_goes():
    ground = Background(way(0.06), 0.15, GRID)
    assert ground.shown.min() == 0  # the object hardly moves
    even = SiteEmbedding(torch.zeros(FRAMES, 2), torch.ones(1, 256, 1), torch.full((1, FRAMES, 2), 3.0), GRID)
    assert ground.taken_out(even).v().abs().max() < 0.1


def test_without_an_object_or_with_a_moving_camera_the_mean_is_taken_out():
    pan = torch.zeros(FRAMES, 4)
    pan[:, 0] = torch.linspace(0, 0.5, FRAMES)
    for unknown in ({"extent": 0.0}, {"path": None}, {"camera": None}, {"camera": pan.tolist()}):
        motion = scene(0.4, **unknown)
        result = without_looks(motion, "background")
        assert torch.equal(values(result), values(without_looks(motion, "centre")))
        assert result.info.looks == "background"
        assert without_looks(result, "background") is result
    assert not torch.allclose(
        values(without_looks(scene(0.4), "background")), values(without_looks(scene(0.4), "centre"))
    )


def test_it_goes_evenly_to_the_mean_as_the_camera_moves():
    slow = torch.zeros(FRAMES, 4)
    slow[:, 1] = torch.linspace(0, 0.08, FRAMES)
    share = 1 - moving(slow)
    assert 0.3 < share < 0.7
    rest, between, mean = (
        values(without_looks(motion, mode))
        for motion, mode in (
            (scene(0.4), "background"),
            (scene(0.4, camera=slow.tolist()), "background"),
            (scene(0.4), "centre"),
        )
    )
    assert torch.allclose(between, share * rest + (1 - share) * mean, atol=1e-5)


def test_the_weights_kept_are_nearly_the_weights():
    ground = Background(way(0.5), 0.15, GRID)
    bare = 1 - disc(way(0.5), 0.15, GRID).flatten(1).T
    weights = ground.shown * bare / bare.sum(1, keepdim=True).clamp(min=1e-3)
    error = (ground.places @ ground.frames - weights).square().sum() / weights.square().sum()
    assert error.sqrt() < 0.08
    assert not torch.allclose(weights, torch.full_like(weights, 1 / FRAMES), atol=0.05)  # it is not the mean


def test_what_cannot_be_seen_behind_is_centred():
    for motion in (scene(0.4, extent=2.0), Along([[0.01 * n, 0] for n in range(FRAMES)]).apply(scene(0.4))):
        result = values(without_looks(motion, "background"))
        assert torch.equal(result, values(without_looks(motion, "centre")))


def test_a_zoom_scales_the_extent():
    assert Zoom(0.5).apply(scene(0.4)).info.extent == pytest.approx(0.075)
