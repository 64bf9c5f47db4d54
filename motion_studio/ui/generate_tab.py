"""Generate: a prompt and a motion become a clip, shown beside the motion's reference."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import gradio as gr

from motion_studio.backbones.registry import unsized
from motion_studio.errors import InputError, MotionStudioError
from motion_studio.settings import FILM, GenerationSettings
from motion_studio.studio.jobs import Job
from motion_studio.studio.motion_file import read_motion
from motion_studio.studio.render import Recipe
from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import Mix, Track
from motion_studio.ui import components, mix_desk, pictures, shelf, sweep_panel, text, work
from motion_studio.ui.form import Form
from motion_studio.ui.mix_tab import MixTab
from motion_studio.ui.sweep_panel import SweepPanel
from motion_studio.ui.work import friendly
from motion_studio.video.files import read_recipe
from motion_studio.video.reading import read_clip

WORDS = text.GENERATE
FREE_SEEDS = 10**6
PREVIEW_EVERY = 3


class GenerateTab:
    """The widgets and what they do: a form of settings, the motions, the screen they are played on."""

    def __init__(self, studio: Studio):
        self.studio, self.library = studio, studio.library
        self.spec = studio.base
        self.form = Form(studio.base)
        self.motions: dict[str, str] = {}  # of the jobs that this page started
        gr.HTML(f'<p class="lead">{WORDS["lead"]}</p>', padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self._choices()
            with gr.Column(scale=6, min_width=320):
                self._screen()

    def _choices(self) -> None:
        self.form.prompt()
        self.motion = components.cards(self._cards(), self._first(), elem_id="generate-motions")
        self.form.rest()
        self.sweep = SweepPanel(self.spec.name)

    def _screen(self) -> None:
        self.player = components.player(*self._views(self._first()), keeps=True, elem_id="generate-player")
        self.watch = work.Watch(self.studio.jobs, "generate")
        self.carried = gr.HTML(apply_default_css=False)
        with gr.Row():
            self.start = gr.Button(WORDS["generate"], variant="primary", elem_id="generate-start")
            self.cancel = gr.Button(WORDS["cancel"], visible=False)
            self.download = gr.DownloadButton(WORDS["download"], visible=False)
            self.picture = gr.DownloadButton(text.SWEEP["picture"], visible=False)
        with gr.Accordion(WORDS["about"], open=False):
            self.about = gr.HTML(apply_default_css=False)
            with gr.Row():
                self.delete = gr.Button(WORDS["delete"], size="sm", visible=False)
                self.undelete = gr.Button(size="sm", visible=False)
                self.file = gr.DownloadButton(WORDS["file"], size="sm", visible=False)
        with gr.Accordion(WORDS["recent"], open=False) as self.unfold:
            self.recent = components.cards([], empty=WORDS["no_recent"], row=True)
        kinds = [".mp4", ".safetensors"]
        self.drop = gr.File(label=WORDS["restore"], file_types=kinds, height=150, elem_id="restore")

    def wire(self, page: gr.Blocks, tabs: gr.Tabs, mix: MixTab) -> None:
        """Connect the widgets; a render of a mix comes back on the mixer."""
        chosen = [self.player, self.carried, self.download, self.picture, self.about, self.delete, self.file]
        widgets = list(self.form.widgets.values())
        self.in_hand = [self.motion, *chosen]
        quiet: dict[str, Any] = {"show_progress": "hidden"}
        kept = work.remembered("generate", None, self.spec.name).render()
        last = [*self.in_hand, self.undelete, *widgets]
        opened = page.load(self._open, [kept, self.motion], last, **quiet)
        starts = [self.start, self.sweep.start]
        shown = [self.player, self.carried, *starts, self.download, self.picture, self.recent]
        self.watch.wire(opened.then, self.cancel, shown, self._show)
        begun = [*self.watch.outputs, self.player, self.carried, *starts, kept]
        gr.on(
            [self.start.click, self.form.widgets["prompt"].submit],
            friendly(self._start),
            [self.watch.seen, self.motion, *widgets],
            begun,
            **quiet,
        )
        asked = [self.sweep.name, self.sweep.values, self.motion, *widgets]
        self.sweep.start.click(friendly(self._start_sweep), asked, begun, **quiet)
        self.form.dice.click(lambda: random.randrange(FREE_SEEDS), None, self.form.widgets["seed"], **quiet)
        self.motion.input(friendly(self._choose), self.motion, chosen, **work.LATEST)
        # As it unfolds: gradio loses what is sent to a fold that is shut.
        self.unfold.expand(self.renders, None, self.recent, **quiet)
        bin_ = [self.undelete, *self.in_hand]
        for button, act in ((self.delete, self._delete), (self.undelete, self._undelete)):
            changed = button.click(friendly(act), self.motion, bin_, **quiet)
            changed.success(mix.shelves, mix.timeline, [mix.shelf, mix.timeline], **quiet)
        screen = mix.screen
        self.on_mixer = [mix.timeline, screen.prompt, screen.seed, screen.player, screen.download]
        restored = [tabs, *self.on_mixer, *self.in_hand, *widgets]
        # Progress shows: each motion's file is read, and the video too.
        reopened = self.recent.input(
            friendly(self._reopen), self.recent, restored, trigger_mode="always_last"
        )
        dropped = self.drop.upload(friendly(self._dropped), self.drop, restored)
        listed = dropped.success(mix.shelves, mix.timeline, [mix.shelf, mix.timeline], **quiet)
        mix.settle(reopened, listed, preview=False)
        for ended in (dropped.success, dropped.failure):  # it takes no other file while it holds one
            ended(lambda: None, None, self.drop, **quiet)

    def play(self, motion: str) -> tuple[Any, ...]:
        """Updates of what is `in_hand`: the cards, the player and the facts of a motion."""
        return gr.HTML(value=motion, cards=self._cards()), *self._choose(motion)

    def _open(self, kept: Any, motion: str) -> tuple[Any, ...]:
        """Updates of what is in hand and of the settings, as this browser left them when it made its last."""
        values: list[Any] = [gr.skip() for _ in self.form.widgets]
        wanted = motion or self._first()  # there may be one since the page was built
        with contextlib.suppress(MotionStudioError, TypeError, KeyError):  # of another version of the studio
            values = self.form.shown(GenerationSettings.from_json(kept["settings"]))
            wanted = str(kept["motion"])
        cards = self._cards()
        wanted = wanted if wanted in [card["name"] for card in cards] else self._first()
        if wanted == motion:  # which stays as it is: another may be chosen by now
            in_hand: tuple[Any, ...] = (gr.HTML(cards=cards), *(gr.skip(),) * (len(self.in_hand) - 1))
        else:
            in_hand = self.play(wanted)
        return *in_hand, self._bin(), *values

    def cards(self) -> Any:
        """An update of the cards with what is in the library now."""
        return gr.HTML(cards=self._cards())

    def _first(self) -> str:
        return shelf.first(self.library, self.spec.name)

    def _cards(self) -> list[dict[str, Any]]:
        none = {"name": "", "title": WORDS["no_motion"], "note": WORDS["no_motion_note"], "mark": "∅"}
        return [*shelf.motion_cards(self.library, self.spec.name), none]

    def renders(self) -> Any:
        """An update of the recent renders."""
        return gr.HTML(cards=shelf.render_cards(self.library), value="")

    def _views(self, motion: str, result: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        right = {**(result or {"hint": WORDS["result_hint"]}), "label": WORDS["result"]}
        return [*self._reference(motion), right]

    def _reference(self, motion: str) -> list[dict[str, Any]]:
        if not motion:
            return []
        view = shelf.reference_view(self.library, motion)
        return [{**view, "label": WORDS["reference"], "reference": True}]

    def _choose(self, motion: str) -> tuple[Any, ...]:
        return self._with(motion, None, None)

    def _with(self, motion: str, made: dict[str, Any] | None, file: str | None) -> tuple[Any, ...]:
        """Updates of the player, the figures and the download, and of what is known of the motion."""
        entry = self.library.entry(motion) if motion else None
        return (
            components.playing(*self._views(motion, made)),
            "",
            gr.DownloadButton(value=file, visible=file is not None),
            gr.DownloadButton(visible=False),
            shelf.about(entry),
            gr.Button(visible=entry is not None and not entry.starter),
            gr.DownloadButton(value=entry and str(entry.path), visible=entry is not None),
        )

    def _start(self, seen: Any, motion: str, *values: Any) -> tuple[Any, ...]:
        if self.watch.active(seen):  # Enter in the prompt needs no button
            raise InputError(WORDS["busy"])
        settings = self.form.read(values)
        if settings.noise_prior and not motion:
            raise InputError(WORDS["prior_alone"])
        mix = Mix((Track(motion),)) if motion else None
        reference = shelf.reference(self.library, motion) if motion and settings.noise_prior else None
        job = self.studio.generate(settings, mix, reference, preview_every=PREVIEW_EVERY)
        return self._begun(job, motion, settings, self._views(motion))

    def _start_sweep(self, name: str, texts: str, motion: str, *values: Any) -> tuple[Any, ...]:
        settings = self.form.read(values)
        many = self.sweep.read(name, texts, settings)
        mix = Mix((Track(motion),)) if motion else None
        reference = shelf.reference(self.library, motion) if motion else None
        job = self.studio.sweep(name, many, mix, reference, PREVIEW_EVERY)
        self.sweep.began(job, name, many)
        return self._begun(job, motion, settings, self._reference(motion) + self.sweep.views(job))

    def _begun(
        self, job: Job, motion: str, settings: GenerationSettings, views: list[dict[str, Any]]
    ) -> tuple[Any, ...]:
        self.motions[job.id] = motion
        kept = {"motion": motion, "settings": settings.to_json()}
        hidden = gr.Button(visible=False)
        return *self.watch.start(job), components.playing(*views), "", hidden, hidden, kept

    def _show(self, job: Job) -> tuple[Any, ...]:
        """Updates of the player, the figures, the start buttons, the downloads and the recent renders."""
        ready, motion = gr.Button(visible=not job.active), self.motions.get(job.id, "")
        hidden = gr.DownloadButton(visible=False)
        if job.kind == "sweep":
            player = components.playing(*self._reference(motion), *self.sweep.views(job))
        elif job.result is not None or job.preview is not None:
            clip = (job.result or job.preview).clip
            player = components.playing(*self._views(motion, pictures.view(clip)))
        else:
            player = gr.skip()
        if job.result is None:
            left = gr.skip() if job.active or job.kind != "sweep" else self.renders()
            return player, "", ready, ready, hidden, hidden, left
        file = gr.DownloadButton(value=str(job.result.path), visible=True)
        if job.kind == "sweep":
            picture = gr.DownloadButton(value=str(job.result.path.with_suffix(".png")), visible=True)
            table = sweep_panel.table(self.library, motion, job.result)
            return player, table, ready, ready, file, picture, self.renders()
        carried = shelf.carried(self.library, motion, job.result)
        return player, carried, ready, ready, file, hidden, self.renders()

    def _delete(self, motion: str) -> tuple[Any, ...]:
        title = self.library.entry(motion).title
        self.library.delete(motion)
        gr.Info(WORDS["deleted"].format(title=work.one_line(title)))
        return self._bin(), *self.play(self._first())

    def _undelete(self, motion: str) -> tuple[Any, ...]:
        """Updates of the button and of what is in hand, with the motion that was deleted last."""
        trash = self.library.trash(self.spec.name)
        name = self.library.restore(trash[0]).name if trash else motion
        return self._bin(), *self.play(name)

    def _bin(self) -> Any:
        trash = self.library.trash(self.spec.name)
        return gr.Button(WORDS["undelete"].format(name=trash[0]) if trash else "", visible=bool(trash))

    def _dropped(self, path: str) -> tuple[Any, ...]:
        if not path.endswith(".safetensors"):
            return self._restore(path)
        motion = read_motion(path)
        if motion.info.base not in ("", self.spec.name):
            raise InputError(WORDS["wrong_base"].format(base=motion.info.base, own=self.spec.name))
        entry = self.library.save(motion, motion.info.title or pictures.title_of(Path(path)))
        gr.Info(WORDS["added"].format(title=work.one_line(entry.title)))
        settings = (gr.skip(),) * len(self.form.widgets)
        return gr.skip(), *(gr.skip(),) * len(self.on_mixer), *self.play(entry.name), *settings

    def _reopen(self, name: str) -> tuple[Any, ...]:
        path = shelf.render_path(self.library, name)
        if path is None:
            raise InputError(WORDS["recent_gone"])
        return self._restore(str(path))

    def _restore(self, path: str) -> tuple[Any, ...]:
        """Updates of the tabs, of the mixer, of what is in hand and of the settings."""
        values = read_recipe(Path(path))
        if values is None:
            raise InputError(WORDS["no_recipe"])
        recipe = Recipe.from_json(values)
        names, settings = self._ours(recipe)
        made = pictures.view(read_clip(path))
        if recipe.mix is not None and not mix_desk.plain(recipe.mix):
            film = {key: getattr(settings, key) for key in FILM}
            desk = mix_desk.from_mix(recipe.mix, names, self.spec.frames, film)
            timeline = gr.HTML(value=desk, titles=shelf.titles(self.library, self.spec.name))
            player = components.playing({**made, "label": text.MIX["rendered"]})
            download = gr.DownloadButton(value=path, visible=True)
            mixer = timeline, settings.prompt, settings.seed, player, download
            skipped = (gr.skip(),) * (len(self.in_hand) + len(self.form.widgets))
            return gr.Tabs(selected="mix"), *mixer, *skipped
        motion = names.get(recipe.mix.tracks[0].motion, "") if recipe.mix else ""
        in_hand = gr.HTML(value=motion, cards=self._cards()), *self._with(motion, made, path)
        mixer = (gr.skip(),) * len(self.on_mixer)
        return gr.Tabs(selected="generate"), *mixer, *in_hand, *self.form.shown(settings)

    def _ours(self, recipe: Recipe) -> tuple[dict[str, str], GenerationSettings]:
        """The present names of a recipe's motions, and its settings, as far as they are of this base."""
        found = {name: self.library.find(wanted) for name, wanted in recipe.motions.items()}
        names = {
            name: entry.name for name, entry in found.items() if entry and shelf.fits(entry, self.spec.name)
        }
        own, settings = self.spec.name + self.spec.resized, recipe.settings
        if missing := [name for name, entry in found.items() if entry is None]:
            gr.Warning(WORDS["motion_missing"].format(names=work.one_line(", ".join(missing))))
        elif recipe.base == own:
            gr.Info(WORDS["restored"])
        if recipe.base != own:
            gr.Warning(WORDS["other_base"].format(base=work.one_line(recipe.base), own=own))
        if unsized(recipe.base) != self.spec.name:  # whose own steps, guidance and so on suit it
            kept = {name: getattr(settings, name) for name in ("negative_prompt", "seed", *FILM)}
            settings = self.spec.generation(settings.prompt, **kept)
        return names, settings
