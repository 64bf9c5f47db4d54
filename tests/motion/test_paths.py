"""What an operation says of a path is what it does to a soft spot that runs along it."""

from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.arithmetic import (
    blend,
    cross_fade,
    resampled,
    then,
)
from motion_studio.motion.carried import camera_from_steps, rested
from motion_studio.motion.operations_place import Along, Amplitude, Mirror, Move, Turn
from motion_studio.motion.operations_time import Delay, Speed, Strength, ramp
from motion_studio.motion.ways import (
    blend_camera,
    blend_extent,
    blend_path,
    blend_sizes,
    blend_turns,
    shifts_together,
    weight_curve,
)
from tests.motion.operation_examples import FRAMES, GAIN, PLACE, TIME, name, wave

CELL = 1 / 32


@pytest.mark.parametrize("per_frame", [False, True], ids=["factored", "per frame"])
@pytest.mark.parametrize("operation", TIME + PLACE, ids=name)
def test_path_of_a_spot(operation, per_frame, make_blob, centres):
    path = wave(FRAMES, 0.08)
    edited = operation.apply(make_blob(path, per_frame=per_frame))
    expected = operation.apply_path(path)
    torch.testing.assert_close(centres(edited), expected, atol=CELL / 10, rtol=0)
    torch.testing.assert_close(edited.path(), expected)


@pytest.mark.parametrize("grid", [(18, 32), (32, 20)])
@pytest.mark.parametrize("operation", PLACE, ids=name)
def test_path_of_a_spot_in_a_picture_that_is_not_square(operation, grid, make_blob, centres):
    aspect = grid[0] / grid[1]
    path = (wave(FRAMES, 0.03) - 0.45) * 0.8 + torch.tensor([0.5, aspect / 2])
    edited = operation.apply(make_blob(path, grid, sigma=0.06))
    torch.testing.assert_close(centres(edited), operation.apply_path(path, aspect), atol=CELL / 5, rtol=0)


@pytest.mark.parametrize("operation", GAIN, ids=name)
def test_gain_leaves_the_path(operation, make_blob, centres):
    path = wave(FRAMES, 0.08)
    edited = operation.apply(make_blob(path))
    gain = operation.apply_strength(torch.ones(FRAMES))
    heard = gain != 0
    torch.testing.assert_close(centres(edited)[heard], path[heard], atol=CELL / 10, rtol=0)
    torch.testing.assert_close(operation.apply_path(path), path)


def test_directions(make_blob, centres):
    right = torch.stack([torch.linspace(0.3, 0.7, FRAMES), torch.full((FRAMES,), 0.5)], dim=1)
    a = make_blob(right)
    down = centres(Turn(90).apply(a))
    assert down[-1, 1] - down[0, 1] > 0.39  # clockwise: what ran right runs down
    assert centres(Mirror("x").apply(a))[-1, 0] < 0.31
    assert centres(Move(0.1, 0.2).apply(a))[0].tolist() == pytest.approx([0.4, 0.7], abs=2e-3)
    assert centres(Amplitude(-0.5).apply(a))[-1, 0].item() == pytest.approx(0.1, abs=5e-3)


def test_operations_compose(make_blob, centres):
    path = wave(FRAMES, 0.08)
    motion, expected = make_blob(path), path
    for operation in (Turn(90), Speed(0.5), Amplitude(1.5), Move(-0.05, 0.03), Speed(-1), Mirror("y")):
        motion, expected = operation.apply(motion), operation.apply_path(expected)
    torch.testing.assert_close(centres(motion), expected, atol=CELL / 5, rtol=0)
    torch.testing.assert_close(motion.path(), expected)


def test_blends_follow_the_weighted_mean(make_blob, centres):
    a, b = wave(FRAMES, 0.08), Turn(140).apply_path(wave(FRAMES, 0.1))
    curve = torch.linspace(0.2, 1, FRAMES)
    mixed = blend([(make_blob(a), 0.7), (make_blob(b), curve)])
    expected = blend_path([(a, 0.7), (b, curve)])
    torch.testing.assert_close(centres(mixed), expected, atol=CELL / 10, rtol=0)
    torch.testing.assert_close(mixed.path(), expected)
    torch.testing.assert_close(blend_path([(a, 3.0)]), a)


def test_then_and_cross_fade_follow_their_path(make_blob, centres):
    way, other = wave(FRAMES, 0.08), Turn(140).apply_path(wave(FRAMES, 0.1))
    a, b = make_blob(way), make_blob(other)
    joined = Move(*(way[6] - other[0]).tolist()).apply(Delay(6).apply(b))
    for mixed, later, start, length in (
        (then(a, b, 6), Delay(6).apply(b), 6, 0),
        (then(a, b, 5, fade=3), Delay(5).apply(b), 5, 3),
        (then(a, b, 6, join=True), joined, 6, 0),
        (cross_fade(a, b, 2, 8), b, 2, 8),
    ):
        heard = ramp(FRAMES, start, length)
        plain = blend([(a, 1 - heard), (later, heard)])
        torch.testing.assert_close(centres(plain), mixed.path(), atol=CELL / 10, rtol=0)


def test_joined_motions_do_not_jump(make_blob):
    a, b = wave(FRAMES, 0.08), Turn(140).apply_path(wave(FRAMES, 0.1))
    path = then(make_blob(a), make_blob(b), 6, join=True).path()
    torch.testing.assert_close(path[:7], a[:7])
    torch.testing.assert_close(path[6:] - path[6], b[:6] - b[0])


def test_no_path_where_weights_cancel(make_blob):
    a, b = wave(FRAMES, 0.08), wave(FRAMES, 0.1)
    assert blend_path([(a, 1.0), (b, -1.0)]).isnan().all()
    assert blend([(make_blob(a), 1), (make_blob(b), -1)]).path() is None


def test_resampled_path(make_blob, centres):
    longer = resampled(make_blob(wave(FRAMES, 0.08)), frames=23, grids={"site": (24, 24)})
    torch.testing.assert_close(centres(longer), longer.path(), atol=CELL / 10, rtol=0)
    torch.testing.assert_close(longer.path()[::2], wave(FRAMES, 0.08))


def test_strength_of_a_path_is_its_gain():
    assert Strength(0.5).apply_strength(torch.ones(4)).tolist() == [0.5] * 4


def test_motions_moved_together_agree_on_the_path_of_their_blend(make_blob, centres):
    steps = torch.linspace(0, 0.4, 9)[:, None]
    a = torch.cat([0.3 + steps, 0.5 + 0 * steps], 1)
    b = torch.cat([0.5 + 0 * steps, 0.7 - steps], 1)
    for weights in ((0.5, 0.5), (1.0, 0.4), (1.5, -0.5), (0.9, -0.3), (1.0, torch.linspace(0, 1, 9))):
        way = blend_path([(a, weights[0]), (b, weights[1])])
        shifts = shifts_together([(a, weights[0]), (b, weights[1])])
        moved = [Along(shift).apply(make_blob(path)) for path, shift in zip((a, b), shifts, strict=True)]
        for one, weight in zip(moved, weights, strict=True):
            heard = weight_curve(weight, 9) != 0
            torch.testing.assert_close(centres(one)[heard], way[heard], atol=5e-3, rtol=0)
            torch.testing.assert_close(one.path()[heard], way[heard], atol=1e-5, rtol=0)
        mixed = blend(list(zip(moved, weights, strict=True)))
        torch.testing.assert_close(centres(mixed), way, atol=5e-3, rtol=0)


def test_where_it_is_silent_a_motion_stays_as_it_was_moved_where_it_is_heard():
    a = torch.stack([torch.linspace(0.1, 0.5, 5), torch.full((5,), 0.5)], 1)
    b = a + torch.tensor([0.2, 0.1])
    early, late = torch.tensor([1.0, 1, 0, 0, 0]), torch.tensor([0.0, 0, 0, 1, 1])
    shifts = shifts_together([(a, early), (b, late)], "sum")
    assert not shifts[0].any()  # it goes on its own way
    torch.testing.assert_close(shifts[1], shifts[1][:1].expand(5, 2))
    assert shifts[1].abs().max() > 0.05
    silent = shifts_together([(a, torch.zeros(5)), (b, late)], "sum")
    assert silent[0].isfinite().all() and not silent[1].any()


def test_an_extent_is_of_one_object():
    a = torch.stack([torch.linspace(0.1, 0.5, 5), torch.full((5,), 0.5)], 1)
    near, far = a + torch.tensor([0.0, 0.05]), a + torch.tensor([0.0, 0.4])
    way = blend_path([(a, 1.0), (near, 1.0)])
    assert blend_extent([(a, 1.0, 0.1), (near, 1.0, 0.08)], way) == pytest.approx(0.125)
    assert blend_extent([(a, 1.0, 0.1), (near, 1.0, 0.0)], way) == 0  # not known
    assert blend_extent([(a, 1.0, 0.1), (far, 1.0, 0.1)], blend_path([(a, 1.0), (far, 1.0)])) == 0
    first = torch.tensor([1.0, 1, 0, 0, 0])
    way = blend_path([(a, first), (far, 1 - first)])  # one after another they never part from it
    assert blend_extent([(a, first, 0.1), (far, 1 - first, 0.07)], way) == pytest.approx(0.1)


def test_sizes_of_a_blend_are_their_geometric_mean():
    grows, shrinks = torch.tensor([1.0, 2, 4, 8, 16]), torch.tensor([4.0, 2, 1, 0.5, 0.25])
    even = blend_sizes([(grows, 1.0), (shrinks, 1.0)])
    torch.testing.assert_close(even / even[0], torch.ones(5))
    alone = blend_sizes([(grows, 0.3)])
    torch.testing.assert_close(alone / alone[0], grows)
    one_after_another = blend_sizes(
        [(grows, torch.tensor([1.0, 1, 0, 0, 0])), (shrinks, torch.tensor([0.0, 0, 1, 1, 0]))]
    )
    torch.testing.assert_close(one_after_another.log2().diff()[[0, 2, 3]], torch.tensor([1.0, -1, 0]))
    assert blend_sizes([(grows, 1.0), (None, 1.0)]) is None


def test_turns_of_a_blend_are_their_mean():
    left, right = torch.linspace(0, -2, 5), torch.linspace(1, 5, 5)
    torch.testing.assert_close(blend_turns([(left, 1.0), (right, 1.0)]).diff(), torch.full((4,), 0.25))
    torch.testing.assert_close(blend_turns([(left, 0.5), (right, 0.0)]).diff(), left.diff())
    assert blend_turns([(left, 1.0), (None, 1.0)]) is None


def test_ways_that_add_up_take_the_steps_of_all(make_blob, centres):
    steps = torch.linspace(0, 0.3, 9)[:, None]
    a = torch.cat([0.3 + steps, 0.5 + 0 * steps], 1)
    b = torch.cat([0.5 + 0 * steps, 0.7 - steps], 1)
    terms = [(a, 1.0), (b, 0.5)]
    way = blend_path(terms, "sum")
    torch.testing.assert_close(way[0], (a[0] + 0.5 * b[0]) / 1.5)
    torch.testing.assert_close(way - way[0], (a - a[0]) + 0.5 * (b - b[0]))
    shifts = shifts_together(terms, "sum")
    moved = [Along(shift).apply(make_blob(path)) for path, shift in zip((a, b), shifts, strict=True)]
    for one in moved:
        torch.testing.assert_close(centres(one), way, atol=5e-3, rtol=0)
    half = blend_path([(a, 0.5)], "sum")  # a weight is how far it goes, too
    torch.testing.assert_close(half - half[0], 0.5 * (a - a[0]))
    still = blend_path([(a, 1.0), (b, 1.0), (b, -1.0), (a, -1.0)], "sum")
    torch.testing.assert_close(still, still[:1].expand(9, 2))
    with pytest.raises(InputError, match="mean or sum is allowed"):
        blend_path(terms, "loudest")


def test_ways_that_add_up_go_on_from_where_one_has_ended():
    a = torch.tensor([[0.1, 0.5], [0.2, 0.5], [0.3, 0.5], [0.4, 0.5], [0.5, 0.5]])
    b = torch.tensor([[0.5, 0.9], [0.5, 0.9], [0.5, 0.9], [0.5, 0.8], [0.5, 0.7]])
    first, later = torch.tensor([1.0, 1, 1, 0, 0]), torch.tensor([0.0, 0, 0, 1, 1])
    way = blend_path([(a, first), (b, later)], "sum")
    joined = [[0.1, 0.5], [0.2, 0.5], [0.3, 0.5], [0.3, 0.4], [0.3, 0.3]]
    torch.testing.assert_close(way, torch.tensor(joined))
    late = blend_path([(b, torch.tensor([0.0, 0, 1, 1, 1]))], "sum")
    assert late[:2].isnan().all() and torch.equal(late[2:], b[2:])
    assert not shifts_together([(b, torch.tensor([0.0, 0, 1, 1, 1]))], "sum")[0].any()


def test_cameras_add_up_as_the_ways_do():
    pan, rest, heard = torch.zeros(5, 4), torch.zeros(5, 4), torch.ones(5)
    pan[:, 0] = torch.linspace(0, 0.4, 5)

    def camera(*terms, law="sum"):
        return blend_camera([(curve, weight, heard) for curve, weight in terms], law)

    torch.testing.assert_close(camera((pan, 1.0), (rest, 1.0)), pan)
    torch.testing.assert_close(camera((pan, 1.0), (rest, 1.0), law="mean"), pan / 2)
    for law in ("sum", "mean"):  # what is subtracted is taken away
        torch.testing.assert_close(camera((pan, 1.0), (pan, -1.5), law=law), -pan / 2)
        assert not camera((pan, 1.0), (pan, -1.0), law=law).any()
    torch.testing.assert_close(camera((pan, -1.0)), -pan)
    assert camera((pan, -1.0), law="mean") is None
    assert camera((pan, 1.0), (None, 1.0)) is None
    assert camera((pan, 0.0)) is None


def test_cameras_that_film_at_once_undo_each_other_in_any_order():
    generator = torch.Generator().manual_seed(0)
    one, other = (camera_from_steps(0.2 * torch.randn(5, 4, generator=generator)) for _ in range(2))
    heard = torch.ones(6)
    both = blend_camera([(one, 1.0, heard), (other, 1.0, heard)], "sum")
    again = blend_camera([(other, 1.0, heard), (one, 1.0, heard)], "sum")
    torch.testing.assert_close(both, again)
    for law in ("sum", "mean"):
        left = blend_camera([(both, 1.0, heard), (other, -1.0, heard)], law)
        torch.testing.assert_close(left, one, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        blend_camera([(one, 0.5, heard), (one, 2.5, heard)]), one, atol=1e-5, rtol=1e-5
    )


def test_a_camera_heard_in_part_goes_in_part_and_one_that_is_not_leaves_room():
    pan, back = torch.zeros(5, 4), torch.zeros(5, 4)
    pan[:, 0] = torch.linspace(0, 0.4, 5)
    back[:, 0] = -pan[:, 0]
    first, later = torch.tensor([1.0, 1, 0.5, 0, 0]), torch.tensor([0.0, 0, 0.5, 1, 1])
    faded = rested(pan, first)
    assert [round(x, 3) for x in faded[:, 0].tolist()] == [0, 0.1, 0.15, 0.15, 0.15]
    torch.testing.assert_close(blend_camera([(faded, 2.0, first)]), faded)
    both = [(faded, 2.0, first), (rested(back, later), 2.0, later)]
    there = blend_camera(both)[:, 0].tolist()
    assert [round(x, 3) for x in there] == [0, 0.1, 0.1, 0, -0.1]


def test_nothing_is_moved_where_there_is_one_path_or_weights_all_but_cancel():
    a, b = torch.rand(6, 2), torch.rand(6, 2)
    assert not shifts_together([(a, 0.3)])[0].abs().max() > 1e-6
    assert all(not shift.any() for shift in shifts_together([(a, 1.0), (b, -1.0)]))
    assert all(not shift.any() for shift in shifts_together([(a, 1.0), (b, -0.6)]))
    assert all(not shift.any() for shift in shifts_together([(a, -1.0), (b, 0.2)]))
    half = torch.tensor([1.0, 1, 1, 0, 0, 0])
    shifts = shifts_together([(a, half), (b, 0 * half)])
    assert not any(shift.abs().max() > 1e-6 for shift in (shifts[0][:3], shifts[1][3:]))
