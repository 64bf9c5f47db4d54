"""A motion as one `.safetensors` file: strict to read, atomic to write, the same bytes for the same motion.

Tensors are `SITE.qk`, `SITE.v.space` (P, r) or (N, P, r) and `SITE.v.time` (r, N, C), and of a motion that a
part of the frames hears `SITE.heard` (N,); those of others beside it (`SiteEmbedding`) begin `SITE@2`,
`SITE@3` and so on. The header holds the ModelSpec 1.0.1 fields and, as JSON texts under `motion.*`, what the
studio knows of the motion.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from motion_studio.errors import MotionFileError, MotionStudioError
from motion_studio.motion.arithmetic import compact
from motion_studio.motion.embedding import MAX_VOICES, Motion, MotionInfo, SiteEmbedding
from motion_studio.studio.motion_header import Grids, from_metadata, parse, to_json, to_metadata

MAX_BYTES = 1 << 20  # what a motion is written in, at most, but where this rank takes more in float16:
ROOM_FOR = 8
MAX_PARTS = 4  # up to so many times that where frames hear different motions, each of which takes its own
MAX_HEADER = 1 << 19
MAX_READ_BYTES = 64 << 20  # a file from elsewhere may be larger than ours, but not absurdly so
PARTS = {"space": ".v.space", "time": ".v.time", "qk": ".qk", "heard": ".heard"}
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
DTYPES = {torch.float32: "F32", torch.float16: "F16"}


def write_motion(path: str | Path, motion: Motion, max_bytes: int | None = None) -> Motion:
    """Write a motion atomically, in float32, or float16 where that is too large; return it as stored.

    float32 takes a megabyte at most, and another for each motion that other frames hear beside it, 4 at most.
    float16 takes `max_bytes`, None for as much, or for what rank 8 takes where a base has many sites.
    What float16 cannot hold either (pictures that differ at every frame, in many mixed tracks) is compacted
    to the largest rank that fits; the lineage of the motion returned says what energy that kept. Raises
    MotionFileError for another suffix, for values beyond float16, and when nothing fits.
    """
    path = Path(path)
    parts = min(MAX_PARTS, max(len(site.voices) for site in motion.sites.values()))
    whole = parts * MAX_BYTES
    if max_bytes is None:
        max_bytes = min(max(whole, parts * _room(motion)), MAX_READ_BYTES)
    if path.suffix != ".safetensors":
        raise MotionFileError(f"A motion file ends in .safetensors, {path.name!r} does not.")
    for stored, dtype in _ever_smaller(motion, max_bytes):
        data = _serialise(stored, dtype)
        if len(data) <= (min(whole, max_bytes) if dtype == torch.float32 else max_bytes):
            break
    else:
        raise MotionFileError(
            f"The motion takes {len(data) / 2**20:.1f} MB at rank 1, a file holds {max_bytes / 2**20:.1f} MB."
        )
    with atomic(path) as temporary:
        temporary.write_bytes(data)
    return stored


def _ever_smaller(motion: Motion, max_bytes: int) -> Iterator[tuple[Motion, torch.dtype]]:
    yield _rounded(motion, torch.float32), torch.float32
    half = _rounded(motion, torch.float16)
    yield half, torch.float16
    voices = [voice for site in half.sites.values() for voice in site.voices]
    numbers = sum(part.numel() for voice in voices for part in voice.tensors().values())
    header = len(_serialise(half, torch.float16)) - 2 * numbers
    # Pictures that differ at every frame need a larger rank once they are the same at all.
    for rank in range(4 * motion.rank, 0, -1):
        # Compacting takes seconds where pictures differ.
        if rank == 1 or header + _half_bytes(voices, rank) <= max_bytes:
            yield _rounded(compact(motion, rank)[0], torch.float16), torch.float16


def _half_bytes(voices: Iterable[SiteEmbedding], rank: int) -> int:
    """What they take in float16 at a rank, of which each has no more than places or features."""
    total = 0
    for voice in voices:
        total += 2 * (voice.qk.numel() + (0 if voice.heard is None else voice.heard.numel()))
        if voice.rank:
            sizes = voice.space.shape[1], voice.time[0].numel()
            total += 2 * min(rank, *sizes) * sum(sizes)
    return total


def _room(motion: Motion) -> int:
    """What a motion of rank `ROOM_FOR` at those sites takes in float16."""
    return MAX_HEADER + _half_bytes((replace(site, others=()) for site in motion.sites.values()), ROOM_FOR)


def _rounded(motion: Motion, dtype: torch.dtype) -> Motion:
    return motion.map(lambda tensor: tensor.detach().cpu().to(dtype).float())


def read_motion(path: str | Path) -> Motion:
    """Read a motion file whole; tensors come as float32 whatever they were stored in.

    Raises MotionFileError, in one line, for anything that is not exactly a motion file.
    """
    path = Path(path)
    data = _bytes(path)
    header, start = _header(data[: MAX_HEADER + 8], len(data), path.name)
    metadata = header.pop("__metadata__")
    if (digest := metadata.get("modelspec.hash_sha256")) and digest != _digest(data[start:]):
        raise MotionFileError(f"{path.name} is damaged: its contents do not match its own hash.")
    try:
        tensors = safetensors_torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise MotionFileError(f"{path.name} is not a readable safetensors file: {error}.") from None
    info, grids = from_metadata(metadata, path.name)
    return _motion(tensors, info, grids, path.name)


def read_info(path: str | Path) -> MotionInfo:
    """Read what a motion file says of itself, without its tensors (for lists). Raises MotionFileError."""
    path = Path(path)
    size = _size(path)
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER + 8)
    except OSError as error:
        raise MotionFileError(f"Cannot read {path}: {error.strerror}.") from None
    header, _ = _header(head, size, path.name)
    return from_metadata(header["__metadata__"], path.name)[0]


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; flush it to the disk and rename it at the end, or remove it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays, since writers of videos and pictures choose the format by it.
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise MotionFileError(f"Cannot write {path}: {error.strerror or error}.") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _tensors(motion: Motion) -> dict[str, Tensor]:
    tensors = {}
    for site, embedding in motion.sites.items():
        for number, voice in enumerate(embedding.voices, 1):
            name = site if number == 1 else f"{site}@{number}"
            for part, tensor in voice.tensors().items():
                same = part == "space" and len(tensor) == 1
                tensors[name + PARTS[part]] = tensor[0] if same else tensor
    return tensors


def _serialise(motion: Motion, dtype: torch.dtype) -> bytes:
    # Written here and not by the safetensors package, whose header order changes from run to run.
    tensors = sorted(_tensors(motion).items())
    header: dict[str, Any] = {}
    blocks, offset = [], 0
    for name, tensor in tensors:
        block = tensor.to(dtype).contiguous().numpy().tobytes()
        header[name] = {
            "dtype": DTYPES[dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(block)],
        }
        blocks.append(block)
        offset += len(block)
    data = b"".join(blocks)
    header["__metadata__"] = to_metadata(motion, _digest(data))
    text = to_json(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise MotionFileError(f"The motion's notes and lineage take {len(text)} bytes, {MAX_HEADER} at most.")
    return struct.pack("<Q", len(text)) + text + data


def _digest(data: bytes) -> str:
    return "0x" + hashlib.sha256(data).hexdigest()


def _size(path: Path) -> int:
    if not path.is_file():
        raise MotionFileError(f"There is no motion file {path}.")
    size = path.stat().st_size
    if size > MAX_READ_BYTES:
        raise MotionFileError(
            f"{path.name} has {size / 2**20:.0f} MB, a motion has {MAX_READ_BYTES >> 20} at most."
        )
    return size


def _bytes(path: Path) -> bytes:
    _size(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MotionFileError(f"Cannot read {path}: {error.strerror}.") from None


def _header(head: bytes, size: int, name: str) -> tuple[dict[str, Any], int]:
    # A header that we read may have a length that begins as a pickle does, but never one as large.
    length = int.from_bytes(head[:8], "little") if len(head) >= 8 else None
    if head.startswith(PICKLES) and (length is None or length > MAX_HEADER):
        raise MotionFileError(
            f"{name} is a pickle or a zip, which could run code: only safetensors are read."
        )
    if length is None:
        raise MotionFileError(f"{name} is empty or cut off: it has {size} bytes.")
    if length > MAX_HEADER:
        raise MotionFileError(
            f"{name} is not a motion file: its header claims {length} bytes, {MAX_HEADER} at most."
        )
    if size < 8 + length:
        raise MotionFileError(f"{name} is cut off: its header claims {length} bytes of {size}.")
    header = parse(head[8 : 8 + length], f"{name}: the header")
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or "motion.format" not in metadata:
        raise MotionFileError(f"{name} is not a motion file: its header has no motion.format.")
    if not all(isinstance(text, str) for text in metadata.values()):
        raise MotionFileError(f"{name}: the header's metadata must be texts.")
    ends = [_end(entry, name) for key, entry in header.items() if key != "__metadata__"]
    end = 8 + length + max(ends, default=0)
    if size != end:
        what = "is cut off" if size < end else "has bytes after its end"
        raise MotionFileError(f"{name} {what}: {end} bytes expected, {size} found.")
    return header, 8 + length


def _end(entry: Any, name: str) -> int:
    try:
        return int(entry["data_offsets"][1])
    except (TypeError, KeyError, IndexError, ValueError, OverflowError):
        raise MotionFileError(
            f"{name}: the header describes a tensor without its place in the file."
        ) from None


def _motion(tensors: dict[str, Tensor], info: MotionInfo, grids: Grids, name: str) -> Motion:
    found: dict[str, dict[int, dict[str, Tensor]]] = {site: {1: {}} for site in grids}
    for key, tensor in tensors.items():
        part = next((part for part, end in PARTS.items() if key.endswith(end)), None)
        site, number = _voice(key.removesuffix(PARTS[part])) if part else ("", 0)
        if part is None or site not in found or not 1 <= number <= MAX_VOICES:
            raise MotionFileError(f"{name} has a tensor that no motion has: {key}.")
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise MotionFileError(f"{name}: {key} is {tensor.dtype}, a motion is float32 or float16.")
        found[site].setdefault(number, {})[part] = tensor.float()
    try:
        return Motion({site: _site(site, parts, grids[site]) for site, parts in found.items()}, info)
    except MotionStudioError as error:
        raise MotionFileError(f"{name} is not a sound motion: {str(error).rstrip('.')}.") from None


def _voice(name: str) -> tuple[str, int]:
    """A site and which of its voices a tensor is of; 0 for a number that none is written with."""
    site, at, number = name.rpartition("@")
    if not at:
        return name, 1
    plain = number.isdecimal() and number.isascii() and len(number) < 4 and number == str(int(number))
    return site, int(number) if plain and int(number) > 1 else 0


def _site(name: str, voices: dict[int, dict[str, Tensor]], grid: tuple[int, int] | None) -> SiteEmbedding:
    if sorted(voices) != list(range(1, len(voices) + 1)):
        raise MotionFileError(f"site {name} lacks one of the embeddings before {max(voices)}")
    read = []
    for _, parts in sorted(voices.items()):
        if "qk" not in parts:
            raise MotionFileError(f"site {name} lacks a tensor; it has {', '.join(sorted(parts)) or 'none'}")
        if (space := parts.get("space")) is not None and space.ndim == 2:
            parts["space"] = space[None]
        read.append(SiteEmbedding(**parts, grid=grid))
    return replace(read[0], others=tuple(read[1:]))
