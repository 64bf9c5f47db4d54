"""The page's words cover what the settings allow."""

from __future__ import annotations

from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from motion_studio.settings import GenerationSettings, InversionSettings, preset, preset_names
from motion_studio.studio.sweep import read_values, varied
from motion_studio.ui.text import CARRIED, GENERATE, INVERT, SWEEP

HINTS = get_type_hints(InversionSettings)


def allowed(hint) -> set[str]:
    """Return the words among the values of a hint."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return set().union(*(allowed(part) for part in get_args(hint) if get_origin(part) is Literal))


@pytest.mark.parametrize(("setting", "words"), [("loss", "losses"), ("sites", "sites_choices")])
def test_every_way_to_learn_can_be_chosen_and_no_other(setting, words):
    values = [value for _, value in INVERT[words]]
    assert len(values) == len(set(values)) and set(values) == allowed(HINTS[setting])
    assert {getattr(preset(name), setting) for name in preset_names()} <= set(values)


@pytest.mark.parametrize("name", SWEEP["suggested"])
def test_what_is_suggested_to_vary_can_be_varied(name):
    values = read_values(name, SWEEP["suggested"][name])
    assert len(varied(GenerationSettings("x"), name, values)) == len(values)
    assert GENERATE[name]


def test_a_sweep_has_a_column_for_each_figure():
    assert SWEEP["columns"].keys() == CARRIED.keys()
