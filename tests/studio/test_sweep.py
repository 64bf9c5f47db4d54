"""Sweeps: one clip for each of several values, each as if it had been made alone."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from motion_studio.errors import Cancelled, InputError, SettingsError
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Done, Preview, Progress
from motion_studio.studio.render import render
from motion_studio.studio.studio import Studio
from motion_studio.studio.sweep import Sweep, read_values, sweep, titles, varied
from motion_studio.studio.tracks import Mix, Track
from motion_studio.video.clip import Clip
from motion_studio.video.files import read_recipe
from motion_studio.video.reading import read_clip
from tests.tiny import tiny_backbone

SETTINGS = GenerationSettings("a ball", steps=2, guidance=1.0)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture
def studio(tmp_path, backbone, monkeypatch):
    monkeypatch.setattr("motion_studio.studio.manager.load", lambda name, device: backbone)
    studio = Studio(tmp_path / "data")
    yield studio
    studio.close()


def test_values_are_read_as_the_setting_is():
    assert read_values("strength", " 0, .5,1 ") == ["0", ".5", "1"]
    assert read_values("prompt", "a ball, red\n\na star|3") == ["a ball, red", "a star", "3"]
    many = varied(SETTINGS, "strength", ["0", "0.5"])
    assert many == [replace(SETTINGS, strength=0), replace(SETTINGS, strength=0.5)]
    assert [one.prompt for one in varied(SETTINGS, "prompt", ["a star", "3"])] == ["a star", "3"]
    assert [one.looks for one in varied(SETTINGS, "looks", ["raw", "centre"])] == ["raw", "centre"]
    assert titles("play_until", [0.3, 1]) == ["play until 0.3", "play until 1"]
    assert titles("prompt", ["a star"]) == ["a star"]


@pytest.mark.parametrize(
    ("name", "texts", "error", "words"),
    [
        ("strength", ["1"], InputError, "1 values of strength: 2 to 8"),
        ("seed", [str(k) for k in range(9)], InputError, "9 values of seed"),
        ("strength", ["0", "0.0"], InputError, "there twice"),
        ("strength", ["0", "99"], SettingsError, "allowed is -10"),
        ("steps", ["5", "2.5"], SettingsError, "whole number"),
        ("looks", ["raw", "shiny"], SettingsError, "allowed is auto"),
        ("colour", ["0", "1"], SettingsError, "unknown setting colour; known are carry"),
    ],
)
def test_what_cannot_be_varied_says_so(name, texts, error, words):
    with pytest.raises(error, match=words):
        varied(SETTINGS, name, texts)


def test_each_clip_is_as_if_made_alone(backbone):
    many = varied(SETTINGS, "steps", ["2", "3", "1"])
    events = list(sweep("steps", many, lambda one: render(backbone, one, preview_every=1)))
    done = events[-1].result
    assert isinstance(done, Sweep) and done.titles == ["steps 2", "steps 3", "steps 1"]
    for settings, made in zip(many, done.renders, strict=True):
        alone = [event for event in render(backbone, settings) if isinstance(event, Done)][0].result
        assert made.clip.frames.equal(alone.clip.frames)
        assert made.recipe == alone.recipe
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.total for event in progress] == [6] * len(progress)
    steps = [event.step for event in progress]
    assert steps == sorted(steps) and steps[-1] == 6
    assert progress[-1].text.endswith("3 of 3")
    shown = [event for event in events if isinstance(event, Preview)]
    assert [len(event.made) for event in shown] == [0, 0, 1, 1, 1, 2]
    assert shown[-1].clip.frames.equal(done.renders[-1].clip.frames)
    assert shown[-1].made[0].frames.equal(done.renders[0].clip.frames)


@pytest.mark.parametrize(
    ("name", "texts", "words"),
    [
        ("frames", ["8", "{over}"], "at most"),
        ("motion_type", ["object", "camera"], "moves no object"),
        ("noise_prior", ["0", "0.5"], "reference clip"),
    ],
)
def test_what_the_base_refuses_is_said_before_the_first_clip(backbone, name, texts, words):
    over = backbone.spec.max_frames + 1
    many = varied(SETTINGS, name, [text.format(over=over) for text in texts])
    mix = Mix((Track("a"), Track("b", prompt="a star")))
    begun = []
    events = sweep(name, many, lambda one: render(backbone, one, mix, begun.append))
    with pytest.raises((InputError, SettingsError), match=words):
        next(events)
    assert not begun


def test_the_studio_keeps_every_clip_and_all_side_by_side(studio):
    job = studio.sweep("seed", varied(SETTINGS, "seed", ["0", "1", "2"]))
    assert job.wait(60) and job.state == "done", job.error
    made = job.result
    assert [render.path for render in made.renders] == studio.library.renders()[::-1]
    assert [read_recipe(render.path)["settings"]["seed"] for render in made.renders] == [0, 1, 2]
    sheet = read_clip(made.path)
    assert sheet.width > 3 * sheet.height * 0.8  # three beside one another, a label above each
    assert made.path.with_suffix(".png").is_file()
    assert made.path not in studio.library.renders()
    clip = made.renders[0].clip
    wide = Clip(torch.rand(5, 3, 40, 80), 4)
    assert made.rows()[1] == made.titles
    clips, names = replace(made, reference=wide).rows()
    assert names == ["reference", "seed 0", "seed 1", "seed 2"]
    assert {tuple(one.frames.shape) for one in clips} == {tuple(clip.frames.shape)}
    assert (job.kind, job.progress.step, job.progress.total) == ("sweep", 6, 6)


def test_what_is_made_stays_when_the_rest_is_cancelled(backbone, studio):
    cancel = threading.Event()
    many = varied(SETTINGS, "seed", ["0", "1"])
    events = sweep("seed", many, lambda one: render(backbone, one, cancel=cancel))
    with pytest.raises(Cancelled):
        for event in events:
            if isinstance(event, Preview):
                cancel.set()
    job = studio.sweep("seed", [replace(one, steps=50) for one in varied(SETTINGS, "seed", list("01234567"))])
    while job.active and not studio.library.renders():
        job.wait(0.01)
    job.cancel()
    assert job.wait(60) and job.state == "cancelled"
    assert job.result is None
    assert 1 <= len(studio.library.renders()) < 8
