"""How much memory there is; a lack of it fails one job, in one line."""

from __future__ import annotations

import math
import re
import weakref

import pytest
import torch

from motion_studio.backbones.registry import find
from motion_studio.cli.main import main
from motion_studio.errors import OutOfMemory
from motion_studio.settings import InversionSettings
from motion_studio.studio import memory
from motion_studio.studio.events import Done, Progress
from motion_studio.studio.jobs import LANES, Jobs
from motion_studio.studio.memory import ADVICE, free_bytes, group_free, within_memory

IMPOSSIBLE = 2**50


def test_the_free_memory_of_this_machine():
    assert 2**20 < free_bytes("cpu") < 2**60


V2 = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 500\ninactive_file 150\n"}
V1 = {"limit_in_bytes": "1000", "usage_in_bytes": "900", "stat": "inactive_file 5\ntotal_inactive_file 30\n"}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (V2, 450),
        ({f"memory.{name}": value for name, value in V1.items()}, 130),
        (V2 | {"memory.max": "max"}, math.inf),
        (V2 | {"memory.current": "1200"}, 0),
        ({"memory.stat": V2["memory.stat"]}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_free_memory_of_a_container(tmp_path, files, wanted):
    for name, value in files.items():
        (tmp_path / name).write_text(value)
    assert group_free(tmp_path) == wanted


def test_a_container_leaves_less_than_its_machine(monkeypatch, tmp_path):
    before = free_bytes("cpu")
    for name, value in V2.items():
        (tmp_path / name).write_text(value)
    monkeypatch.setattr(memory, "_groups", lambda: [tmp_path / "none", tmp_path])
    assert free_bytes("cpu") == 450 < before


def test_a_job_out_of_memory_gives_back_what_it_took_and_the_next_runs(tmp_path):
    taken = []

    def greedy(cancel, stop):
        held = torch.zeros(1000)
        taken.append(weakref.ref(held))
        yield Progress(0, 1)
        deeper()

    def deeper():
        held = torch.zeros(1000)
        taken.append(weakref.ref(held))
        torch.empty(IMPOSSIBLE, dtype=torch.uint8)

    def modest(cancel, stop):
        yield Progress(0, 1)
        yield Done(float(torch.ones(3).sum()))

    jobs = Jobs(tmp_path / "jobs.sqlite")
    first, second = jobs.submit("invert", "greedy", greedy), jobs.submit("invert", "modest", modest)
    assert second.wait(60)
    assert (first.state, first.error) == ("failed", ADVICE["learning"])
    assert len(taken) == 2 and not any(held() is not None for held in taken)
    assert (second.state, second.result) == ("done", 3.0)
    jobs.close()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_every_lack_of_memory_is_one_line(error):
    with pytest.raises(OutOfMemory) as caught, within_memory("making"):
        raise error
    assert str(caught.value) == ADVICE["making"]


def test_advice_names_what_there_is():
    """Settings by their names, and a knob that the work has."""
    assert set(LANES) <= set(ADVICE)
    learning, making, loading = (ADVICE[doing] for doing in ("learning", "making", "loading"))
    for setting in ("checkpointing=on", "sites=late"):
        name, value = setting.split("=")
        assert setting in learning and InversionSettings.from_json({name: value})
    assert "noise levels" in learning and "noise levels" not in making
    assert "frames" in making and "another" in loading
    for line in (learning, making, loading):
        size = re.search(r"\S+@\d+x\d+", line)
        assert (find(size[0]).width, find(size[0]).height) == (384, 384)
    assert not any("\n" in line for line in ADVICE.values())


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), within_memory():
        raise RuntimeError("shapes do not match")


def test_a_command_out_of_memory_ends_in_one_line(monkeypatch, capsys):
    def table(*_args):
        torch.empty(IMPOSSIBLE, dtype=torch.uint8)

    monkeypatch.setattr("motion_studio.cli.looking.table", table)
    assert main(["bases"]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {ADVICE['else']}\n"
