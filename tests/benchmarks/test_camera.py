"""What camera.py reads from clips of which it is known how they were filmed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import camera  # noqa: E402
from common import exact, held_out  # noqa: E402

from motion_studio.toybox.data import PICTURE  # noqa: E402
from motion_studio.toybox.world import render  # noqa: E402


@pytest.fixture(scope="module")
def pair():
    """A scene whose object moves before a camera at rest, and other looks for it."""
    (source,) = held_out("object", 1)
    return source, camera.filmable(source, 1)


@pytest.mark.parametrize("label", camera.FILMS)
def test_an_exact_rendering_is_read_as_exact(pair, label):
    source, asked = pair
    path = torch.from_numpy(source.path()).float()
    film, inside = camera.chosen(camera.FILMS[label], path, 0)
    assert inside
    filmed = replace(source, camera=film.curve(len(path)).numpy())
    row = camera.judged(render(exact(filmed, asked), PICTURE), asked, film, path)
    assert row["camera"] > 0.95 and row["camera_size"] == pytest.approx(1, abs=0.15)
    assert row["path"] > 0.98 and row["path_size"] == pytest.approx(1, abs=0.1)
    assert row["shape"] and row["colour"]
    still = camera.judged(render(exact(source, asked), PICTURE), asked, film, path)
    assert still["camera_size"] < 0.1  # unfilmed, it shows none of it


def test_the_way_is_taken_that_keeps_the_path_in_the_picture():
    right = torch.tensor([[0.5, 0.5], [0.8, 0.5]])
    film, inside = camera.chosen(camera.FILMS["pan .35"], right, 0)
    assert film.pan > 0 and inside  # a pan to the right: what it shows goes left
    left = torch.tensor([[0.5, 0.5], [0.2, 0.5]])
    assert camera.chosen(camera.FILMS["pan .35"], left, 0)[0].pan < 0
    out = torch.tensor([[0.1, 0.1], [0.9, 0.9]])
    assert not camera.chosen(camera.FILMS["zoom 1.5"], out, 0)[1]
    assert camera.chosen(camera.FILMS["roll 30"], None, 1)[0].roll == -30


def test_a_clip_without_an_object_is_no_match(pair):
    _, asked = pair
    clip = replace(render(asked, 64), frames=torch.full((16, 3, 64, 64), 0.3))
    row = camera.judged(clip, asked, camera.FILMS["pan .35"][0], torch.full((16, 2), 0.5))
    assert not row["shape"] and not row["colour"] and np.isnan(row["path"])
