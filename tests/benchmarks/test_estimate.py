"""What learning costs at full size, worked out: at tiny size it must say what is really kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import estimate  # noqa: E402

from motion_studio.backbones import injection  # noqa: E402
from motion_studio.backbones.checkpointing import kept_for_backward  # noqa: E402
from motion_studio.backbones.injection import LiveEmbedding  # noqa: E402
from motion_studio.backbones.lean import lean  # noqa: E402
from motion_studio.backbones.random_weights import random_base  # noqa: E402

SMALL = dict(widths=(8, 16), text_width=16, layers=1, groups=4)
HEADS = {"animatediff": dict(heads=2), "zeroscope": dict(head_width=4)}


@pytest.mark.parametrize("name", list(HEADS))
def test_what_is_kept_is_what_a_real_step_keeps(name, monkeypatch):
    monkeypatch.setattr(injection, "SHORT", 0)
    backbone = random_base(name, "cpu", torch.float32, (4, 64, 64), **SMALL, **HEADS[name])
    own = [dict(module.__dict__) for module in backbone.denoiser.modules()]
    rows, makes = estimate.estimated(backbone)
    assert [dict(module.__dict__) for module in backbone.denoiser.modules()] == own
    kept = {(row["sites"], row["checkpointing"]): row["kept_gb"] for row in rows}
    for sites in estimate.SITES:
        off, part, on = (kept[sites, what] for what in estimate.CHECKPOINTING)
        assert off > part > on > 0
    assert kept["late", "off"] < kept["all", "off"]
    assert rows[0]["time"] == 1 and all(row["teraflop"] > 0 for row in rows)

    frames = backbone.frames
    live = LiveEmbedding(backbone.sites.values(), frames, "v2", 2, torch.Generator(), backbone.device)
    latents = torch.zeros(1, backbone.latent_channels, frames, *backbone.latent_size)
    backbone._texts.clear()
    text = backbone.encode_text([""])
    with backbone.playing(live), lean(backbone.denoiser):
        real = kept_for_backward(backbone.denoiser, lambda: backbone.predict(latents, 500, text))
    assert kept["all", "off"] == pytest.approx(real / estimate.GB, rel=0.02)
    assert all(row["carrying"] > 1 for row in makes) and len(makes) == 2
    assert estimate.tables(rows, makes).count(f"| {name} |") == 8


def test_attention_counts_both_ways():
    def operations(backward: bool) -> int:
        parts = [torch.rand(2, 3, 16, 8, requires_grad=True) for _ in range(3)]
        with estimate.Counter() as counter:
            output = torch.nn.functional.scaled_dot_product_attention(*parts)
            if backward:
                output.sum().backward()
        return counter.operations

    product = 2 * 2 * 3 * 16 * 16 * 8
    assert operations(backward=False) == 2 * product
    assert operations(backward=True) == 7 * product  # the logits are made again
