"""A motion as one `.safetensors` file: strict to read, atomic to write, the same bytes for the same motion.

Tensors are `SITE.qk`, `SITE.v.space` (P, r) or (N, P, r) and `SITE.v.time` (r, N, C). The header holds the
ModelSpec 1.0.1 fields and, as JSON texts under `motion.*`, what the studio knows of the motion.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from motion_studio.errors import MotionFileError, MotionStudioError
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding

FORMAT = 1
MAX_BYTES = 1 << 20  # what a motion is written in, at most
MAX_HEADER = 1 << 19
MAX_READ_BYTES = 64 << 20  # a file from elsewhere may be larger than ours, but not absurdly so
PARTS = (".v.space", ".v.time", ".qk")
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
DTYPES = {torch.float32: "F32", torch.float16: "F16"}


def write_motion(path: str | Path, motion: Motion, max_bytes: int = MAX_BYTES) -> Motion:
    """Write a motion atomically, in float32, or float16 above `max_bytes`; return it as stored.

    Raises MotionFileError for another suffix, for values that are not finite, and when float16 is too large.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise MotionFileError(f"A motion file ends in .safetensors, {path.name!r} does not.")
    for name, tensor in _tensors(motion).items():
        if not torch.isfinite(tensor).all():
            raise MotionFileError(f"The motion cannot be saved: {name} holds values that are not finite.")
    for dtype in DTYPES:
        stored = _cast(motion, dtype)
        data = _serialise(stored, dtype)
        if len(data) <= max_bytes:
            break
    else:
        raise MotionFileError(
            f"The motion takes {len(data) / 2**20:.1f} MB, a file holds {max_bytes / 2**20:.1f} MB: "
            "compact it to a smaller rank first."
        )
    with atomic(path) as temporary:
        temporary.write_bytes(data)
    return stored


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
    info, grids = _info(metadata, path.name)
    return _motion(tensors, info, grids, path.name)


def read_info(path: str | Path) -> MotionInfo:
    """Read what a motion file says of itself, without its tensors (for lists). Raises MotionFileError."""
    path = Path(path)
    size = _size(path)
    with path.open("rb") as file:
        header, _ = _header(file.read(MAX_HEADER + 8), size, path.name)
    return _info(header["__metadata__"], path.name)[0]


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


# --- writing


def _tensors(motion: Motion) -> dict[str, Tensor]:
    tensors = {}
    for site, embedding in motion.sites.items():
        tensors[f"{site}.qk"] = embedding.qk
        if embedding.space is not None:
            space = embedding.space
            tensors[f"{site}.v.space"] = space[0] if space.shape[0] == 1 else space
            tensors[f"{site}.v.time"] = embedding.time
    return tensors


def _cast(motion: Motion, dtype: torch.dtype) -> Motion:
    """What reading the file back gives: rounded to `dtype`, held in float32."""

    def cast(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().cpu().to(dtype).float()

    sites = {
        name: replace(site, qk=cast(site.qk), space=cast(site.space), time=cast(site.time))
        for name, site in motion.sites.items()
    }
    return replace(motion, sites=sites)


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
    header["__metadata__"] = _metadata(motion, data)
    text = _json(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise MotionFileError(f"The motion's notes and lineage take {len(text)} bytes, {MAX_HEADER} at most.")
    return struct.pack("<Q", len(text)) + text + data


def _metadata(motion: Motion, data: bytes) -> dict[str, str]:
    info = motion.info
    fields = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{info.base or 'unknown'}/motion-inversion-{info.version}",
        "modelspec.implementation": "motion-studio",
        "modelspec.title": info.title,
        "modelspec.description": info.notes,
        "modelspec.hash_sha256": _digest(data),
        "motion.format": _json(FORMAT),
        "motion.frames": _json(motion.frames),
        "motion.hash": _json(motion.hash()),
        "motion.grids": _json({name: site.grid for name, site in motion.sites.items()}),
    }
    if info.date:
        fields["modelspec.date"] = info.date
    for name in FIELDS:
        fields[f"motion.{name}"] = _json(getattr(info, name))
    return fields


def _json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MotionFileError(f"The motion's description cannot be saved: {error}.") from None


def _digest(data: bytes) -> str:
    return "0x" + hashlib.sha256(data).hexdigest()


# --- reading


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
    if head.startswith(PICKLES):
        raise MotionFileError(
            f"{name} is a pickle or a zip, which could run code: only safetensors are read."
        )
    if len(head) < 8:
        raise MotionFileError(f"{name} is empty or cut off: it has {size} bytes.")
    (length,) = struct.unpack("<Q", head[:8])
    if length > MAX_HEADER:
        raise MotionFileError(
            f"{name} is not a motion file: its header claims {length} bytes, {MAX_HEADER} at most."
        )
    if size < 8 + length:
        raise MotionFileError(f"{name} is cut off: its header claims {length} bytes of {size}.")
    header = _parse(head[8 : 8 + length], f"{name}: the header")
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or "motion.format" not in metadata:
        raise MotionFileError(f"{name} is not a motion file: its header has no motion.format.")
    if not all(isinstance(text, str) for text in metadata.values()):
        raise MotionFileError(f"{name}: the header's metadata must be texts.")
    end = (
        8
        + length
        + max((_end(entry, name) for key, entry in header.items() if key != "__metadata__"), default=0)
    )
    if size != end:
        what = "is cut off" if size < end else "has bytes after its end"
        raise MotionFileError(f"{name} {what}: {end} bytes expected, {size} found.")
    return header, 8 + length


def _end(entry: Any, name: str) -> int:
    try:
        return int(entry["data_offsets"][1])
    except (TypeError, KeyError, IndexError, ValueError):
        raise MotionFileError(
            f"{name}: the header describes a tensor without its place in the file."
        ) from None


def _parse(text: str | bytes, what: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def no_constant(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise MotionFileError(f"{what} is not valid JSON ({error}).") from None


def _info(metadata: dict[str, str], name: str) -> tuple[MotionInfo, dict[str, tuple[int, int] | None]]:
    known = {f"motion.{field}" for field in (*FIELDS, "format", "frames", "hash", "grids")}
    unknown = [
        key for key in metadata if key not in known and not key.startswith("modelspec.") and key != "format"
    ]
    if unknown:
        raise MotionFileError(
            f"{name} has header fields that no motion file has: {', '.join(sorted(unknown)[:5])}."
        )
    values = {key: _parse(metadata[key], f"{name}: {key}") for key in known & set(metadata)}
    if values["motion.format"] != FORMAT:
        raise MotionFileError(
            f"{name} has motion format {values['motion.format']!r}, this studio reads {FORMAT}."
        )
    try:
        fields = {field: check(values[f"motion.{field}"]) for field, check in FIELDS.items()}
        grids = {site: _pair(grid) for site, grid in values["motion.grids"].items()}
    except KeyError as error:
        raise MotionFileError(f"{name} lacks the header field {error}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise MotionFileError(f"{name} has a header field of the wrong kind: {error}.") from None
    info = MotionInfo(
        title=metadata.get("modelspec.title", ""),
        notes=metadata.get("modelspec.description", ""),
        date=metadata.get("modelspec.date", ""),
        **fields,
    )
    return info, grids


def _motion(
    tensors: dict[str, Tensor], info: MotionInfo, grids: dict[str, tuple[int, int] | None], name: str
) -> Motion:
    parts: dict[str, dict[str, Tensor]] = {site: {} for site in grids}
    for key, tensor in tensors.items():
        part = next((part for part in PARTS if key.endswith(part)), None)
        site = key.removesuffix(part) if part else key
        if part is None or site not in parts:
            raise MotionFileError(f"{name} has a tensor that no motion has: {key}.")
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise MotionFileError(f"{name}: {key} is {tensor.dtype}, a motion is float32 or float16.")
        if not torch.isfinite(tensor).all():
            raise MotionFileError(f"{name}: {key} holds values that are not finite.")
        parts[site][part] = tensor.float()
    try:
        sites = {}
        for site, found in parts.items():
            if ".qk" not in found or len(found) == 2:
                raise MotionFileError(
                    f"site {site} lacks a tensor; it has {', '.join(sorted(found)) or 'none'}"
                )
            space = found.get(".v.space")
            space = space[None] if space is not None and space.ndim == 2 else space
            sites[site] = SiteEmbedding(found[".qk"], space, found.get(".v.time"), grids[site])
        return Motion(sites, info)
    except MotionStudioError as error:
        raise MotionFileError(f"{name} is not a sound motion: {str(error).rstrip('.')}.") from None


# --- the kinds of the header's fields


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return value


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
        raise TypeError(f"{value!r} is not a height and a width")
    return value[0], value[1]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _list(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return [check(entry) for entry in value]


def _rows(value: Any, width: int) -> list[list[float]] | None:
    if value is None:
        return None
    rows = _list(value, lambda row: _list(row, _number))
    if any(len(row) != width for row in rows):
        raise TypeError(f"its rows must have {width} numbers")
    return rows


def _choice(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return value

    return check


FIELDS: dict[str, Callable[[Any], Any]] = {
    "base": _text,
    "base_hash": _text,
    "version": _choice("v1", "v2"),
    "fps": _number,
    "prompt": _text,
    "latent_size": _pair,
    "looks": _choice("raw", "centre", "difference"),
    "settings": _object,
    "losses": lambda value: _list(value, _number),
    "lineage": lambda value: _list(value, _object),
    "report": _object,
    "path": lambda value: _rows(value, 2),
    "camera": lambda value: _rows(value, 4),
}
