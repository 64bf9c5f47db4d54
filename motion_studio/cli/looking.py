"""`measure`, `inspect`, `bases` and `motions`: commands that look and change nothing."""

from __future__ import annotations

import argparse

from motion_studio.cli.inputs import motion_path
from motion_studio.cli.output import figures, show, table
from motion_studio.studio.motion_file import read_motion


def measure(arguments: argparse.Namespace) -> None:
    """Print how well the motion of RESULT follows REFERENCE."""
    from motion_studio.video.files import read_clip
    from motion_studio.video.measures import measure as compare

    report = compare(read_clip(arguments.reference), read_clip(arguments.result))
    show(arguments, report, figures(report))


def inspect(arguments: argparse.Namespace) -> None:
    """Print what a motion file holds."""
    path = motion_path(arguments.motion, arguments.data)
    motion = read_motion(path)
    info = motion.info
    facts = {
        "title": info.title,
        "notes": info.notes,
        "base": info.base,
        "base_hash": info.base_hash,
        "version": info.version,
        "frames": motion.frames,
        "fps": info.fps,
        "rank": motion.rank,
        "looks": info.looks,
        "carry": info.carry,
        "extent": info.extent,
        "followed": info.followed,
        "prompt": info.prompt,
        "date": info.date,
        "hash": motion.hash(),
        "bytes": path.stat().st_size,
        "latent_size": info.latent_size,
        "settings": info.settings,
        "losses": info.losses,
        "lineage": info.lineage,
        "report": info.report,
        "path": info.path,
        "sizes": info.sizes,
        "turns": info.turns,
        "camera": info.camera,
        "sites": {
            name: {
                "channels": site.qk.shape[1],
                "grid": site.grid,
                "rank": site.rank,
                "parts": len(site.voices),
                "space": None if site.space is None else list(site.space.shape),
            }
            for name, site in motion.sites.items()
        },
    }
    short = {name: value for name, value in facts.items() if value and not isinstance(value, list | dict)}
    lines = [f"{name.replace('_', ' '):<10} {value}" for name, value in short.items()]
    local = info.report.get("locality")
    local = local if isinstance(local, dict) else {}
    lines.append(f"{'sites':<10} {len(motion.sites)}" + (", each with its locality in time" if local else ""))
    lines += [f"{'':<10} {name} {local.get(name, '')}".rstrip() for name in motion.sites]
    if info.losses:
        lines.append(
            f"{'loss':<10} {info.losses[0]:.4f} to {info.losses[-1]:.4f} in {len(info.losses)} steps"
        )
    lines += [f"{'made by':<10} {step}" for step in info.lineage]
    lines += [f"{'measured':<10} {line}" for line in figures(info.report)]
    show(arguments, facts, lines)


def bases(arguments: argparse.Namespace) -> None:
    """List the base models, loading none."""
    from dataclasses import asdict

    from motion_studio.backbones.hub import on_disk
    from motion_studio.backbones.registry import BASES

    here = {name: on_disk(spec.repo, spec.revision, spec.parts) for name, spec in BASES.items()}
    rows = [
        [
            name,
            f"{spec.width}x{spec.height}",
            f"{spec.frames} at {spec.fps:g}",
            f"{spec.size_mb / 1000:.1f} GB" if spec.size_mb >= 1000 else f"{spec.size_mb} MB",
            f"{spec.memory_mb / 1000:.0f} GB",
            "yes" if here[name] else "no",
            spec.licence,
            spec.title,
        ]
        for name, spec in BASES.items()
    ]
    header = ["name", "pixels", "frames", "on disk", "memory", "here", "licence", "title"]
    result = [{**asdict(spec), "on_disk": here[name]} for name, spec in BASES.items()]
    show(arguments, {"bases": result}, table(rows, header))


def motions(arguments: argparse.Namespace) -> None:
    """List the motions of the library, the user's first."""
    from motion_studio.studio.library import Library

    entries = Library(arguments.data).motions()
    rows = [
        [entry.name, entry.info.base or "?", "starter" if entry.starter else "", entry.error or entry.title]
        for entry in entries
    ]
    result = [
        {
            "name": entry.name,
            "title": entry.title,
            "path": str(entry.path),
            "clip": entry.clip and str(entry.clip),
            "base": entry.info.base,
            "starter": entry.starter,
            "error": entry.error,
        }
        for entry in entries
    ]
    show(arguments, {"motions": result}, table(rows, ["name", "base", "", "title"]) if rows else ["none yet"])
