"""The commands that run a base fetch it first: under a bar, until Ctrl+C, on from there the next time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motion_studio.video.clip import Clip
from motion_studio.video.files import write_clip
from tests.hub import API, REPO, dripping, hang, refuse, serving
from tests.tiny import tiny_pipeline

BIG, PADDING = "vae/diffusion_pytorch_model.safetensors", 1_000_000
GENERATE = (
    "generate",
    "--prompt",
    "a ball",
    "--base",
    REPO,
    "--steps",
    "1",
    "--frames",
    "4",
    "--out",
    "v.mp4",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    tiny_pipeline().save_pretrained(folder)
    weights = load_file(folder / BIG)
    save_file({**weights, "more": torch.zeros(PADDING, dtype=torch.uint8)}, folder / BIG, {"format": "pt"})
    return folder


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serving(files, tmp_path / "cache", monkeypatch) as hub:
        yield hub


def started(hub, *argv: str) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parents[2])
    asked = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(Path("cache").absolute()), "HF_HUB_OFFLINE": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "motion_studio", *argv],
        env=os.environ | asked | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(hub, *argv: str) -> tuple[int, str, str]:
    """How a command ends that is interrupted 1.5 s after it asked for what `hub.instead` answers for."""
    reached = threading.Event()
    (where, answer), *_ = hub.instead.items()

    def noticed(*asked) -> None:
        reached.set()
        answer(*asked)

    hub.instead[where] = noticed
    process = started(hub, *argv)
    assert reached.wait(60)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, error = process.communicate(timeout=60)
    assert time.monotonic() < began + 5  # of which most is the end of a Python that has torch
    return process.returncode, out, error


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        (BIG, dripping(110_000, 50_000)),
        (BIG, refuse(429, Retry_After="30")),
        (API, hang),
    ],
    ids=["stalled", "asked to wait", "no API's answer"],
)
def test_ctrl_c_ends_a_fetch_at_once(hub, where, answer):
    hub.instead[where] = answer
    assert interrupted(hub, *GENERATE, "--quiet") == (130, "", "cancelled\n")


def test_what_came_before_ctrl_c_is_kept(hub):
    hub.instead[BIG] = dripping(110_000)
    code, out, error = interrupted(hub, *GENERATE)
    assert (code, out) == (130, "") and error.endswith("\ncancelled\n")
    assert "Fetching" in error and "MB" in error
    (part,) = Path("cache").rglob("*.incomplete")
    kept = part.stat().st_size
    assert kept > 100_000
    hub.instead.clear()
    hub.asked.clear()
    process = started(hub, *GENERATE, "--quiet")
    out, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "") and "v.mp4" in out
    assert dict(hub.asked)[BIG] == kept


@pytest.mark.parametrize("command", ["generate", "invert", "demo"])
def test_each_command_fetches_its_base_under_a_bar(hub, run, command):
    line = {
        "generate": GENERATE,
        "invert": ("invert", "clip.mp4", "--base", REPO, "--steps", "1", "--out", "m.safetensors"),
        "demo": ("demo", "--clip", "clip.mp4", "--base", REPO, "--steps", "1", "--out", "d"),
    }[command]
    write_clip("clip.mp4", Clip(torch.rand(16, 3, 32, 32), 8.0))
    hub.instead[API] = refuse(503)
    code, _, error = run(*line)
    assert code == 2 and error.count("\n") == 1 and "503" in error
    hub.instead.clear()
    code, _, error = run(*line)
    assert code == 0 and "Fetching" in error
