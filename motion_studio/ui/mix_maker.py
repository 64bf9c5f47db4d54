"""From the mixer's desk to jobs and files: previews that follow its knobs, renders, a motion to keep."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from motion_studio.errors import InputError
from motion_studio.settings import FILM
from motion_studio.studio.jobs import Job
from motion_studio.studio.library import Entry
from motion_studio.studio.mix import build, edit
from motion_studio.studio.studio import Studio
from motion_studio.ui import mix_desk, text
from motion_studio.ui.mix_desk import Desk

WORDS = text.MIX
PREVIEW_STEPS = 6
PREVIEW_EVERY = 4
KEPT = 64


class MixMaker:
    """Makes clips and motions of desks, and knows of each job what it was asked for."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.spec = studio, studio.base
        self.asked: OrderedDict[str, Any] = OrderedDict()  # by the job's id, the oldest first

    def preview(self, desk: Desk, prompt: str, seed: float, shown: str, rendering: str) -> Job | None:
        """A quick clip of the desk in place of the job that is `shown`.

        None where there is nothing to show, where that job shows it already, and while it or `rendering` is
        a render under way: no change of a knob may end one.
        """
        same = self.asked.get(shown) == _asked(desk, prompt, seed)  # a knob was let go where it stood
        if not desk["tracks"] or not prompt.strip() or same:
            return None
        if self.renders(shown, rendering):
            return None
        return self._submit(desk, prompt, seed, PREVIEW_STEPS, "preview")

    def render(self, desk: Desk, prompt: str, seed: float) -> Job:
        """The desk's clip in all steps, which is kept. Raises InputError without tracks or prompt."""
        if not prompt.strip():
            raise InputError(text.GENERATE["need_prompt"])
        return self._submit(desk, prompt, seed, self.spec.steps, "mix")

    def save(self, desk: Desk, name: str, notes: str, shown: str) -> Entry:
        """The desk as a motion of the library. Raises InputError without tracks or name."""
        if not desk["tracks"]:
            raise InputError(WORDS["need_tracks"])
        if not name.strip():
            raise InputError(WORDS["need_name"])
        library = self.studio.library
        motion = build(mix_desk.to_mix(desk), library.load)
        if desk["film"] != FILM:
            motion = edit(motion, [{"op": "film", **desk["film"]}])
        # What was made with it stands in for the reference that a mix has not; what was made before does not.
        mine = shown in self.asked and self.asked[shown][0] == _asked(desk, "", 0)[0]
        made = self.studio.jobs.get(shown).result if mine else None
        return library.save(motion, name, made and made.clip, notes)

    def renders(self, *job_ids: str) -> bool:
        """Whether one of those jobs is a render under way."""
        jobs = [self.studio.jobs.get(job_id) for job_id in job_ids if job_id]
        return any(job.active and job.kind == "mix" for job in jobs)

    def _submit(self, desk: Desk, prompt: str, seed: float, steps: int, kind: str) -> Job:
        if not desk["tracks"]:
            raise InputError(WORDS["need_tracks"])
        mix, keep = mix_desk.to_mix(desk), kind == "mix"
        asked = {"seed": int(seed or 0), "steps": steps, **desk["film"]}
        settings = self.spec.generation(prompt, len(mix.prompts), **asked)
        every = PREVIEW_EVERY if keep else 0
        job = self.studio.generate(settings, mix, kind=kind, keep=keep, preview_every=every)
        self.asked[job.id] = _asked(desk, prompt, seed)
        while len(self.asked) > KEPT:
            self.asked.popitem(last=False)
        return job


def _asked(desk: Desk, prompt: str, seed: float) -> tuple[Any, ...]:
    """What a preview and a render are made of: first what makes the motion, then the rest."""
    return (desk["tracks"], desk["together"], desk["film"]), prompt.strip(), int(seed or 0)
