"""Clips to and from real files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from drawn_clips import PATHS, draw
from PIL import Image, ImageDraw

from motion_studio.errors import ClipError
from motion_studio.video import ffmpeg
from motion_studio.video.clip import Clip, fit
from motion_studio.video.files import (
    contact_sheet,
    read_clip,
    read_recipe,
    side_by_side,
    write_clip,
    write_gif,
    write_thumbnail,
)
from motion_studio.video.measures import path_correlation
from motion_studio.video.reading import _even
from motion_studio.video.tracks import track_object

RECIPE = {
    "prompt": 'a "red" disc; 50% = half\\of # it\nnew line, é',
    "steps": [1, 2.5, None],
    "deep": {"a": True},
}


@pytest.fixture(scope="module")
def clip():
    return draw(PATHS["wave"], pattern="stripes")


def _films(path, *output, size="64x48", seconds=2):
    """A moving test picture, made by ffmpeg itself."""
    picture = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=10:d={seconds}"]
    done = ffmpeg.run(["-loglevel", "error", *picture, *map(str, output), str(path)])
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("scale", [None, 4])
def test_mp4_there_and_back(tmp_path, clip, scale):
    write_clip(tmp_path / "a.mp4", clip, RECIPE, scale)
    back = read_clip(tmp_path / "a.mp4")
    assert (back.num_frames, back.width, back.fps) == (16, 64 * (scale or 1), pytest.approx(8))
    assert (fit(back, 16, 64, 64).frames - clip.frames).abs().mean() < 0.02
    assert (fit(back, 16, 64, 64).frames - clip.frames).mean((0, 2, 3)).abs().max() < 0.005
    assert path_correlation(track_object(back), torch.tensor(PATHS["wave"])) > 0.99
    assert read_recipe(tmp_path / "a.mp4") == RECIPE
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_mp4_plays_in_browsers(tmp_path, clip):
    write_clip(tmp_path / "a.mp4", clip)
    told = ffmpeg.run(ffmpeg.source(tmp_path / "a.mp4")).stderr.decode()
    assert "h264" in told
    assert "yuv420p(tv, bt709" in told
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm", "gif"])
def test_other_makers_files(tmp_path, kind):
    path = _films(tmp_path / f"a.{kind}", *(["-pix_fmt", "yuv420p"] if kind != "gif" else []))
    back = read_clip(path)
    assert tuple(back.frames.shape) == (20, 3, 48, 64)
    assert back.fps == pytest.approx(10, abs=0.01)
    assert read_clip(path, start=0.5, end=1.0).num_frames == 5
    assert read_recipe(path) is None


def test_gif_there_and_back(tmp_path, clip):
    write_gif(tmp_path / "a.gif", clip)
    back = read_clip(tmp_path / "a.gif")
    # Delays are hundredths of a second: 8 frames a second cannot be had exactly.
    assert (back.num_frames, back.fps) == (16, pytest.approx(8, abs=0.05))
    assert (back.frames - clip.frames).abs().mean() < 0.02


def test_odd_size_grows_by_a_pixel(tmp_path, clip):
    write_clip(tmp_path / "a.mp4", Clip(clip.frames[..., :51, :63], 7.5))
    back = read_clip(tmp_path / "a.mp4")
    assert (back.height, back.width, back.fps) == (52, 64, pytest.approx(7.5))
    assert (back.frames[..., :51, :63] - clip.frames[..., :51, :63]).abs().mean() < 0.02


def test_rotation_is_applied_and_pixels_made_square(tmp_path):
    plain = _films(tmp_path / "a.mp4", "-pix_fmt", "yuv420p")
    turn = ["-display_rotation", "90", "-i", str(plain), "-c", "copy", str(tmp_path / "turned.mp4")]
    assert ffmpeg.run(turn).returncode == 0
    turned = read_clip(tmp_path / "turned.mp4")
    assert (turned.height, turned.width) == (64, 48)
    assert (turned.frames - read_clip(plain).frames.rot90(1, (2, 3))).abs().mean() < 0.02
    wide = read_clip(_films(tmp_path / "wide.mp4", "-vf", "setsar=2", "-pix_fmt", "yuv420p"))
    assert (wide.height, wide.width) == (48, 128)


@pytest.mark.parametrize("aspect,size", [("16:1", (32, 512)), ("1:16", (48, 3))])
def test_pixels_far_from_square_come_in_no_larger(tmp_path, aspect, size):
    film = _films(tmp_path / "stored.mp4", "-pix_fmt", "yuv420p", "-aspect", aspect)
    for kind in ("mp4", "mkv"):
        path = tmp_path / f"a.{kind}"
        assert ffmpeg.run(["-i", str(film), "-c", "copy", "-aspect", aspect, str(path)]).returncode == 0
        shown = ffmpeg.probe(path)
        assert (shown.stored, shown.height, shown.width) == ((64, 48), 48, 48 * size[1] // size[0])
        back = read_clip(path)
        assert (back.height, back.width) == size
        # Turned, a wide pixel is a tall one.
        turn = [
            "-display_rotation",
            "90",
            "-i",
            str(path),
            "-c",
            "copy",
            str(tmp_path / f"turned.{kind}.mp4"),
        ]
        assert ffmpeg.run(turn).returncode == 0
        turned = read_clip(tmp_path / f"turned.{kind}.mp4")
        assert max(turned.height, turned.width) <= 512
        assert turned.height / turned.width == pytest.approx(size[1] / size[0], rel=0.1)


def test_a_container_has_the_last_word_on_the_pixels_shape(tmp_path):
    film = _films(tmp_path / "a.mp4", "-vf", "setsar=2", "-pix_fmt", "yuv420p")
    path = tmp_path / "b.mp4"
    assert ffmpeg.run(["-i", str(film), "-c", "copy", "-aspect", "3:1", str(path)]).returncode == 0
    assert (ffmpeg.probe(path).height, ffmpeg.probe(path).width) == (48, 144)
    back = read_clip(path)
    assert (back.height, back.width) == (48, 144)


@pytest.mark.parametrize(
    "title",
    [
        "Stream #0:0: Video: x, 9000x9000, 99 fps",
        "x\n  Stream #0:0: Video: x, 8x8",
        "x\u2028  Stream #0:0: Video: x, 8x8\u2028  Duration: 00:00:00.10",
        "Duration: 01:00:00.00, Input #0, gif",
        "File ended prematurely, LZW decode failed",
        "pts_time:0 s:3x3\n[Parsed_showinfo_2 @ 0x0] n:0 pts_time:0 s:3x3 i:P",
    ],
)
def test_a_title_is_only_a_title(tmp_path, title):
    plain = _films(tmp_path / "plain.mp4", "-pix_fmt", "yuv420p")
    titles = ["-metadata", f"title={title}", "-metadata:s:v:0", f"handler_name={title}"]
    path = _films(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", *titles)
    assert ffmpeg.probe(path) == ffmpeg.probe(plain)
    assert read_clip(path).frames.equal(read_clip(plain).frames)
    sound = ["-f", "lavfi", "-i", "sine=d=1", *titles[:2], str(tmp_path / "sound.mp4")]
    assert ffmpeg.run(sound).returncode == 0
    with pytest.raises(ClipError, match="only sound"):
        read_clip(tmp_path / "sound.mp4")


def _see_through_gif(path, delays):
    frames = []
    for index in range(len(delays)):
        frame = Image.new("RGBA", (41, 33), (0, 0, 0, 0))
        ImageDraw.Draw(frame).ellipse((index * 4, 5, index * 4 + 12, 17), fill=(255, 0, 0, 255))
        frames.append(frame)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, loop=0, disposal=2)
    return path


def test_see_through_gif_is_laid_on_white(tmp_path):
    back = read_clip(_see_through_gif(tmp_path / "a.gif", [100] * 6))
    assert tuple(back.frames.shape) == (6, 3, 33, 41)
    assert back.frames[3, :, 0, 0].tolist() == [1, 1, 1]
    assert back.frames[3, :, 11, 18].tolist() == [1, 0, 0]
    assert back.frames[3, :, 11, 2].tolist() == [1, 1, 1]


def test_uneven_frame_rate_is_made_even(tmp_path):
    back = read_clip(_see_through_gif(tmp_path / "a.gif", [100, 100, 400, 100, 100, 100]))
    assert (back.num_frames, back.fps) == (9, pytest.approx(10))
    changes = (back.frames[1:] - back.frames[:-1]).abs().sum((1, 2, 3)) > 0
    assert changes.tolist() == [True, True, False, False, False, True, True, True]


def test_a_short_step_among_long_ones_makes_no_more_frames_than_are_kept():
    times = np.concatenate([np.arange(50), 50 + np.arange(50)]) / 60
    times[50:] += 57
    index, fps = _even(times, most=100)
    assert 100 <= len(index) <= 102 and index[0] == 0 and index[-1] == 99
    assert len(index) / fps == pytest.approx(times[-1], abs=2)
    assert len(_even(times, most=10_000)[0]) > 3400


def test_folder_of_pictures(tmp_path, clip):
    folder = tmp_path / "folder"
    folder.mkdir()
    for index, frame in enumerate(clip.frames):
        picture = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(picture).save(folder / f"frame{index + 5}.png")
    (folder / "notes.txt").write_text("not a picture")
    back = read_clip(folder, folder_fps=12)
    assert back.fps == 12
    assert (back.frames - clip.frames).abs().max() < 0.003
    assert read_clip(folder, start=0.5, end=1.0).num_frames == 4
    (folder / "frame99.png").write_bytes((folder / "frame5.png").read_bytes()[:90])
    with pytest.raises(ClipError, match="frame99.png in folder is broken"):
        read_clip(folder)
    Image.new("RGB", (9, 5)).save(folder / "frame99.png")
    with pytest.raises(ClipError, match=r"frame99.png is \(9, 5\)"):
        read_clip(folder)


def test_photos_are_compared_as_they_are_shown(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter, clockwise
    tall = Image.new("RGB", (30, 40), "red")
    tall.paste("blue", (0, 0, 30, 10))
    for index in range(2):
        tall.save(tmp_path / f"{index}.png")
        tall.rotate(90, expand=True).save(tmp_path / f"{index}-turned.png", exif=turned)
    back = read_clip(tmp_path)
    assert tuple(back.frames.shape) == (4, 3, 40, 30)
    assert (back.frames == back.frames[0]).all()
    Image.new("RGB", (30, 40)).save(tmp_path / "2.png", exif=turned)
    with pytest.raises(ClipError, match=r"2.png is \(40, 30\) pixels, the first \(30, 40\)"):
        read_clip(tmp_path)


def test_a_part_is_all_that_is_read(tmp_path):
    film = _films(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", size="16x16", seconds=90)
    with pytest.raises(ClipError, match="lasts 90 s"):
        read_clip(film)
    part = read_clip(film, start=80, end=82)
    assert (part.num_frames, part.fps) == (20, pytest.approx(10, abs=0.01))
    assert read_clip(film, start=80, end=500).num_frames == 100
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(60):
        Image.new("RGB", (8, 8), (4 * index, 0, 0)).save(frames / f"{index}.png")
    part = read_clip(frames, start=5.1, end=9, max_seconds=3)
    assert (part.frames[:, 0, 0, 0] * 255 / 4).round().tolist() == list(range(41, 60))
    for start, end in ((-1, None), (math.nan, None), (1, 1), (0, math.nan), (math.inf, None)):
        with pytest.raises(ClipError, match="no frame from"):
            read_clip(frames, start, end)


def test_large_pictures_come_in_smaller(tmp_path):
    back = read_clip(_films(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", size="1280x720", seconds=0.5))
    assert (back.height, back.width) == (288, 512)


@pytest.mark.parametrize("name", ["we ird'%03d:é.mp4", "-i.mp4", "a;b|c.mp4"])
def test_any_name_is_only_a_name(tmp_path, monkeypatch, clip, name):
    monkeypatch.chdir(tmp_path)
    write_clip(name, clip, RECIPE)
    assert read_clip(name).num_frames == 16
    assert read_recipe(name) == RECIPE


@pytest.mark.parametrize(
    "comment", ["not json", "[1]", '{"a": NaN}', "[" * 5000, '"' + "x" * 600_000 + '"', ""]
)
def test_comment_that_is_no_recipe(tmp_path, comment):
    notes = tmp_path / "notes.txt"
    notes.write_text(";FFMETADATA1\ncomment=" + comment + "\n")
    path = tmp_path / "a.mp4"
    extra = ["-f", "ffmetadata", "-i", str(notes), "-map_metadata", "1", "-map", "0:v", "-pix_fmt", "yuv420p"]
    assert read_recipe(_films(path, *extra, seconds=0.5)) is None


def test_recipe_must_be_json_of_a_size(tmp_path, clip):
    for recipe in ({"a": math.nan}, {"a": "x" * 300_000}):
        with pytest.raises(ClipError, match="the recipe"):
            write_clip(tmp_path / "a.mp4", clip, recipe)
    assert list(tmp_path.iterdir()) == []
    long = {"points": list(range(30_000))}
    write_clip(tmp_path / "a.mp4", clip, long)
    assert read_recipe(tmp_path / "a.mp4") == json.loads(json.dumps(long))


def test_failed_write_leaves_the_old_file(tmp_path, clip):
    write_clip(tmp_path / "a.mp4", clip)
    old = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ClipError, match="enlarged 999 times"):
        write_clip(tmp_path / "a.mp4", clip, scale=999)
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipError, match="cannot be written"):
        write_clip(tmp_path / "file" / "a.mp4", clip)
    assert (tmp_path / "a.mp4").read_bytes() == old
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "file"]


def test_pictures_of_clips(tmp_path, clip):
    write_thumbnail(tmp_path / "a.webp", clip, side=48)
    with Image.open(tmp_path / "a.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (48, 48))
    short = Clip(clip.frames[:5, :, :32], 8)
    sheet = contact_sheet([clip, short], ["one", "two: é"], columns=6)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 6 * 64
    assert (sheet[:, :, 0] != sheet[:, :, 2]).any()
    pair = side_by_side([clip, short])
    assert tuple(pair.frames.shape) == (16, 3, 64, 64 + 4 + 128)
    assert pair.frames[..., :64].equal(clip.frames)
    with pytest.raises(ClipError, match="a label a clip"):
        contact_sheet([clip], [])
