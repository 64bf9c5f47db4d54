"""`demo`: the main job on a clip that ships: its motion, played on another prompt, and measured."""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from motion_studio.cli.base import base_model
from motion_studio.cli.inputs import changed, keep_clip
from motion_studio.cli.output import figures, play, show
from motion_studio.errors import InputError
from motion_studio.settings import preset
from motion_studio.studio.invert import invert
from motion_studio.studio.library import STARTERS, save_reference, shown_scale
from motion_studio.studio.motion_file import read_info, write_motion
from motion_studio.studio.render import render
from motion_studio.studio.tracks import Mix, Track
from motion_studio.video.clip import fit
from motion_studio.video.files import read_clip, side_by_side, write_clip
from motion_studio.video.measures import measure

CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"
MADE = (
    "figures.json",
    "motion.mp4",
    "motion.safetensors",
    "motion.webp",
    "reference-and-result.mp4",
    "result.mp4",
)
PROMPT = "a yellow star on a plain blue ground"


def demo(arguments: argparse.Namespace) -> None:
    """Leave in --out the motion, the video, both clips side by side, and the figures with a control's."""
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file, a folder is needed.")
    path = Path(arguments.clip) if arguments.clip else _first_clip()
    files = [out / name for name in MADE]
    keep_clip(path, *files)
    clip = read_clip(path)
    learning = changed(preset(arguments.preset), arguments, preview_every=0)
    backbone = base_model(arguments, arguments.base, learning.noise_levels)
    reference = fit(clip, backbone.frames, backbone.height, backbone.width, backbone.fps)
    # The seed of the arguments is the inversion's; the clip's stays, so that the figures can be compared.
    settings = backbone.spec.generation(arguments.prompt or PROMPT)

    started = time.monotonic()
    events = invert(backbone, reference, learning, _words(arguments, path))
    motion = play(events, arguments.quiet, "learning")
    learnt = time.monotonic()
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    motion = write_motion(out / "motion.safetensors", motion.replace_info(title="Demo", date=date))
    save_reference(out / "motion.safetensors", reference)
    mix = Mix((Track("motion.safetensors"),))
    kept = time.monotonic()
    made = play(render(backbone, settings, mix, lambda name: motion), arguments.quiet)
    rendered = time.monotonic()
    control = play(render(backbone, settings), arguments.quiet)

    write_clip(out / "result.mp4", made.clip, made.recipe, scale=shown_scale(made.clip))
    pair = side_by_side([reference, made.clip])
    write_clip(out / "reference-and-result.mp4", pair, scale=shown_scale(reference))
    report: dict[str, Any] = {
        "with_motion": measure(reference, made.clip),
        "no_motion": measure(reference, control.clip),
        "seconds": {"inversion": round(learnt - started, 2), "generation": round(rendered - kept, 2)},
        "prompt": settings.prompt,
        "preset": arguments.preset,
        "motion_bytes": (out / "motion.safetensors").stat().st_size,
        "base": {"name": backbone.name, "hash": backbone.weights_hash},
    }
    (out / "figures.json").write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")
    names = [str(path) for path in files]
    show(arguments, {"files": names, **report}, _lines(report, names))


def _first_clip() -> Path:
    clips = sorted(CLIPS.glob("*.mp4"))
    if not clips:
        raise InputError("No clip ships here (assets/clips/*.mp4): give one by --clip.")
    return clips[0]


def _words(arguments: argparse.Namespace, clip: Path) -> str:
    """What the clip shows: as given, or as the starter motion learnt from the same clip says."""
    starter = STARTERS / f"{clip.stem}.safetensors"
    if arguments.clip_prompt is not None or arguments.clip or not starter.is_file():
        return arguments.clip_prompt or ""
    return read_info(starter).prompt


def _lines(report: dict[str, Any], files: list[str]) -> list[str]:
    seconds = report["seconds"]
    lines = [
        f"learnt in {seconds['inversion']:.1f} s, made in {seconds['generation']:.1f} s; with the motion:"
    ]
    lines += [f"  {line}" for line in figures(report["with_motion"])]
    lines += ["without a motion (the control):"]
    lines += [f"  {line}" for line in figures(report["no_motion"])]
    return lines + files
