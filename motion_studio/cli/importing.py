"""`import`: a motion that was learnt elsewhere becomes one of ours."""

from __future__ import annotations

import argparse
from functools import partial

from motion_studio.backbones.registry import BASES
from motion_studio.cli.inputs import output, write_over
from motion_studio.cli.output import show
from motion_studio.errors import SettingsError
from motion_studio.studio.embed_file import read_embed_file

MAX_BYTES = 4 << 20
"""A file may be larger than those that are learnt here: many more sites and channels."""
LEVELS = 4
FACTOR = 8
"""The UNet has four sizes of features, the first an eighth of the picture."""


def import_(arguments: argparse.Namespace) -> None:
    """Write the motion of a `motion_embed.pt`."""
    out = output(arguments.out, ".safetensors")
    fitting = [name for name, spec in BASES.items() if spec.module == "unet3d"]
    if arguments.base not in fitting:
        raise SettingsError(
            f"--base {arguments.base}: such files belong to {', '.join(fitting) or 'no base here'}."
        )
    spec = BASES[arguments.base]
    grids, size = set(), (spec.height // FACTOR, spec.width // FACTOR)
    for _ in range(LEVELS):
        grids.add(size)
        size = (-(-size[0] // 2), -(-size[1] // 2))
    frames = spec.frames if arguments.frames is None else arguments.frames
    if frames < 2:
        raise SettingsError(f"--frames {frames}: at least 2 are needed")
    if arguments.rank < 1:
        raise SettingsError(f"--rank {arguments.rank}: at least 1 is needed")
    read = partial(read_embed_file, arguments.file, grids, frames, base=spec.name)
    motion, kept, moving = read(rank=arguments.rank)
    info = {"fps": spec.fps, "title": arguments.title or out.stem}
    asked = motion.rank
    motion, stale = write_over(out, motion.replace_info(**info), MAX_BYTES)
    if motion.rank < asked:  # no more has room: what is told is what that rank kept
        motion, kept, moving = read(rank=motion.rank)
        motion, _ = write_over(out, motion.replace_info(**info), MAX_BYTES)
    result = {
        "motion": str(out),
        "hash": motion.hash(),
        "base": spec.name,
        "frames": motion.frames,
        "sites": len(motion.sites),
        "rank": motion.rank,
        "kept": round(kept, 6),
        "kept_moving": round(moving, 6),
        "bytes": out.stat().st_size,
        "removed": [str(path) for path in stale],
    }
    show(
        arguments,
        result,
        [
            f"{out}: {motion.frames} frames, {len(motion.sites)} sites, rank {motion.rank}, "
            f"{result['bytes'] / 2**20:.2f} MB",
            f"the rank kept {kept:.1%} of the values' energy, {moving:.1%} of what of it changes over time",
        ],
    )
