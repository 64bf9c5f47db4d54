"""Clips and curves as the page's components take them."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from motion_studio import settings
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


def test_measured_figures_stand_beside_their_preset(tmp_path, monkeypatch):
    file = tmp_path / "figures.json"
    monkeypatch.setattr(settings, "FIGURES", file)
    assert pictures.measured("pure", "toybox") == ""
    row = {"path": 0.961, "camera": 0.874, "layout": 0.08, "seconds": 22.4}
    file.write_text(
        json.dumps({"base": "toybox", "pairs": 24, "presets": {"faithful": row, "pure": row | {"path": 0.9}}})
    )
    assert pictures.measured("pure", "animatediff") == ""
    table = pictures.measured("pure", "toybox")
    assert "24 clips" in table and "Quick" not in table
    chosen = table.split('class="chosen"')[1].split("</tr>")[0]
    assert "Pure" in chosen and all(cell in chosen for cell in ("0.90", "0.87", "0.08", "22 s"))
