"""How much memory a device has, what to do when it is short, and one clear line when it is not enough.

Light to import: torch is taken up only where a device is asked.
"""

from __future__ import annotations

import gc
import math
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from motion_studio.errors import OutOfMemory

SMALLER = "a smaller size of the base, such as animatediff@384x384 (width x height)"
ADVICE = {
    "learning": "The memory is not enough to learn this: turn down the noise levels, set checkpointing=on or "
    f"sites=late, or take {SMALLER}.",
    "making": f"The memory is not enough to make this: turn down the frames, or take {SMALLER}.",
    "loading": f"The memory is not enough for this base: take another one, or {SMALLER}, or close other "
    "programs.",
    "else": "The memory is not enough for this: close other programs.",
}
"""What is said when memory is short, by what is being done; the lanes of `jobs` are among them."""
REFUSALS = ("can't allocate memory", "not enough memory", "ALLOC_FAILED", "out of memory")
"""What torch says, on a processor and on a GPU, when a RuntimeError is a lack of memory."""

HALF = "half precision"
OFFLOAD = "text encoder and autoencoder kept off the device"
PARTLY = "checkpointing in part while learning"
CHECKPOINTING = "checkpointing while learning"
FRAME_BY_FRAME = "decoding frame by frame"
TILES = "decoding in tiles"
FLOAT8 = "weights stored as float8"

LEVERS = (FRAME_BY_FRAME, PARTLY, OFFLOAD, CHECKPOINTING, TILES, FLOAT8)
"""What is chosen from, the cheapest for the user first: each is dearer than all before it together."""
OF_LEARNING = (PARTLY, CHECKPOINTING)
"""What may change while a job uses the base: nothing but learning reads it."""
OF_GPUS = (OFFLOAD, FLOAT8)
"""A processor has nowhere to put weights off to, and float8 is for GPUs."""

ROOM = 0.9
"""The share of the free memory that is planned with; the rest is for kernels' workspaces and gaps."""
STORED = 0.52
"""The share of the denoiser's weights that float8 leaves (measured: .52, .52 and .51)."""


@dataclass(frozen=True)
class Need:
    """Bytes that a base model asks of a device when nothing is saved on."""

    denoiser: float
    """Weights of the denoiser."""
    others: float = 0
    """Weights of the text encoder and the autoencoder."""
    making: float = 0
    """What a denoising step takes beside the weights."""
    decoding: float = 0
    """What decoding takes of as many frames at once as the base does by itself."""
    pieces: tuple[str, float] = (FRAME_BY_FRAME, 0)
    """The lever that decodes in pieces, and what decoding takes then."""
    learning: Callable[[str], float] = lambda _checkpointing: 0
    """What a learning step takes for each noise level, by what is computed again ("off", "part", "on")."""


def levers(
    need: Need, levels: int, free: float, offered: Iterable[str] = LEVERS, kept: Iterable[str] = ()
) -> list[str]:
    """Of the levers `offered`, those that are in force beside `kept` for `need` to fit into `free` bytes.

    The base learns from so many noise levels at once, from none where it makes clips alone. Of all sets that
    fit it is the one that costs the user least; where none does, the one that takes least.
    """
    offered = [lever for lever in LEVERS if lever in offered and lever not in kept]
    # In the order of counting, a set comes before all that have a dearer lever than its dearest.
    chosen = [
        {*kept, *(lever for place, lever in enumerate(offered) if number >> place & 1)}
        for number in range(2 ** len(offered))
    ]
    best = next((those for those in chosen if taken(need, levels, those) <= ROOM * free), None)
    if best is None:
        best = min(chosen, key=lambda those: taken(need, levels, those))
    return [lever for lever in LEVERS if lever in best]


def taken(need: Need, levels: int, chosen: Iterable[str]) -> float:
    """Bytes at the worst moment with these levers; predicting, learning and decoding take turns."""
    what = checkpointing(chosen)
    learning = levels * need.learning(what) if levels else 0
    if levels and FLOAT8 in chosen and what != "on":
        learning += need.denoiser  # every weight as it was widened for its call is kept for backward
    decoding = need.pieces[1] if need.pieces[0] in chosen else need.decoding
    weights = need.denoiser * (STORED if FLOAT8 in chosen else 1) + (0 if OFFLOAD in chosen else need.others)
    return weights + max(need.making, learning, decoding)


def checkpointing(chosen: Iterable[str]) -> Literal["off", "part", "on"]:
    """What learning computes again with these levers."""
    return "on" if CHECKPOINTING in chosen else "part" if PARTLY in chosen else "off"


def devices() -> list[str]:
    """The devices that torch finds here."""
    import torch

    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    found = ["cuda", *found] if torch.cuda.is_available() else []
    return ["cpu", *found, *(["mps"] if torch.backends.mps.is_available() else [])]


def free_bytes(device: str) -> int:
    """Bytes that a new tensor may take on `device`; on a processor what system and container could give."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(min(1024 * int(lines["MemAvailable"].split()[0]), *map(group_free, _groups())))
    # Elsewhere only the total is known; half of it is a fair guess.
    names = getattr(os, "sysconf_names", {})
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else 2**22
    return pages * (os.sysconf("SC_PAGE_SIZE") if names else 4096) // 2


def group_free(folder: Path) -> float:
    """Bytes that the processes of a control group may still take; infinite where `folder` sets no limit.

    What it counts of files that were read is given up when memory is asked for.
    """
    versions = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for limit, usage, files in versions:
        try:
            most, now = (int((folder / name).read_text()) for name in (limit, usage))
            figures = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return max(0, most - now + int(figures[files]))
        except (OSError, ValueError, KeyError):  # not this version's folder, or "max", which is no limit
            continue
    return math.inf


def _groups() -> Iterator[Path]:
    """The folders of the control groups that this process is in, and those they are in."""
    root, own = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
    yield from (root, root / "memory")  # a container sees its own group as the outermost
    for line in own.read_text().splitlines() if own.is_file() else []:
        _, kinds, path = line.split(":", 2)
        if kinds in ("", "memory"):
            inner = root / kinds / path.lstrip("/")
            yield from (folder for folder in (inner, *inner.parents) if root in folder.parents)


def release() -> None:
    """Give back what nothing refers to any more, to the system and the GPU."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def within_memory(doing: str = "else") -> Iterator[None]:
    """Turn a lack of memory inside into OutOfMemory, a line of ADVICE, and free all that the work took."""
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not _is_refusal(error):
            raise
        # The frames of the traceback hold every tensor that the work had made.
        traceback.clear_frames(error.__traceback__)
    release()
    raise OutOfMemory(ADVICE[doing]) from None


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(phrase in str(error) for phrase in REFUSALS)
