"""`mix` and `edit`: new motions from motions, without a model."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from motion_studio.cli.inputs import load_motion, output, tracks, write_over
from motion_studio.cli.output import show
from motion_studio.errors import InputError
from motion_studio.motion.arithmetic import blend, compact, operation_from_json, resampled
from motion_studio.motion.embedding import Motion
from motion_studio.studio.mix import build
from motion_studio.studio.mix import edit as edited
from motion_studio.studio.motion_file import read_motion
from motion_studio.studio.tracks import Mix


def mix(arguments: argparse.Namespace) -> None:
    """Write the weighted sum of the motions, moved to one way before if asked for."""
    out = output(arguments.out, ".safetensors")
    laid, paths = tracks(arguments.motions, arguments.data)
    motions = {name: read_motion(path) for name, path in paths.items()}
    if arguments.together:
        motion = build(Mix(laid, together=arguments.together), motions.__getitem__)
    else:
        motion = blend([(motions[track.motion], track.weight) for track in laid])
    _write(arguments, out, motion)


def edit(arguments: argparse.Namespace) -> None:
    """Write the motion as the operations, in the order given, make it."""
    out = output(arguments.out, ".safetensors")
    if not arguments.operations and arguments.compact is None:
        raise InputError("edit needs at least one operation, such as --reverse (see edit --help).")
    motion = load_motion(arguments.motion, arguments.data)
    steps, way = [], torch.zeros(motion.frames, 2)
    for step in arguments.operations or []:
        if "motion" in step:  # of as many frames as are left by now
            step = _along(step["op"], step["motion"], arguments.data, len(way))
        way = operation_from_json(step).apply_path(way, motion.aspect)
        steps.append(step)
    _write(arguments, out, edited(motion, steps))


def _along(op: str, source: str, data: str | None, frames: int) -> dict[str, Any]:
    """An operation on the path of the motion `source`: the way itself to follow, its steps to go along."""
    other = load_motion(source, data)
    if other.info.path is None:
        raise InputError(f"--{op} {source}: that motion has no path of an object.")
    path = resampled(other, frames).path()
    return {"op": op, "path": (path if op == "follow" else path - path[0]).tolist()}


def _write(arguments: argparse.Namespace, out: Path, motion: Motion) -> None:
    if arguments.compact is not None:
        motion, _ = compact(motion, arguments.compact)
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    motion, stale = write_over(out, motion.replace_info(title=arguments.title or out.stem, date=date))
    last = motion.info.lineage[-1]["operation"] if motion.info.lineage else {}
    result = {
        "motion": str(out),
        "hash": motion.hash(),
        "frames": motion.frames,
        "rank": motion.rank,
        "bytes": out.stat().st_size,
        "energy_kept": last.get("kept", 1.0),
        "lineage": motion.info.lineage,
        "removed": [str(path) for path in stale],
    }
    lines = [f"{out}: {motion.frames} frames, rank {motion.rank}, {result['bytes'] / 1024:.0f} kB"]
    if last.get("op") == "compact":
        lines.append(f"compacted to rank {motion.rank}: {last['kept']:.1%} of the energy kept")
    if stale:
        lines.append(f"removed {' and '.join(result['removed'])}, which showed the motion before it")
    show(arguments, result, lines)
