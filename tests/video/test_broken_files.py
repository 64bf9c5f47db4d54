"""Files that are no sound clip: one clear line each, and nothing left behind."""

from __future__ import annotations

import os
import tempfile

import pytest
from PIL import Image

from motion_studio.errors import ClipError
from motion_studio.video import ffmpeg
from motion_studio.video.files import read_clip, read_recipe

FILM = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2"]
SOUND = ["-f", "lavfi", "-i", "sine=d=1"]
EVEN = ["-pix_fmt", "yuv420p"]


def _make(path, *arguments):
    done = ffmpeg.run(["-loglevel", "error", *arguments, str(path)])
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Reading writes nothing, neither beside the file nor in the folder for temporary files."""
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    yield
    assert list(spare.iterdir()) == []


def _refused(path, match, **limits):
    before = sorted(os.listdir(path.parent))
    with pytest.raises(ClipError, match=match) as caught:
        read_clip(path, **limits)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    assert sorted(os.listdir(path.parent)) == before


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm", "gif", "fast.mp4"])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.7, 0.8, 0.9])
def test_cut_short(tmp_path, kind, share):
    how = ["-movflags", "+faststart"] if kind == "fast.mp4" else []
    whole = _make(tmp_path / f"a.{kind}", *FILM, *(EVEN if kind != "gif" else []), *how).read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    _refused(cut, "broken|cut short|cannot be read|no pictures|at least 2")


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_damaged_in_the_middle(tmp_path, kind):
    data = bytearray(_make(tmp_path / f"a.{kind}", *FILM, *EVEN).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(byte ^ 0x5A for byte in data[middle : middle + 40])
    (tmp_path / f"b.{kind}").write_bytes(data)
    _refused(tmp_path / f"b.{kind}", "broken or cut short")


@pytest.mark.parametrize(
    "content", [b"hello world " * 99, bytes(range(256)) * 20, b"\0" * 5000, b"GIF89a", b"<svg/>"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.txt"])
def test_no_video(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    _refused(tmp_path / name, "cannot be read as a video|broken|no pictures|at least 2")


def test_playlists_open_nothing_else(tmp_path):
    _make(tmp_path / "a.mp4", *FILM, *EVEN)
    for name, text in (
        ("b.m3u8", "#EXTM3U\n#EXTINF:2,\na.mp4\n"),
        ("b.mp4", "ffconcat version 1.0\nfile a.mp4\n"),
    ):
        (tmp_path / name).write_text(text)
        _refused(tmp_path / name, "cannot be read as a video")


def test_empty_and_missing(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    _refused(tmp_path / "a.mp4", "is empty")
    _refused(tmp_path / "b.mp4", "is not there")
    with pytest.raises(ClipError, match="is not there"):
        read_recipe(tmp_path / "b.mp4")
    (tmp_path / "folder").mkdir()
    _refused(tmp_path / "folder", "holds 0 pictures")


def test_sound_only(tmp_path):
    sound = _make(tmp_path / "a.mp4", *SOUND)
    _refused(sound, "only sound")
    Image.new("RGB", (32, 32), "red").save(tmp_path / "cover.png")
    with_cover = [
        "-i",
        str(sound),
        "-i",
        str(tmp_path / "cover.png"),
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "copy",
    ]
    _refused(
        _make(tmp_path / "b.mp4", *with_cover, "-c:v", "png", "-disposition:v:0", "attached_pic"),
        "only sound",
    )


def test_too_short(tmp_path):
    _refused(_make(tmp_path / "a.mp4", *FILM, *EVEN, "-frames:v", "1"), "at least 2")
    two = _make(tmp_path / "b.mp4", *FILM, *EVEN, "-frames:v", "2")
    assert read_clip(two).num_frames == 2
    _refused(two, "at least 2", start=0.15)


def test_too_long(tmp_path):
    film = _make(tmp_path / "a.mp4", *FILM, *EVEN)
    _refused(film, "lasts 2 s: at most 1 s", max_seconds=1)
    assert read_clip(film, start=0.5, end=1.5, max_seconds=1).num_frames == 10
    _refused(film, "no frame from 5 s to 2 s", start=5)
    # A recording of a browser gives no length.
    live = _make(tmp_path / "live.webm", *FILM, "-c:v", "libvpx", "-live", "1")
    assert ffmpeg.probe(live).seconds is None
    assert read_clip(live).num_frames == 20
    _refused(live, "lasts over 1 s", max_seconds=1)


def test_too_large(tmp_path):
    film = _make(tmp_path / "a.mp4", *FILM, *EVEN)
    _refused(film, "at most 0 MB", max_bytes=100)
    _refused(film, "is 64x48 pixels: at most 32x32", max_pixels=32 * 32)
    wide = _make(tmp_path / "wide.mp4", "-i", str(film), "-c", "copy", "-aspect", "255:1")
    _refused(wide, "is 12240x48 pixels: at most 256x256", max_pixels=256 * 256)
    narrow = _make(tmp_path / "narrow.mp4", "-i", str(film), "-c", "copy", "-aspect", "1:16")
    _refused(narrow, "is 64x48 pixels: at most 32x32", max_pixels=32 * 32)
    flat = ["-f", "lavfi", "-i", "color=red:s=6000x6000:r=2:d=1"]
    _refused(_make(tmp_path / "huge.gif", *flat), "is 6000x6000 pixels: at most 4096x4096")
