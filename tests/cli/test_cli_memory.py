"""What saves memory is told, and what to do where it is short after all."""

from __future__ import annotations

import pytest
import torch

from motion_studio.studio import memory
from motion_studio.studio.memory import ADVICE, CHECKPOINTING, FRAME_BY_FRAME

LEARN = ("invert", "clip.mp4", "--base", "tiny", "--steps", "1", "--out", "m.safetensors")
MAKE = ("generate", "--prompt", "a", "--base", "tiny", "--steps", "1", "--out", "v.mp4")
DEMO = ("demo", "--base", "tiny", "--clip", "clip.mp4", "--steps", "1", "--out", "made")


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A container that has hardly any memory left."""
    for name, value in {"max": "1000", "current": "900", "stat": "inactive_file 0\n"}.items():
        (tmp_path / f"memory.{name}").write_text(value)
    monkeypatch.setattr(memory, "_groups", lambda: [tmp_path])


@pytest.mark.parametrize("command", [LEARN, DEMO])
def test_what_saves_memory_is_told(tiny_base, container, run, command):
    code, _, told = run(*command)
    assert code == 0 and f"Random weights · {CHECKPOINTING}\n" in told


def test_what_saves_memory_is_told_of_clips(tiny_base, run, monkeypatch):
    monkeypatch.setattr("motion_studio.studio.manager.decoding_bytes", lambda backbone: (2**50, 1))
    code, _, told = run(*MAKE)
    assert code == 0 and f"Random weights · {FRAME_BY_FRAME}\n" in told


def test_quiet_says_nothing(tiny_base, container, run):
    code, _, told = run(*LEARN, "--quiet")
    assert (code, told) == (0, "")


def test_nothing_is_told_where_nothing_is_saved(tiny_base, run):
    code, _, told = run(*LEARN)
    assert code == 0 and "·" not in told


@pytest.mark.parametrize(("command", "doing"), [(LEARN, "learning"), (MAKE, "making")])
def test_advice_is_for_what_was_done(tiny_base, run, monkeypatch, command, doing):
    def lacking(latents, t, text):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    # How much computing takes is not to be found out.
    monkeypatch.setattr("motion_studio.studio.manager._need", lambda backbone: memory.Need(0))
    monkeypatch.setattr(tiny_base, "predict", lacking)
    code, _, told = run(*command, "--quiet")
    assert (code, told) == (2, f"error: {ADVICE[doing]}\n")


@pytest.mark.parametrize("command", [LEARN, MAKE])
def test_a_device_that_is_not_here_is_one_line(tiny_base, run, command):
    code, _, told = run(*command, "--device", "abacus")
    assert code == 2 and told.startswith("error: There is no device 'abacus' here; torch finds cpu")
    assert told.count("\n") == 1
