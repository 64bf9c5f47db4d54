"""The toybox's scenes are seeded, and their truth is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motion_studio.toybox.motions import CAMERAS, MOVES
from motion_studio.toybox.sample import HELD_OUT, caption, nameable, sample_scene
from motion_studio.toybox.shapes import COLOURS, SHAPES, tones
from motion_studio.toybox.world import mask, render, to_picture, to_world


@pytest.mark.parametrize("move", MOVES)
def test_a_seed_is_a_scene(move):
    first, again = (render(sample_scene(5, move=move)).frames for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, render(sample_scene(6, move=move)).frames)


@pytest.mark.parametrize("frames", [2, 16, 31])
def test_any_number_of_frames(frames):
    clip = render(sample_scene(3, frames))
    assert clip.frames.shape == (frames, 3, 64, 64)
    assert clip.frames.min() >= 0 and clip.frames.max() <= 1


@pytest.mark.parametrize("camera", CAMERAS)
def test_picture_and_world_are_inverse(camera):
    scene = sample_scene(9, move="straight", camera=camera)
    world = scene.things[0].path
    assert np.allclose(to_world(scene.camera, to_picture(scene.camera, world)), world)


def test_the_truth_is_where_the_object_is_drawn():
    axis = (np.arange(64) + 0.5) / 64
    for seed in range(12):
        scene = sample_scene(HELD_OUT + seed, move="circle", camera="pan")
        if scene.things[0].shape == "heart":  # its centre of mass is not its own centre
            continue
        cover = mask(scene)
        x = (cover.sum(1) * axis).sum(1) / cover.sum((1, 2))
        y = (cover.sum(2) * axis).sum(1) / cover.sum((1, 2))
        whole = (cover[:, 0].max(1) == 0) & (cover[:, -1].max(1) == 0)
        whole &= (cover[:, :, 0].max(1) == 0) & (cover[:, :, -1].max(1) == 0)
        seen = np.stack([x, y], 1)[whole]
        assert np.abs(seen - scene.path()[whole]).max() < 0.004, scene.things[0].shape


def test_the_camera_moves_the_ground_as_it_says():
    scene = sample_scene(HELD_OUT + 1, move="still", camera="pan")
    still = render(type(scene)(scene.things, scene.ground, scene.camera * 0, "")).frames
    moved = render(scene).frames
    shift = scene.camera[-1, 0] * 64
    columns = np.arange(64)
    inside = (columns - shift > 1) & (columns - shift < 62)
    row = still[0, 0, 2].numpy()
    expected = np.interp(columns[inside] - shift, columns, row)
    assert np.corrcoef(expected, moved[-1, 0, 2].numpy()[inside])[0, 1] > 0.95


def test_every_object_outshines_every_ground():
    brightest = max(float(tones(ground)[1].max()) for ground in ("gray", *COLOURS))
    assert min(max(colour) for colour in COLOURS.values()) > brightest + 0.2


def test_motion_may_be_left_out_of_a_caption():
    scene = sample_scene(4, move="spin", camera="zoom")
    assert scene.things[0].words in caption(scene) and "camera zooming" in caption(scene)
    assert caption(scene, motion=False) in (
        f"a {scene.things[0].colour} {scene.things[0].shape} on {scene.ground.colour} {scene.ground.pattern}"
    )
    assert nameable(scene)
    assert not nameable(sample_scene(4, move="free"))


def test_motion_runs_from_nothing_to_large():
    reach = [np.ptp(sample_scene(k, move="free", camera="none").path(), 0).max() for k in range(200)]
    assert min(reach) < 0.05 and max(reach) > 0.5
    assert np.histogram(reach, bins=6, range=(0, 0.48))[0].min() > 3


def test_shapes_differ():
    scenes = [sample_scene(k) for k in range(300)]
    assert {scene.things[0].shape for scene in scenes} == set(SHAPES)
    assert {scene.things[0].colour for scene in scenes} == set(COLOURS)
    assert all(scene.things[0].colour != scene.ground.colour for scene in scenes)
