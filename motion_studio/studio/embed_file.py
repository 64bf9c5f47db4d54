"""The `motion_embed.pt` files that came with Motion Inversion (arXiv 2403.20193), made into our own.

Such a file is a dict of parameters in torch's zip format. For each block over time it holds
`BLOCK.transformer_blocks.0.pos_embed` (1, rows, C), the m^QK of the block's two attentions, and
`BLOCK.transformer_blocks.0.attn{1,2}.vSpatial` (P, rows, C), their m^V; the first `frames` rows were learnt.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from motion_studio.errors import MotionFileError
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.factors import compacted

MAX_BYTES = 4 << 30
MAX_ENTRIES = 2000
LARGEST = 1e4
"""Far above what was ever learnt, and within what a file holds in half precision."""
KEY = re.compile(
    r"(?:.*?\.)?(?P<block>(?:(?:down|up)_blocks\.\d+\.temp_attentions\.\d+|mid_block\.temp_attentions\.\d+"
    r"|transformer_in)\.transformer_blocks\.\d+)\.(?P<part>pos_embed|attn[12]\.vSpatial)"
)


def read_embed_file(
    path: str | Path, grids: set[tuple[int, int]], frames: int, rank: int, base: str
) -> tuple[Motion, float, float]:
    """Read a `motion_embed.pt` as a motion of `frames` frames and at most `rank` pictures a site.

    `grids` are the heights and widths that the base's features have. Also returns the share of the energy of
    v that the rank kept, and of what v does over time (v - its mean over frames), which is what moves.
    Nothing in the file is run. Raises MotionFileError, in one line, for a file that is anything else.
    """
    path = Path(path)
    blocks: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _tensors(path).items():
        match = KEY.fullmatch(key)
        if match is None:
            raise MotionFileError(f"{path.name} holds {key[:80]!r}, which no motion_embed.pt has.")
        parts = blocks.setdefault(match["block"], {})
        if match["part"] in parts:
            raise MotionFileError(f"{path.name} holds {match['block']}.{match['part']} twice.")
        parts[match["part"]] = tensor
    sites: dict[str, SiteEmbedding] = {}
    kept = whole = moving = lost_moving = 0.0
    for block, parts in blocks.items():
        qk = _learnt(parts.get("pos_embed"), f"{block}.pos_embed", frames, places=1)[0]
        for layer in ("attn1", "attn2"):
            name = f"{block}.{layer}"
            v = _learnt(parts.get(f"{layer}.vSpatial"), f"{name}.vSpatial", frames)
            grid = next((grid for grid in sorted(grids) if grid[0] * grid[1] == len(v)), None)
            if grid is None or v.shape[2] != qk.shape[1]:
                allowed = ", ".join(f"{h}x{w}" for h, w in sorted(grids))
                raise MotionFileError(
                    f"{name}.vSpatial has {len(v)} places of {v.shape[2]} channels; {base} has grids of "
                    f"{allowed}, and the block's pos_embed has {qk.shape[1]} channels."
                )
            # A dense v is a factored one with a picture for each place.
            dense = SiteEmbedding(qk, torch.eye(len(v))[None], v, grid)
            sites[name], kept_here, whole_here = compacted(dense, rank)
            kept, whole = kept + kept_here, whole + whole_here
            moving += _energy(_centred(v))
            lost_moving += _energy(_centred(v - sites[name].v()))
    kept = kept / whole if whole else 1.0
    kept_moving = 1 - lost_moving / moving if moving else 1.0
    entry = {"op": "import", "rank": rank, "kept": round(kept, 6), "kept_moving": round(kept_moving, 6)}
    info = MotionInfo(base=base, lineage=[{"operation": entry, "parents": []}])
    return Motion(sites, info), kept, kept_moving


def _tensors(path: Path) -> dict[str, Tensor]:
    """The file's dict, read by torch's restricted unpickler, which builds tensors and calls nothing else."""
    if not path.is_file():
        raise MotionFileError(f"There is no file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        raise MotionFileError(f"{path.name} is no motion_embed.pt: not in torch's zip format.") from None
    if size > MAX_BYTES or len(entries) > MAX_ENTRIES or any(entry.compress_type for entry in entries):
        raise MotionFileError(
            f"{path.name} holds {size / 2**20:.0f} MB in {len(entries)} parts; {MAX_BYTES >> 20} MB in "
            f"{MAX_ENTRIES} parts, not compressed, are allowed."
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive raises what its damage happens to hit
        if type(error).__name__ == "UnpicklingError":
            why = "holds more than tensors, and could run code: it was not read."
        else:
            why = f"is damaged: {(str(error) or type(error).__name__).splitlines()[0][:120]}"
        raise MotionFileError(f"{path.name} {why}") from None
    good = (
        isinstance(found, dict)
        and found
        and all(isinstance(key, str) and _plain(tensor) for key, tensor in found.items())
    )
    if not good:
        raise MotionFileError(
            f"{path.name} is no motion_embed.pt: a dict of plain tensors by name is needed."
        )
    return {key: tensor.detach() for key, tensor in found.items()}


def _plain(tensor: object) -> bool:
    """Whether it is a tensor all of whose numbers are in the file: not sparse, quantized, or one repeated."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and not tensor.is_nested
        and not tensor.is_quantized
        and tensor.device.type == "cpu"
        and tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
    )


def _learnt(tensor: Tensor | None, name: str, frames: int, places: int | None = None) -> Tensor:
    """The rows that were learnt, (P, frames, C) float32."""
    if tensor is None:
        raise MotionFileError(f"{name} is missing in the file.")
    shape = tuple(tensor.shape)
    if tensor.ndim != 3 or not tensor.is_floating_point() or (places and shape[0] != places) or 0 in shape:
        raise MotionFileError(
            f"{name} is {tensor.dtype} of shape {shape}; (places, frames, channels) is allowed."
        )
    if shape[1] < frames:
        raise MotionFileError(f"{name} has {shape[1]} frames, {frames} were asked for.")
    learnt = tensor[:, :frames].float()
    if not (learnt.abs() <= LARGEST).all():  # not of NaN either
        raise MotionFileError(f"{name} holds values that are no numbers up to {LARGEST:g}.")
    return learnt


def _centred(v: Tensor) -> Tensor:
    return v - v.mean(1, keepdim=True)


def _energy(v: Tensor) -> float:
    return float(v.double().square().sum())
