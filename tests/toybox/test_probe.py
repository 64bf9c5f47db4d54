"""The probe reads rendered clips right, and says no where it must."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motion_studio.toybox.judge import correlation, judge, layout
from motion_studio.toybox.motions import MOVES
from motion_studio.toybox.probe import obeys, read, read_each
from motion_studio.toybox.sample import HELD_OUT, apart, sample_scene
from motion_studio.toybox.world import render
from motion_studio.video.clip import Clip

NAMED = [name for name in MOVES if name != "free"]


def test_rendered_clips_are_read_right():
    right = []
    for number in range(64):
        scene = sample_scene(HELD_OUT + number, move=NAMED[number % 8], camera="none")
        seen, thing = read(render(scene)), scene.things[0]
        right.append(seen.colour == thing.colour)
        right.append(seen.shape == thing.shape)
        right.append(obeys(thing.words, seen.path, seen.angle, seen.radius))
        assert np.abs(seen.path - scene.path()).max() < 0.04
    assert np.mean(right) >= 0.98


@pytest.mark.parametrize("size", [32, 128])
def test_a_clip_is_read_alike_at_any_size(size):
    for number in range(8):
        scene = sample_scene(HELD_OUT + number, move=NAMED[number], camera="none")
        one, other = read(render(scene)), read(render(scene, size))
        assert (one.colour, one.shape) == (other.colour, other.shape)
        assert np.allclose(one.path, other.path, atol=0.02) and np.allclose(
            one.radius, other.radius, atol=0.02
        )
        if number == NAMED.index("spin"):
            assert np.abs(one.angle - other.angle).max() < 0.2


@pytest.mark.parametrize("size", [64, 128])
def test_two_objects_are_read_each(size):
    right = []
    for number in range(32 if size == 64 else 8):
        scene = sample_scene(HELD_OUT + number, camera="none", two=1.0)
        seen = {one.colour: one for one in read_each(render(scene, size))}
        assert seen.keys() == {thing.colour for thing in scene.things}
        for index, thing in enumerate(scene.things):
            right.append(seen[thing.colour].shape == thing.shape)
            away = np.linalg.norm(seen[thing.colour].path - scene.path(index), axis=1)
            assert away[apart(*scene.things)].max() < 0.06
    assert np.mean(right) >= 0.98


def test_one_object_is_read_once_and_none_not_at_all():
    for number in range(8):
        scene = sample_scene(HELD_OUT + number, camera="none")
        clip = render(scene)
        (seen,) = read_each(clip)
        assert (seen.colour, seen.shape) == (scene.things[0].colour, scene.things[0].shape)
        assert np.allclose(seen.path, read(clip).path, atol=0.02)
    assert read_each(Clip(torch.full((16, 3, 64, 64), 0.3), 8.0)) == []


def test_words_of_another_motion_are_not_obeyed():
    wrong = []
    for number, name in enumerate(NAMED):
        scene = sample_scene(HELD_OUT + number, move=name, camera="none")
        seen = read(render(scene))
        for other in ("moving left", "circling clockwise", "bouncing", "spinning clockwise", "growing"):
            if other.split()[0] != scene.things[0].words.split()[0] and name != "circle":
                wrong.append(obeys(other, seen.path, seen.angle, seen.radius))
    assert np.mean(wrong) < 0.1


def test_a_way_that_is_named_must_be_gone():
    ways = {"wave": ("left", "right"), "zigzag": ("up", "down"), "bounce": ("left", "right")}
    for move, (back, on) in ways.items():
        scenes = [sample_scene(HELD_OUT + k, move=move, camera="none") for k in range(40)]
        named = [scene for scene in scenes if " " in scene.things[0].words]
        assert len(named) >= 10
        for scene in named:
            name, way = scene.things[0].words.split()
            looks = scene.path(), scene.angle(), scene.radius()
            assert obeys(name, *looks) and obeys(f"{name} {way}", *looks)
            assert not obeys(f"{name} {back if way == on else on}", *looks)


def test_a_circle_must_begin_on_the_side_that_is_named():
    scenes = [sample_scene(HELD_OUT + k, move="circle", camera="none") for k in range(40)]
    named = [scene for scene in scenes if " from " in scene.things[0].words]
    assert 20 <= len(named) < 40
    for scene in named:
        words, side = scene.things[0].words.split(" from ")
        looks = scene.path(), scene.angle(), scene.radius()
        assert obeys(words, *looks) and obeys(f"{words} from {side}", *looks)
        other = {"above": "below", "below": "above", "the left": "the right", "the right": "the left"}[side]
        assert not obeys(f"{words} from {other}", *looks)


def test_unknown_words_are_an_error():
    with pytest.raises(ValueError, match="flying"):
        obeys("flying", np.zeros((4, 2)), np.zeros(4), np.ones(4))


def test_nothing_bright_is_nothing():
    assert read(Clip(torch.full((16, 3, 64, 64), 0.3), 8)) is None


def test_a_verdict_on_the_source_itself():
    source = sample_scene(HELD_OUT + 3, move="free", camera="free")
    verdict = judge(source, source, render(source))
    assert verdict.path > 0.99 and 0.95 < verdict.path_size < 1.05
    assert verdict.colour and verdict.shape and verdict.colour_leak
    assert verdict.layout > 0.95


def test_a_verdict_on_another_clip():
    source, other = (sample_scene(HELD_OUT + k, move="free", camera="none") for k in (5, 6))
    verdict = judge(source, other, render(other))
    assert verdict.path < 0.9 and np.isnan(verdict.camera)
    assert source.ground.pattern == "plain" and np.isnan(verdict.layout)


def test_layout_tells_another_ground():
    source, other, plain = (sample_scene(HELD_OUT + k, move="free", camera="none") for k in (13, 14, 5))
    assert layout(source, render(source)) > 0.95
    assert abs(layout(source, render(other))) < 0.5
    assert abs(layout(source, render(plain))) < 0.05


def test_correlation_of_stillness_is_nought():
    assert correlation(np.zeros((16, 2)), np.random.default_rng(0).normal(size=(16, 2))) == 0
    curve = np.random.default_rng(0).normal(size=(16, 2))
    assert correlation(curve, 3 * curve + 1) == pytest.approx(1)
    assert correlation(curve, -curve) == pytest.approx(-1)
