"""Mixes to begin with can be begun with: their motions ship, and the mixer shows all that they are."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from motion_studio.backbones.registry import BASES
from motion_studio.errors import InputError, SettingsError
from motion_studio.settings import FILM
from motion_studio.studio.library import STARTERS
from motion_studio.studio.mix import cast, preview_paths
from motion_studio.studio.motion_file import read_motion
from motion_studio.studio.starter_mixes import MIXES, StarterMix, starter_mixes
from motion_studio.ui import mix_desk


def load(name: str):
    return read_motion(STARTERS / f"{name}.safetensors")


def test_there_are_some_and_their_titles_differ():
    mixes = starter_mixes("toybox")
    assert len(mixes) == len({one.title for one in mixes}) == len(list(MIXES.glob("*.json"))) >= 4
    assert any(len(one.mix.prompts) > 1 for one in mixes) and any(one.film != FILM for one in mixes)
    assert starter_mixes("wan") == []


@pytest.mark.parametrize("one", starter_mixes("toybox"), ids=lambda one: one.title)
def test_each_is_shown_whole_on_the_desk_and_can_be_made(one):
    frames = BASES[one.base].frames
    names = {path.stem: path.stem for path in STARTERS.glob("*.safetensors")}
    desk = mix_desk.from_mix(one.mix, names, frames, one.film)
    assert mix_desk.to_mix(desk) == replace(one.mix, frames=frames) and desk["film"] == one.film
    assert [role.prompt for role in cast(mix_desk.to_mix(desk), load)] == one.mix.prompts
    ways = preview_paths(one.mix, load)["blends"]
    assert all(0 <= number <= 1 for way in ways for point in way if point for number in point)


def test_one_that_is_none_is_refused(tmp_path):
    good = {
        "title": "x",
        "base": "toybox",
        "prompt": "a ball",
        "seed": 0,
        "mix": {"tracks": [{"motion": "a"}]},
    }
    assert StarterMix.from_json(good).film == FILM
    with pytest.raises(InputError):
        StarterMix.from_json({**good, "mix": {"tracks": []}})
    with pytest.raises(SettingsError):
        StarterMix.from_json({**good, "film": {"pan": 99}})
    (tmp_path / "x.json").write_text(json.dumps({**good, "base": "tiny"}))
    assert [one.title for one in starter_mixes("tiny", tmp_path)] == ["x"]
