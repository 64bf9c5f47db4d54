"""The studio as one object: loaded models, the library and the queue of jobs."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from motion_studio.backbones.fetch import is_here
from motion_studio.backbones.registry import find
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio.drafts import Drafts
from motion_studio.studio.events import Done, Event, Progress
from motion_studio.studio.fetching import fetching
from motion_studio.studio.invert import invert
from motion_studio.studio.jobs import Job, Jobs, new_id
from motion_studio.studio.library import Library
from motion_studio.studio.manager import Manager
from motion_studio.studio.render import render
from motion_studio.studio.sweep import sweep
from motion_studio.studio.tracks import Mix
from motion_studio.video.clip import Clip

DEFAULT_BASE = "toybox"


class Studio:
    """Models, library, drafts and jobs over one data folder (None: $MOTION_STUDIO_DATA or ~/.motion-studio).

    `base` names the base model that its page works with, as `registry.find` knows it; raises what that does.
    """

    def __init__(self, data: str | Path | None = None, device: str | None = None, base: str = DEFAULT_BASE):
        self.base = find(base)
        self._name = base  # as the manager knows it; a folder's spec has but the last of its path
        self.library = Library(data)
        self.drafts = Drafts(self.library.root / "unsaved")
        self.jobs = Jobs(self.library.root / "jobs.sqlite", self.drafts.motion)
        self.manager = Manager(device)

    def warm(self) -> None:
        """Load the base model now. Raises what `Manager.backbone` does."""
        self.manager.backbone(self._name)

    def is_here(self) -> bool:
        """Whether the base model's files are on this disk; if not, the first job fetches them."""
        return is_here(self.base)

    def levers(self) -> list[str]:
        """What saves memory on the base model, in words; nothing before it is loaded."""
        return self.manager.levers(self._name)

    def invert(self, clip: Clip, settings: InversionSettings, prompt: str = "", title: str = "") -> Job:
        """Queue the learning of a clip's motion; the job's result is a Motion, not yet in the library.

        It is kept among `drafts` by the job's id, until it is saved or many others were learnt.
        """
        job_id = new_id()

        def make(cancel: threading.Event, stop: threading.Event) -> Generator[Event]:
            yield from self._ready(cancel, settings.steps)
            with self.manager.using(self._name, settings.noise_levels) as backbone:
                for event in invert(backbone, clip, settings, prompt, cancel, stop):
                    if isinstance(event, Done) and not cancel.is_set():
                        self.drafts.keep(job_id, event.result, clip)
                    yield event

        return self.jobs.submit("invert", title or prompt or "A clip", make, "learning", job_id)

    def generate(
        self,
        settings: GenerationSettings,
        mix: Mix | None = None,
        reference: Clip | None = None,
        kind: str = "generate",
        keep: bool = True,
        preview_every: int = 4,
    ) -> Job:
        """Queue a clip with a mix of the library's motions; the job's result is a Render.

        `keep` saves it among the library's renders. `reference` is for the noise prior.
        """

        def make(cancel: threading.Event, stop: threading.Event) -> Generator[Event]:
            yield from self._ready(cancel, settings.steps)
            with self.manager.using(self._name) as backbone:
                events = render(backbone, settings, mix, self.library.load, reference, cancel, preview_every)
                yield from self._kept(events, cancel) if keep else events

        return self.jobs.submit(kind, settings.prompt or "A clip", make, "making")

    def sweep(
        self,
        name: str,
        many: Sequence[GenerationSettings],
        mix: Mix | None = None,
        reference: Clip | None = None,
        preview_every: int = 4,
    ) -> Job:
        """Queue a clip for each of `many` settings, which differ in `name`; the job's result is a Sweep.

        Each clip is kept as it is made, and in the end all side by side, beside the reference. Else as
        `generate`.
        """
        title = f"{name.replace('_', ' ')}, {many[0].prompt}"

        def make(cancel: threading.Event, stop: threading.Event) -> Generator[Event]:
            yield from self._ready(cancel, sum(settings.steps for settings in many))
            with self.manager.using(self._name) as backbone:

                def one(settings: GenerationSettings) -> Generator[Event]:
                    load = self.library.load
                    events = render(backbone, settings, mix, load, reference, cancel, preview_every)
                    return self._kept(events, cancel)

                for event in sweep(name, many, one, reference):
                    if isinstance(event, Done) and not cancel.is_set():
                        made = event.result
                        path = self.library.save_sheet(title, *made.rows())
                        event = Done(replace(made, path=path))
                    yield event

        return self.jobs.submit("sweep", title, make, "making")

    def _kept(self, events: Generator[Event], cancel: threading.Event) -> Generator[Event]:
        """The events of a render, which is saved in the library as it is done."""
        for event in events:
            if isinstance(event, Done) and not cancel.is_set():
                made = event.result
                event = Done(replace(made, path=self.library.save_render(made.clip, made.recipe)))
            yield event

    def _ready(self, cancel: threading.Event, steps: int) -> Iterator[Progress]:
        """Fetch the base model's files, and say that it loads before a job's `steps`."""
        yield from fetching(self.base, cancel)
        yield Progress(0, steps, "Loading the base model")

    def close(self) -> None:
        """Cancel what runs and end the workers."""
        self.jobs.close()
