"""`generate`: from a prompt, with motions or without, to a video that carries its recipe."""

from __future__ import annotations

import argparse
import time
from collections.abc import Generator, Iterable
from pathlib import Path

from motion_studio.backbones.registry import BASES, unsized
from motion_studio.cli.base import base_model
from motion_studio.cli.inputs import changed, output, tracks, weighted
from motion_studio.cli.output import play, show
from motion_studio.cli.parser import DEFAULT_BASE
from motion_studio.errors import InputError, MotionStudioError
from motion_studio.settings import FILM, GenerationSettings
from motion_studio.studio.events import Event
from motion_studio.studio.library import Library, shown_scale, write_side_by_side
from motion_studio.studio.motion_file import read_motion
from motion_studio.studio.render import Recipe, Render, render
from motion_studio.studio.sweep import Sweep, read_values, sweep, varied
from motion_studio.studio.tracks import Mix
from motion_studio.video.clip import Clip
from motion_studio.video.files import read_clip, read_recipe, write_clip

NOT_WITH_RECIPE = (
    "prompt",
    "negative",
    "guidance",
    "strength",
    "guide_until",
    "play_until",
    "sync_until",
    "carry",
    *FILM,
    "frames",
    "together",
    "words",
    "motion_type",
    "noise_prior",
    "steps",
    "seed",
    "settings",
    "vary",
)


def generate(arguments: argparse.Namespace) -> None:
    """Write the video of a prompt, or of another video's recipe; with --vary one for each value."""
    out = output(arguments.out, ".mp4")
    started = time.monotonic()
    made = _again(arguments) if arguments.recipe else _new(arguments)
    if isinstance(made, Sweep):
        return _write_sweep(arguments, made, out, round(time.monotonic() - started, 2))
    write_clip(out, made.clip, made.recipe, scale=shown_scale(made.clip))
    seconds = round(time.monotonic() - started, 2)
    size = f"{made.clip.num_frames} frames of {made.clip.width}x{made.clip.height}"
    result = {"video": str(out), "seconds": seconds, "recipe": made.recipe}
    show(arguments, result, [f"{out}: {size}, made in {seconds:.1f} s"])


def _write_sweep(arguments: argparse.Namespace, made: Sweep, out: Path, seconds: float) -> None:
    """Write all side by side as video and picture, and beside them OUT-1, OUT-2 …, which carry recipes."""
    rows = []
    for number, (one, title) in enumerate(zip(made.renders, made.titles, strict=True), 1):
        path = out.with_stem(f"{out.stem}-{number}")
        write_clip(path, one.clip, one.recipe, scale=shown_scale(one.clip))
        rows.append({"video": str(path), "title": title, "recipe": one.recipe})
    write_side_by_side(out, *made.rows())
    picture = str(out.with_suffix(".png"))
    lines = [f"{row['video']}: {row['title']}" for row in rows]
    lines += [f"{out}, {picture}: all of them, made in {seconds:.1f} s"]
    show(arguments, {"video": str(out), "picture": picture, "seconds": seconds, "made": rows}, lines)


def _new(arguments: argparse.Namespace) -> Render | Sweep:
    vary = _vary(arguments.vary)
    if arguments.prompt is None and (vary is None or vary[0] != "prompt"):
        raise InputError("generate needs --prompt, or --recipe with a video of the studio.")
    laid, paths = tracks(arguments.motions, arguments.data, arguments.words)
    motions = {name: read_motion(path) for name, path in paths.items()}
    mix = Mix(laid, together=arguments.together or "no") if laid else None
    backbone = base_model(arguments, arguments.base)
    settings = changed(
        backbone.spec.generation(arguments.prompt or "", len(mix.prompts) if mix else 1),
        arguments,
        negative_prompt=arguments.negative,
        guidance=arguments.guidance,
        strength=arguments.strength,
        guide_until=arguments.guide_until,
        play_until=arguments.play_until,
        sync_until=arguments.sync_until,
        carry=arguments.carry,
        **{name: getattr(arguments, name) for name in FILM},
        frames=arguments.frames,
        motion_type=arguments.motion_type,
        noise_prior=arguments.noise_prior,
    )
    many = varied(settings, *vary) if vary else []
    reference = _reference(arguments, paths.values()) if many or settings.noise_prior else None

    def make(settings: GenerationSettings) -> Generator[Event]:
        return render(backbone, settings, mix, motions.__getitem__, reference)

    events = sweep(vary[0], many, make, reference) if vary else make(settings)
    return play(events, arguments.quiet)


def _vary(text: str | None) -> tuple[str, list[str]] | None:
    """The setting and its values in --vary NAME=A,B,C; prompts have a | between them."""
    if text is None:
        return None
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise InputError(f"--vary {text}: NAME=A,B,C is needed, as in --vary strength=0,0.5,1.")
    return name, read_values(name, values)


def _again(arguments: argparse.Namespace) -> Render:
    """What the recipe in a video makes; its motions are found again by their hashes."""
    if given := [name for name in NOT_WITH_RECIPE if getattr(arguments, name) not in (None, [])]:
        flag = "set" if given[0] == "settings" else given[0].replace("_", "-")
        raise InputError(f"--recipe brings its own settings, --{flag} cannot be given.")
    values = read_recipe(arguments.recipe)
    if values is None:
        raise InputError(f"{arguments.recipe} carries no recipe of the studio.")
    recipe = Recipe.from_json(values)
    base = recipe.base if arguments.base == DEFAULT_BASE else arguments.base
    # A video may come from anyone: a folder or a Hub id is loaded only where the user names it.
    if arguments.base == DEFAULT_BASE and unsized(base) not in BASES:
        raise InputError(
            f"The recipe's base is {base[:80]!r}, none of {', '.join(BASES)}: "
            "if you trust it, name it by --base."
        )
    backbone = base_model(arguments, base)
    recipe.check(backbone)
    paths = {name: _found(name, wanted, arguments) for name, wanted in recipe.motions.items()}
    motions = {name: read_motion(path) for name, path in paths.items()}
    reference = _reference(arguments, paths.values()) if recipe.reference else None
    made = play(
        render(backbone, recipe.settings, recipe.mix, motions.__getitem__, reference), arguments.quiet
    )
    if made.recipe["reference"] != recipe.reference:
        raise InputError("The noise prior's clip is not the one that the video was made with (--reference).")
    return made


def _found(name: str, wanted: str, arguments: argparse.Namespace) -> Path:
    """The file of the motion with that hash: given, beside the video, in this folder, or in the library."""
    places = [Path(weighted(source)[0]) for source in arguments.motions]
    # A name from a video is data from elsewhere: its last part only.
    places += [Path(arguments.recipe).parent / Path(name).name, Path(Path(name).name)]
    for path in places:
        try:
            if path.is_file() and read_motion(path).hash() == wanted:
                return path
        except MotionStudioError:
            continue  # another file of that name
    entry = Library(arguments.data).find(wanted)
    if entry is None:
        raise InputError(
            f"The motion {name!r} ({wanted[:8]}) of the recipe is not here; give it by --motion."
        )
    return entry.path


def _reference(arguments: argparse.Namespace, motions: Iterable[Path]) -> Clip | None:
    """The clip of the noise prior: given, or the loop beside the first motion that has one."""
    beside = [path.with_suffix(".mp4") for path in motions]
    clips = [arguments.reference] if arguments.reference else [path for path in beside if path.is_file()]
    return read_clip(clips[0]) if clips else None
