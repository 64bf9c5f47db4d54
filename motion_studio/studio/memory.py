"""How much memory a device has, what to do when it is short, and one clear line when it is not enough.

Light to import: torch is taken up only where a device is asked.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from motion_studio.errors import OutOfMemory

TURN_DOWN = (
    "The memory is not enough for this: turn down the frames, the picture's size or the noise levels, "
    "or turn on checkpointing while learning."
)
REFUSALS = ("can't allocate memory", "not enough memory", "ALLOC_FAILED", "out of memory")
"""What torch says, on a processor and on a GPU, when a RuntimeError is a lack of memory."""

HALF = "half precision"
OFFLOAD = "text encoder and autoencoder kept off the device"
PARTLY = "checkpointing in part while learning"
CHECKPOINTING = "checkpointing while learning"
FRAME_BY_FRAME = "decoding frame by frame"
FLOAT8 = "weights stored as float8"

ROOM = 0.8
"""The share of the free memory that is planned with; the rest is for what is computed in passing."""
CHECKPOINTED = 0.1
"""The share of what backward needs that checkpointing still keeps (measured: 8 of 231 MB, 23 of 273)."""
PARTLY_KEPT = 0.6
"""The share that it still keeps in part (worked out at full size: AnimateDiff .56, ZeroScope .59)."""


@dataclass(frozen=True)
class Need:
    """Bytes that a base model asks of a device when nothing is saved on."""

    denoiser: int
    """Weights of the denoiser."""
    others: int = 0
    """Weights of the text encoder and the autoencoder."""
    learning: int = 0
    """Activations that one learning step keeps for backward."""
    decoding: int = 0
    """Activations of decoding as many frames at once as the base does by itself."""


def levers(need: Need, free: int, device: str) -> list[str]:
    """What saves memory on a `device` with `free` bytes, the cheapest first, until `need` fits.

    A processor has nowhere to put weights off to, and float8 is for GPUs.
    """
    gpu = device.startswith("cuda")
    chosen: list[str] = []
    takes = asdict(need)
    offered = [
        (FRAME_BY_FRAME, "decoding", 1 / 16),
        (PARTLY, "learning", PARTLY_KEPT),
        (CHECKPOINTING, "learning", CHECKPOINTED / PARTLY_KEPT),
    ]
    if gpu:
        offered = [offered[0], (OFFLOAD, "others", 0.0), *offered[1:], (FLOAT8, "denoiser", 0.5)]
    while _at_once(takes) > ROOM * free:
        helping = [
            (lever, after)
            for lever, part, left in offered
            if lever not in chosen and _at_once(after := takes | {part: takes[part] * left}) < _at_once(takes)
        ]
        if not helping:
            break
        lever, takes = helping[0]
        chosen.append(lever)
    return [lever for lever in chosen if lever != PARTLY or CHECKPOINTING not in chosen]


def _at_once(takes: dict[str, float]) -> float:
    """Bytes at the worst moment; learning and decoding take turns."""
    return takes["denoiser"] + takes["others"] + max(takes["learning"], takes["decoding"])


def free_bytes(device: str) -> int:
    """Bytes that a new tensor may take on `device`; on a processor what the system could give."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    # Elsewhere only the total is known; half of it is a fair guess.
    names = getattr(os, "sysconf_names", {})
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else 2**22
    return pages * (os.sysconf("SC_PAGE_SIZE") if names else 4096) // 2


def release() -> None:
    """Give back what nothing refers to any more, to the system and the GPU."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def within_memory() -> Iterator[None]:
    """Turn a lack of memory inside into one line, OutOfMemory, and free all that the work had taken."""
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not _is_refusal(error):
            raise
        # The frames of the traceback hold every tensor that the work had made.
        traceback.clear_frames(error.__traceback__)
    release()
    raise OutOfMemory(TURN_DOWN) from None


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(phrase in str(error) for phrase in REFUSALS)
