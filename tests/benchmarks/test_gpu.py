"""The GPU benchmark at tiny size on a processor: real classes, only the numbers are missing."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import gpu  # noqa: E402

from motion_studio.backbones.random_weights import PIPELINES, random_base  # noqa: E402
from motion_studio.settings import InversionSettings  # noqa: E402

SMALL = {
    "animatediff": ((4, 64, 64), dict(widths=(8, 16), text_width=16, heads=2, layers=1, groups=4)),
    "zeroscope": ((4, 64, 64), dict(widths=(8, 16), text_width=16, head_width=4, layers=1, groups=4)),
    "wan": ((9, 32, 32), dict(layers=2, heads=2, head_width=12, inner=16, text_width=16)),
}


def small(name):
    size, sizes = SMALL[name]
    return random_base(name, "cpu", torch.float32, size, **sizes)


def test_every_base_has_a_small_one():
    assert SMALL.keys() == PIPELINES.keys() == gpu.BASES.keys()


@pytest.mark.parametrize("lever", ["float8, checkpointing", "late sites, checkpointing in part"])
@pytest.mark.parametrize("name", list(SMALL))
def test_a_row_is_measured(name, lever):
    backbone = small(name)
    assert all(part.is_meta for network in backbone.others for part in network.parameters())
    row = gpu.measure(backbone, lever, learning_steps=2, making_steps=1, seconds=600)
    assert (row.base, row.lever, row.error) == (name, lever, "")
    assert (row.learning_steps, row.making_steps) == (2, 1)
    assert row.learning_s > 0 and row.bare_s > 0 and row.carrying_s > 0 and row.weights_gb > 0
    assert math.isnan(row.learning_peak_gb)
    text = gpu.table([row], {name: 20})
    assert "extrapolated from 2 steps" in text and "clips of 20 steps from 1" in text


def test_what_was_compiled_serves_every_further_step():
    counters = torch._dynamo.utils.counters
    counters.clear()
    backbone = small("animatediff")
    gpu.compiled(backbone, "eager")
    settings = InversionSettings(steps=3, noise_levels=1, preview_every=0)
    events = gpu.timed(backbone, gpu.invert(backbone, gpu.moving(backbone), settings), gpu.LossPoint)
    graphs = [counters["stats"]["unique_graphs"] for _ in events]
    assert graphs[0] == graphs[-1] > 0


def test_a_lack_of_memory_and_of_time_are_told():
    backbone = small("animatediff")
    own, backbone.encode = backbone.encode, lambda frames: torch.empty(2**50, dtype=torch.uint8)
    row = gpu.measure(backbone, "none", learning_steps=2, making_steps=1, seconds=600)
    assert row.error == "learning: out of memory" and row.bare_s > 0 and math.isnan(row.carrying_s)
    backbone.encode = own
    assert gpu.measure(backbone, "none", learning_steps=50, making_steps=1, seconds=0).learning_steps == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_without_a_gpu_it_says_so(capsys):
    assert gpu.main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "CUDA" in said
