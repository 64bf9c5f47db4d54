"""Invert: a clip's motion is learnt while one watches, then named and saved."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from motion_studio.errors import ClipError, InputError
from motion_studio.settings import InversionSettings, preset, preset_names
from motion_studio.studio.jobs import Job
from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import LONGEST
from motion_studio.ui import components, pictures, shelf, text, work
from motion_studio.ui.work import friendly
from motion_studio.video.clip import Clip, fit
from motion_studio.video.reading import read_clip

WORDS = text.INVERT
KINDS = [".mp4", ".mov", ".webm", ".gif"]
WHOLE = ("steps", "rank", "seed")
KEPT = 16


@dataclass(frozen=True)
class Source:
    """What a job learns from: the clip as the base model sees it, and a name to offer."""

    clip: Clip
    title: str


class InvertTab:
    """The widgets of the tab and what they do; `settings` holds those that change a preset, by name."""

    def __init__(self, studio: Studio):
        self.studio, self.library = studio, studio.library
        self.spec = studio.base
        self.sources: OrderedDict[str, Source] = OrderedDict()  # by job, outliving the page
        self.path = gr.State("")
        gr.HTML(f'<p class="lead">{WORDS["lead"]}</p>', padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self._choices()
            with gr.Column(scale=6, min_width=320):
                self._screen()

    def _choices(self) -> None:
        self.file = gr.File(label=WORDS["file"], file_types=KINDS, height=150, elem_id="invert-file")
        self.clips = components.cards(
            shelf.clip_cards(), empty=WORDS["no_clips"], row=True, elem_id="invert-clips"
        )
        longest = self.spec.frames / self.spec.fps
        self.trim = components.trim(longest, elem_id="invert-trim")
        self.prompt = gr.Textbox(
            "",
            label=WORDS["prompt"],
            placeholder=self.spec.sample_prompt,
            info=WORDS["prompt_info"],
            max_length=LONGEST,
        )
        names = [name for name in WORDS["presets"] if name in preset_names()]
        names += [name for name in preset_names() if name not in names]  # a user's own, under its file's name
        choices = [(WORDS["presets"].get(name, name), name) for name in names]
        self.preset = gr.Radio(choices, value=names[0], label=WORDS["preset"], elem_id="invert-preset")
        self.measured = gr.HTML(pictures.measured(names[0], self.spec.name), apply_default_css=False)
        usual = preset(names[0])
        with gr.Accordion(WORDS["more"], open=False), gr.Row():
            self.fit = gr.Radio(WORDS["fits"], value="crop", label=WORDS["fit"])
            self.settings: dict[str, Any] = {
                "steps": gr.Slider(5, 300, usual.steps, step=5, label=WORDS["steps"], min_width=200),
                "rank": gr.Slider(
                    1, 8, usual.rank, step=1, label=WORDS["rank"], info=WORDS["rank_info"], min_width=270
                ),
                "learning_rate": gr.Number(usual.learning_rate, label=WORDS["learning_rate"], min_width=120),
                "seed": gr.Number(usual.seed, label=WORDS["seed"], precision=0, minimum=0, min_width=120),
                "stop_at": gr.Slider(
                    0,
                    1,
                    usual.stop_at,
                    step=0.05,
                    label=WORDS["stop_at"],
                    info=WORDS["stop_at_info"],
                    min_width=270,
                ),
                "loss": gr.Radio(WORDS["losses"], value=usual.loss, label=WORDS["loss"]),
                "sites": gr.Radio(WORDS["sites_choices"], value=usual.sites, label=WORDS["sites"]),
            }
            with gr.Column(min_width=220):
                for name in ("shuffle_looks", "replay"):
                    self.settings[name] = gr.Checkbox(getattr(usual, name), label=WORDS[name])

    def _screen(self) -> None:
        self.player = components.player(*self._views(None), elem_id="invert-player")
        self.watch = work.Watch(self.studio.jobs, "invert")
        self.curve = gr.HTML(apply_default_css=False)
        with gr.Row():
            self.learn = gr.Button(WORDS["learn"], variant="primary", elem_id="invert-learn")
            self.keep = gr.Button(WORDS["keep"], visible=False, elem_id="invert-keep")
            self.cancel = gr.Button(WORDS["cancel"], visible=False, variant="stop")
        with gr.Column(visible=False, elem_id="invert-save") as self.saving:
            self.name = gr.Textbox(label=WORDS["name"], max_length=80)
            self.notes = gr.Textbox(
                label=WORDS["notes"], placeholder=WORDS["notes_placeholder"], lines=2, max_length=1000
            )
            with gr.Row():
                self.save = gr.Button(WORDS["save"], variant="primary")
                self.discard = gr.Button(WORDS["cancel"])
        self.back = gr.Button(WORDS["discarded"], size="sm", visible=False)
        self.play = gr.Button(WORDS["play"], visible=False, elem_id="invert-play")

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets; `saved` and `played` are for the page to go on from."""
        shown = [self.player, self.curve, self.learn, self.keep, self.saving, self.name]
        self.watch.wire(page.load, self.cancel, shown, self._show)
        picked = [self.path, self.trim, self.player, self.prompt, self.clips, self.file]
        self.file.upload(self._pick_theirs, [self.file, self.prompt], picked)
        self.file.clear(self._pick_none, None, picked, show_progress="hidden")
        self.clips.input(friendly(self._pick_ours), self.clips, picked, **work.LATEST)
        gr.on(
            [self.trim.input, self.fit.input],
            friendly(self._cut),
            [self.path, self.trim, self.fit],
            self.player,
            **work.LATEST,
        )
        self.preset.input(
            lambda name: [
                pictures.measured(name, self.spec.name),
                *(getattr(preset(name), key) for key in self.settings),
            ],
            self.preset,
            [self.measured, *self.settings.values()],
            **work.LATEST,
        )
        chosen = [self.path, self.file, self.clips]
        inputs = [*chosen, self.trim, self.prompt, self.preset, self.fit, *self.settings.values()]
        started = [*self.watch.outputs, self.player, self.curve, self.learn, self.keep, self.play, self.back]
        self.learn.click(friendly(self._learn), inputs, started, show_progress="hidden")
        self.keep.click(
            lambda job: self.studio.jobs.get(job).stop(), self.watch.id, None, show_progress="hidden"
        )
        self.motion = gr.State("")
        self.saved = self.save.click(
            friendly(self._save),
            [self.watch.id, self.name, self.notes],
            [self.motion, self.saving, self.play, self.learn, self.name, self.notes],
            show_progress="minimal",
        )
        left = [self.watch.id, self.saving, self.watch.progress, self.curve, self.learn]
        self.discarded = gr.State("")
        self.discard.click(
            self._discard, self.watch.id, [self.discarded, self.back, *left], show_progress="hidden"
        )
        again = [self.back, *self.watch.outputs, *shown]
        self.back.click(friendly(self._bring_back), self.discarded, again, show_progress="hidden")

    def _views(self, clip: Clip | None, sample: Clip | None = None) -> list[dict[str, Any]]:
        left = {"hint": WORDS["reference_hint"]} if clip is None else pictures.view(clip)
        right = {"hint": WORDS["sample_hint"]} if sample is None else pictures.view(sample)
        return [{**left, "label": WORDS["reference"]}, {**right, "label": WORDS["sample"]}]

    def _pick(self, path: str) -> tuple[Any, ...]:
        clip = read_clip(path)
        trim = gr.HTML(value=None, film=pictures.film(clip))
        return path, trim, components.playing(*self._views(self._fitted(clip, "crop")))

    def _pick_theirs(self, path: str, prompt: str) -> tuple[Any, ...]:
        """Updates of the clip, its caption and both ways to choose one, for a clip of the user's own."""
        try:
            ours = {shelf.caption(self.library, card["name"]) for card in shelf.clip_cards()}
            words = "" if prompt in ours else gr.skip()  # a sample's caption is not that of this clip
            return *self._pick(path), words, gr.HTML(value=""), gr.skip()
        except ClipError as error:  # or the clip of before would be learnt under this one's name
            gr.Warning(work.one_line(error))
            return self._pick_none()

    def _pick_none(self) -> tuple[Any, ...]:
        blank = gr.HTML(value=None, film=None), components.playing(*self._views(None))
        return "", *blank, gr.skip(), gr.HTML(value=""), None

    def _pick_ours(self, name: str) -> tuple[Any, ...]:
        path = shelf.clip_path(name)
        return *self._pick(str(path)), shelf.caption(self.library, name), gr.skip(), None

    def _cut(self, path: str, trim: dict[str, float] | None, how: str) -> Any:
        """An update of the player with the part of the clip that would be learnt."""
        if not path:
            return gr.skip()
        return components.playing(*self._views(self._part(path, trim, how)))

    def _part(self, path: str, trim: dict[str, float] | None, how: str) -> Clip:
        start, end = (trim["start"], trim["end"]) if trim else (0.0, None)
        return self._fitted(read_clip(path, start, end), how)

    def _fitted(self, clip: Clip, how: str) -> Clip:
        """A clip as the base model sees it."""
        size = (self.spec.frames, self.spec.height, self.spec.width)
        return fit(clip, *size, fps=self.spec.fps, how=how)

    def _learn(
        self,
        path: str,
        theirs: str | None,
        ours: str,
        trim: dict[str, float] | None,
        prompt: str,
        name: str,
        how: str,
        *values: Any,
    ) -> tuple[Any, ...]:
        chosen = theirs or (str(shelf.clip_path(ours)) if ours else "")
        if not chosen:
            raise InputError(WORDS["need_clip"])
        if chosen != path:  # or the clip of before would be learnt
            raise InputError(WORDS["still_read"])
        given = dict(zip(self.settings, values, strict=True))
        given |= {key: int(given[key] or 0) for key in WHOLE}
        settings = InversionSettings.from_json({**preset(name).to_json(), **given})
        clip = self._part(path, trim, how)
        title = pictures.title_of(Path(path))
        job = self.studio.invert(clip, settings, prompt.strip(), title)
        self.sources[job.id] = Source(clip, title)
        while len(self.sources) > KEPT:
            self.sources.popitem(last=False)
        player = components.playing(*self._views(clip))
        hidden = gr.Button(visible=False)
        return *self.watch.start(job), player, "", hidden, hidden, hidden, hidden

    def _show(self, job: Job) -> tuple[Any, ...]:
        """Updates of the player, the curve, the learn and keep buttons, and of what saves the motion."""
        source = self._source(job)
        sample = job.preview.clip if job.preview else None
        player = components.playing(*self._views(source.clip, sample)) if source else gr.skip()
        losses = [point.loss for point in job.losses]
        total = job.progress.total if job.progress else len(losses)
        curve = pictures.curve(losses, total, WORDS["curve"])
        done = job.result is not None
        name = source.title if source and done else gr.skip()
        learn = gr.Button(visible=not job.active and not done)
        learnt = bool(losses)  # of nothing, nothing is kept
        keep = gr.Button(visible=job.active and not job.ending and learnt)
        return player, curve, learn, keep, gr.Column(visible=done), name

    def _source(self, job: Job) -> Source | None:
        """What the job learns from; of one that ran before the studio was started anew, as it left it."""
        if job.id not in self.sources and (clip := self.studio.drafts.clip(job.id)):
            self.sources[job.id] = Source(self._fitted(clip, "crop"), job.title)
        return self.sources.get(job.id)

    def _save(self, job_id: str, name: str, notes: str) -> tuple[Any, ...]:
        job = self.studio.jobs.get(job_id) if job_id else None
        if job is None or job.result is None:
            raise InputError(WORDS["need_motion"])
        if not name.strip():
            raise InputError(WORDS["need_name"])
        source = self._source(job)
        entry = self.library.save(job.result, name, source and source.clip, notes.strip())
        self.studio.drafts.drop(job_id)
        gr.Info(WORDS["saved"].format(title=work.one_line(entry.title)))
        self.watch.done_with.add(job_id)
        shown = gr.Button(visible=True)
        return entry.name, gr.Column(visible=False), shown, shown, "", ""

    def _discard(self, job_id: str) -> tuple[Any, ...]:
        self.watch.done_with.add(job_id)
        back, learn = gr.Button(visible=True), gr.Button(visible=True)
        return job_id, back, "", gr.Column(visible=False), "", "", learn

    def _bring_back(self, job_id: str) -> tuple[Any, ...]:
        self.watch.done_with.discard(job_id)
        return gr.Button(visible=False), job_id, *self.watch.look(job_id, None)
