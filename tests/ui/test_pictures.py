"""Clips and curves as the page's components take them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from motion_studio.ui import pictures
from motion_studio.video.clip import Clip


@pytest.mark.parametrize("frames", [1, 5, 16])
def test_a_view_holds_every_frame_in_its_grid(frames):
    clip = Clip(torch.rand(frames, 3, 8, 12), 8)
    view = pictures.view(clip)
    kind, data = view["sprite"].split(",")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert kind == "data:image/png;base64"
    for n in range(frames):
        top, left = n // view["columns"] * 8, n % view["columns"] * 12
        shown = torch.from_numpy(sheet[top : top + 8, left : left + 12].copy()).permute(2, 0, 1) / 255
        assert torch.allclose(shown, clip.frames[n], atol=0.003)


def test_a_large_clip_is_shown_smaller():
    view = pictures.view(Clip(torch.rand(2, 3, 50, 900), 8))
    assert (view["width"], view["height"]) == (448, 25)


def test_a_curve_needs_two_points_and_takes_any():
    assert pictures.curve([1.0], 10, "Loss") == ""
    assert pictures.curve([0.0, 1.0, 1.0], 10, "Loss").count("<polyline") == 2
