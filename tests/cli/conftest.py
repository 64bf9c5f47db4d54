"""Run commands in this process and look at how they end."""

from __future__ import annotations

import json

import pytest
import torch

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import BASES
from motion_studio.cli.main import main
from motion_studio.video.clip import Clip
from motion_studio.video.files import write_clip
from tests.tiny import SPEC, tiny_backbone


@pytest.fixture
def tiny_base(tmp_path, monkeypatch) -> Backbone:
    """`--base tiny`, in a folder with a clip of a square that moves, clip.mp4."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTION_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(BASES, "tiny", SPEC)
    backbone = tiny_backbone()
    monkeypatch.setattr("motion_studio.studio.manager.load", lambda name, device: backbone)
    frames = torch.full((8, 3, 32, 32), 0.2)
    for n in range(8):
        frames[n, 0, 8:20, 2 + 2 * n : 12 + 2 * n] = 1.0
    write_clip("clip.mp4", Clip(frames, 8.0))
    return backbone


@pytest.fixture
def motion(tiny_base, run) -> str:
    """The motion of clip.mp4, learnt on the tiny base, with its loop and thumbnail."""
    learn = ("invert", "clip.mp4", "--base", "tiny", "--steps", "2", "--prompt", "a red ball")
    assert run(*learn, "--out", "m.safetensors")[0] == 0
    return "m.safetensors"


@pytest.fixture
def run(capsys):
    """`run(*argv)` gives the exit code, stdout and stderr of a command."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def run_json(run):
    """`run_json(*argv)` gives the one JSON object of a command that ends well."""

    def run_json(*argv: str) -> dict:
        code, out, err = run(*argv, "--json")
        assert code == 0, err
        return json.loads(out)

    return run_json


@pytest.fixture
def refused(run):
    """`refused(word, *argv)`: the command ends with 2 and one clear line that has the word in it."""

    def refused(word: str, *argv: str) -> None:
        code, out, err = run(*argv)
        assert code == 2, err
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert word in err

    return refused
