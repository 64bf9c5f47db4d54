from __future__ import annotations

import pytest

from motion_studio.backbones.registry import load
from motion_studio.errors import SettingsError
from motion_studio.settings import GenerationSettings, InversionSettings, preset, preset_figures, preset_names


def test_json_round_trip():
    for settings in (
        InversionSettings(sites=("a", "b"), steps=3),
        InversionSettings(),
        GenerationSettings("a red ball", frames=8, guidance=2),
    ):
        assert type(settings).from_json(settings.to_json()) == settings


BAD = [
    ({"steps": 0}, "steps=0: allowed is 1 to 5000"),
    ({"steps": 2.5}, "steps=2.5: allowed is a whole number"),
    ({"steps": True}, "steps=True: allowed is a whole number"),
    ({"rank": 1000}, "rank=1000: allowed is 1 to 64"),
    ({"learning_rate": float("nan")}, "learning_rate=nan: allowed is a number"),
    ({"learning_rate": 10**400}, "0: allowed is 1e-06 to 10.0"),
    ({"version": "v3"}, "version='v3': allowed is v1, v2"),
    ({"sites": []}, r"sites=\(\): allowed is all, local, late or a list of names"),
    ({"sites": "some"}, "sites='some': allowed is all, local, late or a list of names"),
    ({"loss": ["plain"]}, "loss=.*: allowed is plain, debiased, changes"),
    ({"colour": 1}, "unknown setting colour; known are .*steps"),
    ([], "must be a JSON object, not list"),
]


@pytest.mark.parametrize(("bad", "said"), BAD)
def test_bad_inversion_settings(bad, said):
    with pytest.raises(SettingsError, match=said):
        InversionSettings.from_json(bad)


def test_messages_say_what_is_allowed():
    with pytest.raises(SettingsError, match="v1, v2"):
        InversionSettings(version="v3")
    with pytest.raises(SettingsError, match="0.0 to 1.0"):
        GenerationSettings("", noise_prior=1.5)
    with pytest.raises(SettingsError, match="known are .*steps"):
        GenerationSettings.from_json({"prompt": "", "step": 3})
    with pytest.raises(SettingsError, match="prompt"):
        GenerationSettings.from_json({})


def test_presets():
    assert {"faithful", "pure", "quick"} <= set(preset_names())
    for name in preset_names():
        assert isinstance(preset(name), InversionSettings)
    assert preset("pure").shuffle_looks and not preset("faithful").shuffle_looks
    with pytest.raises(SettingsError, match="faithful"):
        preset("../faithful")


def test_the_figures_shown_were_taken_on_the_weights_that_ship():
    shown = preset_figures()
    assert shown["base"] == "toybox" and shown["weights"] == load("toybox").weights_hash
    assert set(shown["presets"]) == set(preset_names()) and shown["pairs"] >= 12
