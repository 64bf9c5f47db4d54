"""What cast.py reads from clips of which it is known where both objects go."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import cast  # noqa: E402

from motion_studio.toybox.data import PICTURE  # noqa: E402
from motion_studio.toybox.sample import apart  # noqa: E402
from motion_studio.toybox.world import render  # noqa: E402


@pytest.fixture(scope="module")
def found():
    """The scenes and the first pair of them."""
    ((first, second, made),) = cast.pairs(1, skip=24)
    return [first, second], made


def test_a_pair_is_two_objects_apart_that_are_read_back_exactly(found):
    sources, made = found
    left, right = made[2].things
    assert apart(left, right).mean() >= cast.APART and left.colour != right.colour
    for row in cast.judged(render(made[2], PICTURE), made[2]):
        assert row["colour"] and row["shape"]
        assert row["path"] > 0.95 and row["path_size"] == pytest.approx(1, abs=0.1)
    for source, moved in zip(sources, made, strict=False):
        assert np.allclose(
            moved.things[0].path - source.things[0].path, moved.things[0].path[0] - source.things[0].path[0]
        )


def test_one_missing_object_and_ones_changed_over_are_told(found):
    _, made = found
    first, second = made[2].things
    (_, gone) = cast.judged(render(replace(made[2], things=(first,)), PICTURE), made[2])
    assert not gone["colour"] and not gone["shape"] and gone["path"] == 0 and np.isnan(gone["path_size"])
    over = replace(made[2], things=(replace(first, path=second.path), replace(second, path=first.path)))
    rows = cast.judged(render(over, PICTURE), made[2])
    assert all(row["colour"] for row in rows) and max(row["path"] for row in rows) < 0.9


def test_its_mix_moves_each_track_as_far_as_its_path(found):
    sources, made = found
    mix = cast.mix_of(made, sources, ("", "a blue box"))
    assert mix.prompts == ["", "a blue box"]
    for track, source, moved in zip(mix.tracks, sources, made, strict=False):
        (step,) = track.operations
        assert source.things[0].path + [step["x"], step["y"]] == pytest.approx(moved.things[0].path, abs=1e-3)


def test_the_table_has_a_line_for_each_way():
    row = {"colour": True, "shape": True, "path": 0.9, "path_size": 1.0}
    rows = [{"way": way, "pair": n, **row, "shape": n > 0} for way in ("a", "b") for n in (0, 0, 1, 1)]
    lines = cast.table(rows).splitlines()
    assert len(lines) == 4 and lines[2] == "| a | 4 | 0.90 | 0.90 | 1.00 | 50% | 100% | 50% |"
