"""Noise that a camera carries along stays noise, and goes where the camera's curve says."""

from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.carried import (
    RESTS,
    WHOLE,
    camera_from_steps,
    camera_maps,
    camera_steps,
    carried_along,
    carried_noise,
    moving,
    rebased,
)


def camera(frames: int, column: int, size: float) -> torch.Tensor:
    curve = torch.zeros(frames, 4)
    curve[:, column] = torch.linspace(0, size, frames)
    return curve


@pytest.mark.parametrize(("column", "size"), [(0, 0.53), (1, -0.31), (2, -0.4), (3, 0.9)])
def test_each_frame_is_white_noise(column, size):
    noise = carried_noise((4, 8, 3, 16, 24), camera(3, column, size), torch.Generator().manual_seed(0))
    assert noise.shape == (4, 8, 3, 16, 24)
    for frame in noise.unbind(2):
        assert abs(float(frame.mean())) < 0.03
        assert abs(float(frame.std()) - 1) < 0.03
        neighbours = (
            (frame[..., 1:] * frame[..., :-1]).mean(),
            (frame[..., 1:, :] * frame[..., :-1, :]).mean(),
        )
        assert max(abs(float(value)) for value in neighbours) < 0.06


def test_a_zoom_in_keeps_the_size_of_the_noise():
    noise = carried_noise((4, 8, 3, 16, 16), camera(3, 2, 0.6), torch.Generator().manual_seed(0))
    assert all(abs(float(frame.std()) - 1) < 0.03 for frame in noise.unbind(2))


def test_it_goes_where_the_camera_says():
    generator = torch.Generator().manual_seed(0)
    pan = carried_noise((2, 8, 3, 16, 16), camera(3, 0, 0.25), generator)  # two cells a frame to the right
    assert torch.allclose(pan[:, :, 1, :, 2:], pan[:, :, 0, :, :-2])
    assert torch.allclose(pan[:, :, 2, :, 4:], pan[:, :, 0, :, :-4])
    tilt = carried_noise((2, 8, 3, 12, 16), camera(3, 1, -0.125), generator)  # one cell a frame up
    assert torch.allclose(tilt[:, :, 1, :-1], tilt[:, :, 0, 1:])
    turn = carried_noise((1, 8, 2, 16, 16), camera(2, 3, torch.pi / 2), generator)  # clockwise
    assert torch.allclose(turn[:, :, 1], turn[:, :, 0].rot90(-1, (-2, -1)), atol=1e-5)
    half = carried_noise((4, 16, 2, 16, 16), camera(2, 0, 1 / 32), generator)  # half a cell
    both = torch.corrcoef(torch.stack([half[:, :, 0, :, :-1].flatten(), half[:, :, 1, :, 1:].flatten()]))
    assert abs(float(both[0, 1]) - 0.5) < 0.05


def test_a_seed_gives_the_same_noise_again():
    curve = camera(3, 0, 0.3)
    first, again, other = (
        carried_noise((1, 4, 3, 8, 8), curve, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_curve_is_made_of_steps_that_follow_each_other():
    generator = torch.Generator().manual_seed(0)
    steps = 0.3 * torch.randn(5, 4, generator=generator)
    curve = camera_from_steps(steps)
    torch.testing.assert_close(camera_steps(curve), steps)
    places = torch.rand(1, 2, 2, 3, generator=generator) - 0.5
    for n, there in enumerate(carried_along(curve, places)[1:]):
        before = carried_along(curve, places)[n]
        torch.testing.assert_close(carried_along(steps[n : n + 1], before)[0], there)
    begun = curve + torch.tensor([0.1, 0.2, 0, 0])  # where it began does not count
    torch.testing.assert_close(camera_steps(rebased(begun)), camera_steps(begun))


def test_a_camera_at_rest_carries_nothing_and_one_that_moves_all():
    assert moving(torch.zeros(4, 4)) == 0
    assert 0 < moving(camera(4, 0, WHOLE / 2)) < 1
    assert moving(camera(4, 0, WHOLE * RESTS)) == 0 < moving(camera(4, 0, 4 * WHOLE * RESTS))
    assert all(moving(camera(4, column, 0.8)) == 1 for column in range(4))


def test_a_curve_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"\(3, 4\) is allowed"):
        carried_noise((1, 4, 3, 8, 8), torch.zeros(2, 4))


def test_another_first_frame_is_at_rest_and_points_go_as_they_went():
    curve = torch.tensor([[0.0, 0, 0, 0], [0.1, -0.2, 0.2, 0.5], [-0.3, 0.1, 0.4, -0.8]]).flip(0)
    seen = rebased(curve)
    assert torch.allclose(seen[0], torch.zeros(4), atol=1e-6)
    points = torch.rand(2, 9, generator=torch.Generator().manual_seed(0))  # of the old first frame
    (before, old), (after, new) = camera_maps(curve), camera_maps(seen)
    first = before[0] @ points + old[0][:, None]
    for n in range(3):
        assert torch.allclose(
            after[n] @ first + new[n][:, None], before[n] @ points + old[n][:, None], atol=1e-5
        )
    assert torch.allclose(rebased(seen.flip(0)), curve.flip(0), atol=1e-5)
