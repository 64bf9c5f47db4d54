"""What learning costs at full size, worked out: at tiny size it must say what is really kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import estimate  # noqa: E402

from motion_studio.backbones import injection  # noqa: E402
from motion_studio.backbones.checkpointing import kept_for_backward  # noqa: E402
from motion_studio.backbones.injection import LiveEmbedding  # noqa: E402
from motion_studio.backbones.lean import lean  # noqa: E402
from motion_studio.backbones.peaks import learning_bytes, making_bytes  # noqa: E402
from motion_studio.backbones.random_weights import PIPELINES, random_base  # noqa: E402
from motion_studio.backbones.registry import BASES  # noqa: E402

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "results" / "estimate.json"
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


def test_what_the_studio_counts_with_is_told_without_content(monkeypatch):
    monkeypatch.setattr(injection, "SHORT", 0)
    heads = HEADS["animatediff"]
    backbone = random_base("animatediff", "cpu", torch.float32, (4, 64, 64), **SMALL, **heads)
    told = estimate.memory(backbone)
    backbone._texts.clear()
    assert told["making_gb"] == pytest.approx(making_bytes(backbone) / estimate.GB, rel=0.02)
    for what in estimate.CHECKPOINTING:
        real = learning_bytes(backbone, what) / estimate.GB
        assert told["learning_gb"][what] == pytest.approx(real, rel=0.02)


def test_what_was_published_is_what_is_counted_now(monkeypatch):
    monkeypatch.setattr(injection, "SHORT", 0)
    with FakeTensorMode():
        torch.set_default_dtype(torch.float16)
        try:
            kind, pipe = PIPELINES["animatediff"]()
        finally:
            torch.set_default_dtype(torch.float32)
        backbone = kind(BASES["animatediff"], pipe)
        making, learning = making_bytes(backbone), learning_bytes(backbone, "on")
    row = next(row for row in json.loads(PUBLISHED.read_text())["memory"] if row["base"] == "animatediff")
    assert row["making_gb"] == pytest.approx(making / estimate.GB, rel=0.01)
    assert row["learning_gb"]["on"] == pytest.approx(learning / estimate.GB, rel=0.01)


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
