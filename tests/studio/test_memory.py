"""What saves memory is chosen by one function; a lack of memory fails one job, in one line."""

from __future__ import annotations

import weakref

import pytest
import torch

from motion_studio.cli.main import main
from motion_studio.errors import OutOfMemory
from motion_studio.studio import memory
from motion_studio.studio.events import Done, Progress
from motion_studio.studio.jobs import Jobs
from motion_studio.studio.memory import (
    CHECKPOINTING,
    FLOAT8,
    FRAME_BY_FRAME,
    OFFLOAD,
    PARTLY,
    Need,
    free_bytes,
    levers,
    within_memory,
)

IMPOSSIBLE = 2**50
GB = 2**30
BIG = Need(denoiser=2 * GB, others=2 * GB, learning=16 * GB, decoding=4 * GB)


@pytest.mark.parametrize(
    ("free", "device", "wanted"),
    [
        (80 * GB, "cuda", []),
        (24 * GB, "cuda:0", [OFFLOAD]),
        (20 * GB, "cuda", [OFFLOAD, PARTLY]),
        (12 * GB, "cuda", [OFFLOAD, CHECKPOINTING]),
        (7 * GB, "cuda", [OFFLOAD, CHECKPOINTING, FRAME_BY_FRAME]),
        (3 * GB, "cuda", [OFFLOAD, CHECKPOINTING, FRAME_BY_FRAME, FLOAT8]),
        (0, "cuda", [OFFLOAD, CHECKPOINTING, FRAME_BY_FRAME, FLOAT8]),
        (80 * GB, "cpu", []),
        (24 * GB, "cpu", [PARTLY]),
        (12 * GB, "cpu", [CHECKPOINTING]),
        (9 * GB, "cpu", [CHECKPOINTING, FRAME_BY_FRAME]),
    ],
)
def test_the_levers(free, device, wanted):
    assert levers(BIG, free, device) == wanted


def test_less_memory_never_means_fewer_levers():
    for device in ("cpu", "cuda"):
        counts = [len(levers(BIG, free * GB, device)) for free in range(60)]
        assert counts == sorted(counts, reverse=True)


def test_a_lever_that_would_not_help_is_left_alone():
    assert levers(Need(denoiser=GB), GB, "cuda") == [FLOAT8]
    assert levers(Need(denoiser=GB), GB, "cpu") == []


def test_the_free_memory_of_this_machine():
    assert 2**20 < free_bytes("cpu") < 2**60


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
    assert (first.state, first.error) == ("failed", memory.TURN_DOWN)
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
    with pytest.raises(OutOfMemory) as caught, within_memory():
        raise error
    assert all(word in str(caught.value) for word in ("frames", "size", "noise levels", "checkpointing"))
    assert "\n" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), within_memory():
        raise RuntimeError("shapes do not match")


def test_a_command_out_of_memory_ends_in_one_line(monkeypatch, capsys):
    def table(*_args):
        torch.empty(IMPOSSIBLE, dtype=torch.uint8)

    monkeypatch.setattr("motion_studio.cli.looking.table", table)
    assert main(["bases"]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {memory.TURN_DOWN}\n"
