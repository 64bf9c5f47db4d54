"""Several values of one setting: what to vary, and how the clips are shown."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from motion_studio.settings import GenerationSettings
from motion_studio.studio.jobs import Job
from motion_studio.studio.library import Library
from motion_studio.studio.studio import DEFAULT_BASE
from motion_studio.studio.sweep import MOST, TEXTS, Sweep, read_values, titles, varied
from motion_studio.ui import pictures, shelf, text, work

WORDS = text.SWEEP


class SweepPanel:
    """The widgets that ask for a sweep; `asked` holds the titles of those that this process began, by job."""

    def __init__(self, base: str) -> None:
        self.suggested = dict(WORDS["suggested"])
        if base == DEFAULT_BASE:
            self.suggested["prompt"] = WORDS["toys"]
        self.asked: dict[str, list[str]] = {}
        first = next(iter(self.suggested))
        with gr.Accordion(WORDS["sweep"], open=False, elem_id="sweep"):
            with gr.Row(equal_height=True):
                choices = [(text.GENERATE[name], name) for name in self.suggested]
                self.name = gr.Dropdown(
                    choices, value=first, label=WORDS["vary"], info=WORDS["vary_info"], min_width=140, scale=2
                )
                self.values = gr.Textbox(**self._suggestion(first), min_width=160, scale=3)
            self.start = gr.Button(WORDS["start"], elem_id="sweep-start")
        self.name.input(
            lambda name: gr.Textbox(**self._suggestion(name)), self.name, self.values, **work.LATEST
        )

    def _suggestion(self, name: str) -> dict[str, Any]:
        prose = name in TEXTS
        info = WORDS["lines" if prose else "commas"].format(most=MOST)
        value = self.suggested[name]
        return {"value": value, "label": WORDS["values"], "info": info, "lines": 3 if prose else 1}

    def read(self, name: str, values: str, settings: GenerationSettings) -> list[GenerationSettings]:
        """The settings with each of the values. Raises InputError and SettingsError."""
        return varied(settings, name, read_values(name, values))

    def began(self, job: Job, name: str, many: list[GenerationSettings]) -> None:
        """Remember what the clips of a job are called."""
        self.asked[job.id] = titles(name, [getattr(settings, name) for settings in many])

    def views(self, job: Job) -> list[dict[str, Any]]:
        """A view for each of a job's clips: made, being made, or a blank in its place."""
        asked = self.asked.get(job.id, [])
        clips = []
        if isinstance(job.result, Sweep):
            asked = job.result.titles
            clips = [render.clip for render in job.result.renders]
        elif job.preview is not None:
            clips = [*job.preview.made, job.preview.clip]
        views = [pictures.view(clip) for clip in clips] + [{"hint": ""}] * (len(asked) - len(clips))
        return [{**view, "label": title} for view, title in zip(views, asked, strict=True)]


def table(library: Library, motion: str, made: Sweep) -> str:
    """How much of a motion's reference each clip follows, measured, as HTML; '' without a reference."""
    rows = [shelf.followed(library, motion, render) for render in made.renders]
    keys = [key for key in text.CARRIED if any(row.get(key) for row in rows)]
    if not keys:
        return ""
    head = "".join(f"<th>{escape(WORDS['columns'][key])}</th>" for key in keys)
    lines = ""
    for title, row in zip(made.titles, rows, strict=True):
        cells = "".join(f"<td>{row[key]:.2f}</td>" if row.get(key) else "<td>–</td>" for key in keys)
        lines += f"<tr><th>{escape(title)}</th>{cells}</tr>"
    return f'<table class="measured"><tr><th></th>{head}</tr>{lines}</table>'
