"""The mixer's screen: what its desk is played on, the clips that are made of it, a motion to keep."""

from __future__ import annotations

from typing import Any

import gradio as gr

from motion_studio.studio.jobs import Job
from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import LONGEST
from motion_studio.ui import components, pictures, text, work
from motion_studio.ui.mix_desk import Desk
from motion_studio.ui.mix_maker import MixMaker
from motion_studio.ui.work import friendly

WORDS = text.MIX


class MixScreen:
    """Two columns beside the stage: the player, and the prompt with what makes clips and motions."""

    def __init__(self, studio: Studio):
        self.studio, self.maker = studio, MixMaker(studio)
        self.rendering = gr.State("")  # known here before the page knows it: a change may settle in between
        with gr.Column(scale=3, min_width=260):
            self.player = components.player(self._view(None), keeps=True)
            self.watch = work.Watch(studio.jobs, "mix")
        with gr.Column(scale=3, min_width=260):
            self.prompt = gr.Textbox(studio.base.sample_prompt, label=WORDS["prompt"], max_length=LONGEST)
            self.seed = gr.Number(0, label=WORDS["seed"], precision=0, minimum=0)
            with gr.Row():
                self.render = gr.Button(WORDS["render"], variant="primary", elem_id="mix-render")
                self.cancel = gr.Button(WORDS["cancel"], visible=False)
                self.download = gr.DownloadButton(WORDS["download"], visible=False)
            with gr.Accordion(WORDS["save_as"], open=False, elem_id="mix-save"):
                self.name = gr.Textbox(label=WORDS["name"], max_length=80)
                self.notes = gr.Textbox(label=WORDS["notes"], lines=2, max_length=1000)
                self.save = gr.Button(WORDS["save"])
        self.asked = [self.prompt, self.seed, self.watch.id, self.rendering]

    def wire(self, opened: Any, desk: Any, kept: Any, turn: str) -> None:
        """Connect the widgets to the `desk` and what the browser has `kept` of it.

        What takes its `turn` (gradio's `concurrency_id`) goes on after the changes that still settle.
        """
        shown = [self.player, self.render, self.download]
        self.watch.wire(opened.then, self.cancel, shown, self._show)
        self.render.click(
            friendly(self._render),
            [desk, *self.asked],
            [self.rendering, self.render, kept, *self.watch.outputs],
            show_progress="hidden",
            concurrency_id=turn,
        )
        inputs = [desk, self.name, self.notes, self.watch.id]
        self.saved = self.save.click(
            friendly(self._save), inputs, [self.name, self.notes], show_progress="minimal"
        )

    def preview(self, desk: Desk, prompt: str, seed: float, shown: str, rendering: str) -> tuple[Any, ...]:
        """Updates of the watch's outputs: a quick clip of the desk, where there is one to make."""
        job = self.maker.preview(desk, prompt, seed, shown, rendering)
        if job is None:
            return (gr.skip(),) * len(self.watch.outputs)
        self.watch.cancel(shown)
        return self.watch.start(job)

    def end_preview(self, shown: str, rendering: str) -> None:
        """Have no preview take the place of a clip that was put on the player."""
        if not self.maker.renders(shown, rendering):
            self.watch.cancel(shown)

    def _view(self, job: Job | None) -> dict[str, Any]:
        if job is not None and job.result is not None:
            label = WORDS["result"] if job.kind == "preview" else WORDS["rendered"]
            return {**pictures.view(job.result.clip), "label": label}
        if job is not None and job.preview is not None:
            return {**pictures.view(job.preview.clip), "label": WORDS["result"]}
        return {"hint": WORDS["result_hint"], "label": WORDS["result"]}

    def _show(self, job: Job) -> tuple[Any, ...]:
        """Updates of the player, the render button and the download of what the player shows."""
        render = gr.Button(visible=not (job.active and job.kind == "mix"))
        if job.result is None and job.preview is None:
            return gr.skip(), render, gr.skip()
        path = job.result.path if job.result else None
        download = gr.DownloadButton(value=path and str(path), visible=bool(path))
        return components.playing(self._view(job)), render, download

    def _render(self, desk: Desk, prompt: str, seed: float, shown: str, rendering: str) -> tuple[Any, ...]:
        if self.maker.renders(shown, rendering):  # clicked twice
            return (gr.skip(),) * (3 + len(self.watch.outputs))
        job = self.maker.render(desk, prompt, seed)
        self.watch.cancel(shown)  # a preview, that would be waited for
        return job.id, gr.Button(visible=False), kept(desk, prompt, seed), *self.watch.start(job)

    def _save(self, desk: Desk, name: str, notes: str, shown: str) -> tuple[str, str]:
        entry = self.maker.save(desk, name, notes, shown)
        gr.Info(WORDS["saved"].format(title=work.one_line(entry.title)))
        return "", ""


def kept(desk: Desk, prompt: str, seed: float) -> dict[str, Any]:
    """What a browser keeps of the mixer."""
    return {"desk": desk, "prompt": prompt, "seed": int(seed or 0)}
