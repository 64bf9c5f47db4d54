"""The studio as one object: jobs over the library and a model, and clips that carry their recipe."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from motion_studio.cli.main import main
from motion_studio.errors import InputError, SettingsError
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio.events import Done
from motion_studio.studio.render import Recipe, Render, render
from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import Mix, Track
from motion_studio.ui import shelf
from motion_studio.video.clip import Clip
from motion_studio.video.files import read_recipe
from tests.tiny import tiny_backbone, tiny_pipeline

SETTINGS = GenerationSettings("a ball", steps=2, guidance=1.0)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module")
def motion(backbone):
    """Random embeddings at every site of the tiny model."""
    draw = torch.Generator().manual_seed(0)
    sites = {}
    for name, site in backbone.sites.items():
        places = site.grid[0] * site.grid[1]
        shapes = ((4, site.channels), (1, places, 1), (1, 4, site.channels))
        sites[name] = SiteEmbedding(*(torch.randn(*shape, generator=draw) for shape in shapes), site.grid)
    return Motion(sites, MotionInfo(base="tiny", base_hash=backbone.weights_hash, title="Wave"))


@pytest.fixture
def studio(tmp_path, backbone, monkeypatch):
    monkeypatch.setattr("motion_studio.studio.manager.load", lambda name, device: backbone)
    studio = Studio(tmp_path / "data")
    studio.library.starters = tmp_path / "starters"  # the shipped ones are of another base
    yield studio
    studio.close()


def test_a_clip_is_made_kept_and_remembered(studio, motion):
    studio.library.save(motion, "Wave")
    job = studio.generate(SETTINGS, Mix((Track("wave", 0.5),)), preview_every=1)
    assert job.wait(30), job
    assert job.state == "done", job.error
    assert isinstance(job.result, Render)
    assert studio.library.renders() == [job.result.path]
    assert read_recipe(job.result.path) == job.result.recipe
    assert job.preview.step == 1
    assert (job.kind, job.title, job.progress.step) == ("generate", "a ball", 2)


def test_a_quick_preview_is_not_kept(studio):
    job = studio.generate(SETTINGS, kind="preview", keep=False)
    assert job.wait(30)
    assert (job.kind, job.state, job.result.path) == ("preview", "done", None)
    assert studio.library.renders() == []


def test_a_job_with_a_bad_motion_says_so(studio):
    job = studio.generate(SETTINGS, Mix((Track("nobody"),)))
    assert job.wait(30)
    assert job.state == "failed"
    assert "Track 1 (nobody)" in job.error


def rendered(backbone, *args):
    *_, last = render(backbone, *args)
    assert isinstance(last, Done)
    return last.result


def test_the_recipe_makes_the_clip_again(backbone, motion):
    made = rendered(
        backbone, SETTINGS, Mix((Track("wave", operations=[{"op": "reverse"}]),)), lambda name: motion
    )
    recipe = Recipe.from_json(made.recipe)
    recipe.check(backbone)
    assert recipe.motions == {"wave": motion.hash()}
    again = rendered(backbone, recipe.settings, recipe.mix, lambda name: motion)
    assert torch.equal(again.clip.frames, made.clip.frames)
    assert again.recipe == made.recipe
    bare = rendered(backbone, SETTINGS)
    assert not torch.equal(bare.clip.frames, made.clip.frames)


def test_other_weights_are_seen(backbone):
    recipe = Recipe.from_json(rendered(backbone, SETTINGS).recipe)
    with pytest.raises(InputError, match="weights"):
        recipe.check(tiny_backbone(seed=1))


@pytest.fixture(scope="module")
def sound(backbone, motion):
    """A recipe with a motion in it."""
    return rendered(backbone, SETTINGS, Mix((Track("wave"),)), lambda name: motion).recipe


BAD = {
    "nothing": (lambda r: None, "no recipe of the studio"),
    "a list": (lambda r: [], "no recipe of the studio"),
    "no base": (lambda r: {**r, "base": 3}, "no recipe of the studio"),
    "settings": (lambda r: {**r, "settings": {"prompt": "x", "colour": "red"}}, "unknown setting colour"),
    "no settings": (lambda r: {**r, "settings": None}, "settings must be a JSON object"),
    "mix": (lambda r: {**r, "mix": {"tracks": []}}, "0 tracks"),
    "no hash": (lambda r: {**r, "motions": {}}, "no hash for its motion wave"),
    "hash": (lambda r: {**r, "motions": {"wave": 3}}, "does not name its motions by their hashes"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_what_is_no_recipe(sound, change, said):
    assert Recipe.from_json(sound).motions
    with pytest.raises(InputError, match=said):
        Recipe.from_json(change(sound))


def test_a_studio_stands_on_a_base_of_the_users_own(tmp_path, motion):
    folder = tmp_path / "mine"
    tiny_pipeline().save_pretrained(folder)
    studio = Studio(tmp_path / "data", "cpu", str(folder))
    try:
        assert (studio.base.name, studio.levers()) == ("mine", [])
        studio.warm()
        job = studio.generate(SETTINGS, kind="preview", keep=False)
        assert job.wait(30) and job.state == "done", job.error
        assert job.result.recipe["base"] == "mine"
        foreign = studio.library.save(motion, "Wave").name
        info = replace(motion.info, base="mine", title="Own")
        own = studio.library.save(replace(motion, info=info), "Own").name
        assert [entry.name for entry in shelf.motions(studio.library, "mine")] == [own]
        assert [entry.name for entry in shelf.motions(studio.library, "tiny")] == [foreign]
        assert shelf.first(studio.library, "nobody") == ""
    finally:
        studio.close()


def test_an_unknown_base_is_refused_at_the_door(tmp_path, capsys, monkeypatch):
    with pytest.raises(SettingsError, match="known are toybox"):
        Studio(tmp_path / "data", "cpu", "nobody")
    assert main(["serve", "--data", str(tmp_path), "--base", "nobody"]) == 2
    assert "unknown base model 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_clip_made_while_a_motion_is_learnt_is_the_same_and_so_is_the_motion(studio, motion, hybrid):
    studio.library.save(motion, "Wave")
    clip = Clip(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(3)), 8)
    learning, mix = InversionSettings(steps=40, preview_every=0, hybrid=hybrid), Mix((Track("wave", 0.5),))

    alone = studio.generate(SETTINGS, mix, keep=False)
    learnt = studio.invert(clip, learning)
    assert alone.wait(60) and learnt.wait(60)
    again = studio.invert(clip, learning)
    while not again.losses and again.active:
        time.sleep(0.002)
    beside = studio.generate(SETTINGS, mix, keep=False)
    assert beside.wait(60)
    assert again.active, "the clip waited for the motion"
    assert again.wait(60)
    assert torch.equal(alone.result.clip.frames, beside.result.clip.frames)
    assert [point.loss for point in learnt.losses] == [point.loss for point in again.losses]
