"""The ffmpeg that imageio-ffmpeg bundles: what a file holds, its frames, and writing one, strictly."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from motion_studio.errors import ClipError

# Only containers of moving pictures: a playlist or a text file would let a clip read other files.
_INPUT = ["-protocol_whitelist", "file", "-format_whitelist", "mov,mp4,matroska,webm,gif,avi"]
_TIMEOUT = 180


@dataclass(frozen=True)
class Probe:
    """What a file's header says: pixels, frames a second and seconds (None where it does not say).

    `width` and `height` are as shown, turned and with square pixels; `stored` are those in the file.
    """

    width: int
    height: int
    stored: tuple[int, int]
    fps: float | None
    seconds: float | None


def run(arguments: list[str], data: bytes | None = None) -> subprocess.CompletedProcess:
    """ffmpeg with `arguments`, `data` on its standard input; raises ClipError when it takes over 180 s."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-y", *arguments]
    if data is None:
        command.insert(1, "-nostdin")
    try:
        return subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise ClipError(
            f"ffmpeg took over {_TIMEOUT} s and was stopped: use a shorter or smaller clip"
        ) from None


def source(path: Path) -> list[str]:
    """Arguments that open `path` and nothing else, whatever characters its name holds."""
    return [*_INPUT, "-i", f"file:{path.resolve()}"]


def probe(path: Path) -> Probe:
    """What the header of `path` says; raises ClipError when it is no video or holds no moving picture."""
    text = run(source(path)).stderr.decode("utf-8", "replace")
    if re.search(r"(?m)^Input #0", text) is None:
        raise ClipError(f"{path.name} cannot be read as a video: allowed are mp4, mov, webm and gif files")
    # By how the line begins, since a title may hold the same words; what is indented more belongs to it.
    streams = re.findall(r"(?m)^  Stream #0:\d+.*: Video: (.*(?:\n    .*)*)", text)
    # A cover picture in a sound file is a video stream by name only.
    streams = [stream for stream in streams if "(attached pic)" not in stream.partition("\n")[0]]
    if not streams:
        only_sound = re.search(r"(?m)^  Stream #0:\d+.*: Audio:", text) is not None
        raise ClipError(
            f"{path.name} holds {'only sound' if only_sound else 'no pictures'}: a clip needs frames"
        )
    line = streams[0].partition("\n")[0]
    size = re.search(r"[ ,](\d+)x(\d+)[ ,]", line + ",")
    if size is None:
        raise ClipError(f"{path.name} is broken or cut short: its header gives no picture size")
    stored = width, height = int(size[1]), int(size[2])
    # Where container and pictures disagree the container's comes last, and holds.
    given = re.findall(r"SAR ([1-9]\d*):([1-9]\d*)", line)
    wide, tall = (int(given[-1][0]), int(given[-1][1])) if given else (1, 1)
    turn = re.search(r"(?mi)^ +display ?matrix: rotation of (-?[\d.]+)", streams[0])
    if turn and abs(float(turn[1]) % 180 - 90) < 1:
        width, height, wide, tall = height, width, tall, wide
    rate = re.search(r"([\d.]+)(k?) fps", line) or re.search(r"([\d.]+)(k?) tbr", line)
    length = re.search(r"(?m)^  Duration: (\d+):(\d+):([\d.]+)", text)
    return Probe(
        width=max(1, round(width * wide / tall)),
        height=height,
        stored=stored,
        fps=float(rate[1]) * (1000 if rate[2] else 1) if rate else None,
        seconds=int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None,
    )


def decode(
    path: Path, scale: float, side: int, start: float, seconds: float, most_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F, h, w, 4) uint8 RGBA of `path`, made smaller by `scale`, and their times (F,) in seconds.

    Turned as the file's rotation says, pixels made square, at most `side` wide and high. Raises ClipError
    at the first fault in the file, where ffmpeg by itself would repeat the last good frame, and for more than
    `most_frames` frames.
    """
    width, height = (f"min({side},max(1,round({length}*{scale:.6f})))" for length in ("iw*sar", "ih"))
    # Without the two flags colours come out over a level too dark.
    resize = f"scale=w='{width}':h='{height}':flags=area+accurate_rnd+full_chroma_int,setsar=1"
    seek = (["-ss", f"{start:.6f}"] if start else []) + ["-t", f"{seconds:.6f}"]
    strict = ["-loglevel", "info", "-nostats", "-xerror", "-err_detect", "explode"]
    video = ["-map", "0:V:0", "-vf", f"{resize},format=rgba,showinfo=checksum=0", "-fps_mode", "passthrough"]
    output = ["-frames:v", str(most_frames + 1), "-pix_fmt", "rgba", "-f", "rawvideo", "-"]
    done = run([*strict, *seek, *source(path), *video, *output])
    text = done.stderr.decode("utf-8", "replace")
    # By the start of the line: a title may hold the same words.
    shown = re.findall(r"(?m)^\[Parsed_showinfo.*? pts_time:\s*(-?[\d.]+).*? s:(\d+)x(\d+)", text)
    # Two faults that ffmpeg reports and then passes over.
    passed = re.search(r"(?m)^\[.*(File ended prematurely|LZW decode failed)", text)
    faulty = done.returncode != 0 or passed is not None
    if faulty or (re.search(r"(?m)^Input #0, gif", text) and not _gif_ends(path)):
        good = f" after {len(shown)} frames" if shown else ""
        raise ClipError(f"{path.name} is broken or cut short{good}: save or download it again")
    if len(shown) > most_frames:
        raise ClipError(f"{path.name} holds over {most_frames} frames: cut it shorter")
    sizes = {(int(height), int(width)) for _, width, height in shown}
    if len(sizes) > 1:
        raise ClipError(f"{path.name} changes its picture size midway: a clip has one size")
    height, width = sizes.pop() if sizes else (1, 1)
    if len(done.stdout) != len(shown) * height * width * 4:
        raise ClipError(f"{path.name} is broken: it gives pieces of frames")
    frames = np.frombuffer(done.stdout, np.uint8).reshape(len(shown), height, width, 4)
    return frames, np.array([float(time) for time, _, _ in shown])


def _gif_ends(path: Path) -> bool:
    """Whether a gif has its last byte, a semicolon: cut between two frames, it reads without a fault."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().rstrip(b"\0\r\n").endswith(b";")
