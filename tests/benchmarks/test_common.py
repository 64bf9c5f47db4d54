"""The benchmarks ask only what their own judge can see: perfect clips are read as perfect."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import common  # noqa: E402
import quality  # noqa: E402

from motion_studio.toybox.judge import judge  # noqa: E402
from motion_studio.toybox.world import Ground, render  # noqa: E402


@pytest.mark.parametrize("kind", list(common.KINDS))
def test_a_perfect_clip_is_read_as_one(kind):
    for number, source in enumerate(common.held_out(kind, 3)):
        asked = common.other_looks(source, number)
        verdict = judge(source, asked, render(common.exact(source, asked)))
        if kind == "object":
            assert np.isnan(verdict.camera)
        else:
            assert verdict.camera > common.SEEN and verdict.camera_size == pytest.approx(1, abs=0.05)
        assert verdict.path > 0.99 and verdict.path_size == pytest.approx(1, abs=0.1)
        assert verdict.colour and verdict.shape and not verdict.colour_leak and not verdict.shape_leak
        plain = source.ground.pattern == "plain"
        assert np.isnan(verdict.layout) if plain else abs(verdict.layout) < 0.3


def test_reports_are_of_other_clips_than_settings_were_chosen_on():
    chosen = common.held_out("object", common.CHOSEN_ON, skip=0)
    paths = {scene.things[0].path.tobytes() for scene in chosen}
    assert len(paths) == common.CHOSEN_ON
    assert not paths & {scene.things[0].path.tobytes() for scene in common.held_out("object", 3)}


def test_what_moves_along_stripes_is_not_asked_about():
    source = common.held_out("camera", 1)[0]
    asked = common.other_looks(source, 0)
    assert common.shows_camera(source, asked)
    grounds = [Ground(asked.ground.colour, "stripes", seed) for seed in range(12)]
    shown = [common.shows_camera(source, replace(asked, ground=ground)) for ground in grounds]
    assert not all(shown)
    still = common.held_out("object", 1)[0]
    assert common.shows_camera(still, replace(asked, ground=grounds[0]))


def test_a_table_of_perfect_clips(tmp_path):
    run = quality.Run(None, 6, tmp_path, skip=0)  # nothing is learnt or played here
    for number in range(6):
        run.keep(quality.EXACT, number, render(common.exact(run.sources[number], run.asked[number])))
    assert len(run.clips) == len(run.labels) == 6
    last = quality.table(run.rows).splitlines()[-1].split(" | ")
    assert last[0] == "| exact rendering" and last[1:5] == ["1.00"] * 4 and last[7:9] == ["100%"] * 2
    assert last[-2:] == ["–", "– |"]  # no seconds, since nothing was learnt
    rows = [row | {"condition": "quick"} for row in run.rows]
    kinds = [line.split(" | ")[1] for line in quality.by_kind(rows, ["quick"]).splitlines()[2:]]
    assert kinds == list(common.KINDS)
    assert quality.by_kind(rows, ["quick"]).splitlines()[2].split(" | ")[4] == "–"  # no camera moves
