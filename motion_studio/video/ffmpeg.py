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
    """What a file's header says: pixels, frames a second and seconds (None where it does not say)."""

    width: int
    height: int
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
    if "Input #0" not in text:
        raise ClipError(f"{path.name} cannot be read as a video: allowed are mp4, mov, webm and gif files")
    # A cover picture in a sound file is a video stream by name only.
    streams = [line for line in text.splitlines() if re.search(r"Stream #0:\d+.*: Video:", line)]
    streams = [line for line in streams if "(attached pic)" not in line]
    if not streams:
        only_sound = re.search(r"Stream #0:\d+.*: Audio:", text) is not None
        raise ClipError(
            f"{path.name} holds {'only sound' if only_sound else 'no pictures'}: a clip needs frames"
        )
    size = re.search(r"[ ,](\d+)x(\d+)[ ,]", streams[0] + ",")
    if size is None:
        raise ClipError(f"{path.name} is broken or cut short: its header gives no picture size")
    rate = re.search(r"([\d.]+)(k?) fps", streams[0]) or re.search(r"([\d.]+)(k?) tbr", streams[0])
    length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
    return Probe(
        width=int(size[1]),
        height=int(size[2]),
        fps=float(rate[1]) * (1000 if rate[2] else 1) if rate else None,
        seconds=int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None,
    )


def decode(
    path: Path, scale: float, start: float, seconds: float, most_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F, h, w, 4) uint8 RGBA of `path`, made smaller by `scale`, and their times (F,) in seconds.

    Turned as the file's rotation says, pixels made square. Raises ClipError at the first fault in the file,
    where ffmpeg by itself would repeat the last good frame, and for more than `most_frames` frames.
    """
    width, height = f"max(1,round(iw*sar*{scale:.6f}))", f"max(1,round(ih*{scale:.6f}))"
    # Without the two flags colours come out over a level too dark.
    resize = f"scale=w='{width}':h='{height}':flags=area+accurate_rnd+full_chroma_int,setsar=1"
    seek = (["-ss", f"{start:.6f}"] if start else []) + ["-t", f"{seconds:.6f}"]
    strict = ["-loglevel", "info", "-xerror", "-err_detect", "explode"]
    video = ["-map", "0:V:0", "-vf", f"{resize},format=rgba,showinfo=checksum=0", "-fps_mode", "passthrough"]
    output = ["-frames:v", str(most_frames + 1), "-pix_fmt", "rgba", "-f", "rawvideo", "-"]
    done = run([*strict, *seek, *source(path), *video, *output])
    text = done.stderr.decode("utf-8", "replace")
    shown = re.findall(r"pts_time:\s*(-?[\d.]+).*? s:(\d+)x(\d+)", text)
    # Two faults that ffmpeg reports and then passes over.
    faulty = done.returncode != 0 or re.search(r"File ended prematurely|LZW decode failed", text) is not None
    if faulty or ("Input #0, gif" in text and not _gif_ends(path)):
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
