"""`invert`: from a clip to a motion."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path

from motion_studio.cli.base import base_model
from motion_studio.cli.inputs import changed, keep_clip, output, sidecars
from motion_studio.cli.output import play, show
from motion_studio.errors import InputError
from motion_studio.settings import preset
from motion_studio.studio.invert import invert as learn
from motion_studio.studio.library import save_reference
from motion_studio.studio.motion_file import write_motion
from motion_studio.video.clip import fit
from motion_studio.video.files import read_clip


def invert(arguments: argparse.Namespace) -> None:
    """Learn the motion of CLIP and write it, with the clip as a loop and a thumbnail beside it.

    A CLIP that is where the loop would be written stays as it is, the motion's clip as well as one's own.
    """
    out = output(arguments.out, ".safetensors")
    beside = {"clip": out.with_suffix(".mp4"), "thumbnail": out.with_suffix(".webp")}
    own = (
        beside["clip"].is_file() and Path(arguments.clip).exists() and beside["clip"].samefile(arguments.clip)
    )
    keep_clip(arguments.clip, *([] if own else [beside["clip"]]), beside["thumbnail"])
    strangers = [path for path in beside.values() if path.exists() and path not in sidecars(out)]
    if strangers and not own:
        raise InputError(
            f"--out {out}: {strangers[0].name} is there, and no motion's; it would be written over. "
            "Give another name."
        )
    settings = changed(preset(arguments.preset), arguments, preview_every=0)
    # Only the part is read: of a long film, a clip is kept smaller, and one over a minute not at all.
    clip = read_clip(arguments.clip, arguments.start, arguments.end)
    backbone = base_model(arguments, arguments.base, settings.noise_levels)
    size = (backbone.frames, backbone.height, backbone.width, backbone.fps)
    reference = fit(clip, *size, how=arguments.fit)
    started = time.monotonic()
    motion = play(learn(backbone, reference, settings, arguments.prompt), arguments.quiet, "learning")
    seconds = time.monotonic() - started
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    named = motion.replace_info(title=arguments.title or out.stem, notes=arguments.notes, date=date)
    motion = write_motion(out, named)
    if not own:
        save_reference(out, reference)
    result = {
        "motion": str(out),
        **{name: str(path) if path.exists() else None for name, path in beside.items()},
        "hash": motion.hash(),
        "base": motion.info.base,
        "frames": motion.frames,
        "rank": motion.rank,
        "bytes": out.stat().st_size,
        "loss": motion.info.losses[-1] if motion.info.losses else None,
        "seconds": round(seconds, 2),
        "settings": settings.to_json(),
    }
    line = f"{out}: {motion.frames} frames, rank {motion.rank}, {result['bytes'] / 1024:.0f} kB"
    show(arguments, result, [f"{line}, learnt in {seconds:.1f} s"])
