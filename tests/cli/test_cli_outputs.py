"""What is written over and what is not: a motion's own loop goes with it, the user's clips stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("tiny_base")
QUICK = ("--base", "tiny", "--steps", "2")


def test_a_motion_that_is_written_over_takes_its_loop_and_thumbnail_along(run, run_json, motion):
    assert run_json("edit", motion, "--reverse", "--out", "r.safetensors")["removed"] == []
    assert Path("m.mp4").is_file()
    code, out, _ = run("edit", motion, "--reverse", "--out", "m.safetensors")
    assert code == 0 and "removed m.mp4 and m.webp" in out
    assert not Path("m.mp4").exists() and not Path("m.webp").exists()
    run("invert", "clip.mp4", *QUICK, "--out", "m.safetensors")
    result = run_json("mix", "r.safetensors", "r.safetensors:-0.5", "--out", "m.safetensors")
    assert result["removed"] == ["m.mp4", "m.webp"] and not Path("m.mp4").exists()


def test_a_motion_that_is_written_over_leaves_videos_of_the_users_own(run, run_json, motion):
    line = ["generate", "--prompt", "x", "--motion", motion, *QUICK, "--out", "m.mp4"]
    assert run(*line)[0] == 0
    whole, own = Path("m.mp4").read_bytes(), Path("clip.mp4").read_bytes()
    assert run_json("edit", motion, "--reverse", "--out", "m.safetensors")["removed"] == []
    assert Path("m.mp4").read_bytes() == whole
    for _ in range(2):
        assert run("edit", motion, "--reverse", "--out", "clip.safetensors")[0] == 0
        assert Path("clip.mp4").read_bytes() == own


def test_inverting_another_clip_leaves_the_one_beside_the_motion(run, refused):
    assert run("invert", "clip.mp4", *QUICK, "--out", "clip.safetensors")[0] == 0
    own = Path("clip.mp4").read_bytes()
    Path("other.mp4").write_bytes(own)
    refused("no motion's", "invert", "other.mp4", *QUICK, "--out", "clip.safetensors")
    assert Path("clip.mp4").read_bytes() == own
    Path("new.webp").write_bytes(b"a picture")
    refused("new.webp is there", "invert", "clip.mp4", *QUICK, "--out", "new.safetensors")
    for _ in range(2):  # its own loop and thumbnail are
        assert run("invert", "clip.mp4", *QUICK, "--out", "again.safetensors")[0] == 0


def test_what_cannot_be_written_is_refused_before_any_work(refused):
    refused("ends in .safetensors", "invert", "nothing.mp4", "--out", "Ball.SAFETENSORS")
    Path("text.txt").write_text("no folder")
    refused("nothing can be written", "invert", "nothing.mp4", "--out", "text.txt/m.safetensors")


def test_no_clip_is_written_over(run, refused):
    whole = Path("clip.mp4").read_bytes()
    Path("other.mp4").write_bytes(b"some other video")
    refused("no motion's", "invert", "clip.mp4", *QUICK, "--out", "other.safetensors")
    assert Path("other.mp4").read_bytes() == b"some other video"
    Path("other.mp4").unlink()
    os.link("clip.mp4", "linked.mp4")
    for name in ("clip", "linked"):  # it is the motion's clip from then on, and still the user's
        assert run("invert", "clip.mp4", *QUICK, "--out", f"{name}.safetensors")[0] == 0
        assert run("edit", f"{name}.safetensors", "--reverse", "--out", f"{name}.safetensors")[0] == 0
        assert Path(f"{name}.mp4").read_bytes() == whole
        Path(f"{name}.safetensors").unlink()
    Path("d").mkdir()
    for name in ("motion", "result", "reference-and-result"):
        Path(f"d/{name}.mp4").write_bytes(whole)
        refused("over the clip", "demo", "--clip", f"d/{name}.mp4", *QUICK, "--out", "d")
        assert Path(f"d/{name}.mp4").read_bytes() == whole
        Path(f"d/{name}.mp4").unlink()
    assert Path("clip.mp4").read_bytes() == whole
    assert sorted(path.name for path in Path().iterdir()) == ["clip.mp4", "d", "linked.mp4"]


def test_no_picture_of_a_folder_is_written_over(run, refused):
    Path("film").mkdir()
    for n in range(8):
        Image.new("RGB", (32, 32), (20 * n, 0, 0)).save(f"film/{n}.webp")
    whole = Path("film/3.webp").read_bytes()
    refused("over the clip film", "invert", "film", *QUICK, "--out", "film/3.safetensors")
    assert Path("film/3.webp").read_bytes() == whole
    code, _, err = run("invert", "film", *QUICK, "--out", "film.safetensors")
    assert code == 0, err
