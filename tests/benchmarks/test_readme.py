"""The readme's tables are what `docs/results` holds, measured on the weights and presets that ship."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import readme  # noqa: E402

from motion_studio.backbones.registry import load  # noqa: E402
from motion_studio.errors import InputError  # noqa: E402
from motion_studio.settings import preset_figures, preset_names  # noqa: E402

RESULTS = readme.read(readme.RESULTS)


def test_the_readme_says_what_was_measured():
    text = readme.README.read_text()
    assert readme.filled(text, readme.tables(RESULTS)) == text


def test_it_was_measured_on_the_weights_that_ship():
    ours = load("toybox").weights_hash
    assert {name: found["weights"] for name, found in RESULTS.items()} == dict.fromkeys(RESULTS, ours)
    assert preset_figures()["weights"] == ours


def test_every_preset_was_measured():
    assert set(preset_names()) <= {row["condition"] for row in RESULTS["quality"]["rows"]}


def test_another_result_makes_another_table():
    worse = json.loads(json.dumps(RESULTS))
    for row in worse["gate"]["rows"]:
        row["motion"] = False
    text = readme.filled(readme.README.read_text(), readme.tables(worse))
    line = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert line.split(" | ")[4] == "0%"
    assert readme.filled(text, readme.tables(RESULTS)) == readme.README.read_text()


@pytest.mark.parametrize("times", [0, 2])
def test_a_table_that_has_no_single_place_is_refused(times):
    text = "<!-- gate -->\n\n| a |\n| --- |\n" * times
    with pytest.raises(InputError, match=f"{times} tables after <!-- gate -->"):
        readme.filled(text, {"gate": "| b |"})
