"""One clip for each of several values of one setting: what that setting does, all else equal."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from motion_studio.errors import InputError, SettingsError
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Done, Event, Preview, Progress
from motion_studio.studio.render import Render
from motion_studio.video.clip import Clip, fit

MOST = 8
# What may hold commas: the prompts.
TEXTS = tuple(name for name, hint in get_type_hints(GenerationSettings).items() if hint is str)


@dataclass(frozen=True)
class Sweep:
    """Clips that differ in the setting `name` alone, and the `reference` of their motion, if it is known.

    `path` shows them side by side (None: it is nowhere).
    """

    name: str
    renders: tuple[Render, ...]
    reference: Clip | None = None
    path: Path | None = None

    @property
    def titles(self) -> list[str]:
        """Each clip's value after its setting's name; a prompt stands alone."""
        return titles(self.name, [render.recipe["settings"][self.name] for render in self.renders])

    def rows(self) -> tuple[list[Clip], list[str]]:
        """The clips and their titles as a figure shows them, the reference first, cut to their shape."""
        clips, names = [render.clip for render in self.renders], self.titles
        if self.reference is None:
            return clips, names
        one = clips[0]
        shown = fit(self.reference, one.num_frames, one.height, one.width, one.fps)
        return [shown, *clips], ["reference", *names]


def titles(name: str, values: Sequence[Any]) -> list[str]:
    """What the clips of a sweep are called: each value after its setting's name; a prompt stands alone."""
    head = "" if name == "prompt" else name.replace("_", " ") + " "
    return [f"{head}{value}" for value in values]


def read_values(name: str, text: str) -> list[str]:
    """Values as typed: prompts have lines or | between them, all others commas."""
    parts = text.replace("\n", "|").split("|") if name in TEXTS else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def varied(settings: GenerationSettings, name: str, texts: Sequence[str]) -> list[GenerationSettings]:
    """The settings with each of 2 to 8 typed values in turn. Raises InputError and SettingsError."""
    known = [field.name for field in fields(settings)]
    if name not in known:
        raise SettingsError(f"unknown setting {name}; known are {', '.join(sorted(known))}")
    if not 2 <= len(texts) <= MOST:
        raise InputError(f"{len(texts)} values of {name}: 2 to {MOST} can be shown side by side.")
    many = [settings.from_json({**settings.to_json(), name: settings.read(name, text)}) for text in texts]
    values = [getattr(one, name) for one in many]
    if twice := [value for value in values if values.count(value) > 1]:
        raise InputError(f"{name}={twice[0]} is there twice: each value is shown once.")
    return many


def sweep(
    name: str,
    many: Sequence[GenerationSettings],
    make: Callable[[GenerationSettings], Generator[Event]],
    reference: Clip | None = None,
) -> Generator[Event]:
    """Make the clip of each settings one after another by `make`; ends with Done(Sweep).

    `make` is called for all of them first, so that what it refuses at once costs no clip. It may raise later,
    too: what was made by then stays where it was kept. Previews hold the clips made before theirs. The
    `reference` is only shown beside them.
    """
    runs = [make(settings) for settings in many]
    total, before = sum(one.steps for one in many), 0
    made: list[Render] = []
    for number, (settings, events) in enumerate(zip(many, runs, strict=True), 1):
        title = f"{number} of {len(many)}"
        for event in events:
            if isinstance(event, Progress):
                yield Progress(before + min(event.step, settings.steps), total, f"{event.text}, {title}")
            elif isinstance(event, Preview):
                clips = tuple(render.clip for render in made)
                yield replace(event, step=before + event.step, made=clips)
            elif isinstance(event, Done):
                made.append(event.result)
        before += settings.steps
        clips = tuple(render.clip for render in made)
        yield Preview(before, clips[-1], clips[:-1])
    yield Done(Sweep(name, tuple(made), reference))
