"""Mix: motions on tracks, bent and summed; drawn at once, previewed as one lets go, rendered, saved."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import gradio as gr

from motion_studio.errors import MotionStudioError
from motion_studio.motion.embedding import Motion
from motion_studio.studio.starter_mixes import StarterMix, starter_mixes
from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import TOGETHER
from motion_studio.ui import components, mix_desk, shelf, text, work
from motion_studio.ui.form import film_sliders
from motion_studio.ui.knobs import SLIDERS, TOGGLES, knobs
from motion_studio.ui.mix_desk import Desk
from motion_studio.ui.mix_screen import MixScreen, kept
from motion_studio.ui.work import friendly

WORDS = text.MIX
TURN = "history"
"""What changes of the desk take their turn by."""
# Drawing must not wait behind anything, and only the last of many slider positions counts.
LIVE: dict[str, Any] = {"show_progress": "hidden", "queue": False, "trigger_mode": "always_last"}


class MixTab:
    """The mixer: the desk lives in the timeline's value, `history` holds its earlier states."""

    def __init__(self, studio: Studio):
        self.studio, self.library = studio, studio.library
        self.spec = studio.base
        self.history = gr.State([mix_desk.empty(self.spec.frames)])
        self.kept = work.remembered("mix", None)
        gr.HTML(f'<p class="lead">{WORDS["lead"]}</p>', padding=False)
        with gr.Row(equal_height=False, elem_id="mix-screens"):
            with gr.Column(scale=3, min_width=260):
                self.stage = components.stage(elem_id="mix-stage")
            self.screen = MixScreen(studio)
        self._tracks()

    def _tracks(self) -> None:
        with gr.Row(elem_id="mix-bar", equal_height=True):
            gr.HTML(f"<h3>{WORDS['tracks']}</h3>", padding=False)
            self.together = gr.Dropdown(
                [(WORDS[f"together_{law}"], law) for law in reversed(TOGETHER)],
                value=mix_desk.empty(self.spec.frames)["together"],
                label=WORDS["together"],
                show_label=False,
                container=False,
                filterable=False,
                min_width=200,
                scale=0,
                elem_id="mix-together",
            )
            self.quick = gr.Checkbox(True, label=WORDS["quick"], container=False, min_width=190, scale=0)
            self.undo = gr.Button(WORDS["undo"], size="sm", scale=0, min_width=84)
            self.clear = gr.Button(WORDS["clear"], size="sm", scale=0, min_width=84)
        desk = mix_desk.empty(self.spec.frames)
        self.timeline = components.timeline(desk, shelf.titles(self.library), elem_id="mix-timeline")
        self.starters = starter_mixes(self.spec.name)
        with gr.Row(visible=bool(self.starters), elem_id="mix-starters") as self.begin:
            gr.HTML(f"<p>{WORDS['begin']}</p>", padding=False)
            self.begins = [gr.Button(one.title, size="sm", min_width=60, scale=0) for one in self.starters]
        with gr.Row(visible=False, elem_id="mix-knobs", equal_height=False) as self.bend:
            self.knobs = knobs()
        with gr.Column(elem_id="mix-film"):
            self.film = film_sliders()
        gr.HTML(f"<h3>{WORDS['add']}</h3>", padding=False)
        self.shelf = components.cards(
            self._cards(), empty=text.GENERATE["empty"], row=True, elem_id="mix-shelf"
        )

    def wire(self, page: gr.Blocks) -> None:
        """Connect the widgets. `settle` ends every change."""
        self.kept.render()
        drawn = [self.stage, self.begin, self.bend]
        self.faces = [*drawn, *self.knobs.values(), self.together, *self.film.values()]
        opened = page.load(
            self._open,
            self.kept,
            [self.history, self.shelf, self.timeline, self.screen.prompt, self.screen.seed, *self.faces],
            show_progress="hidden",
        )
        self.screen.wire(opened, self.timeline, self.kept, TURN)
        self.timeline.input(friendly(self._draw), self.timeline, self.stage, **LIVE)
        self.timeline.select(friendly(self._faces), self.timeline, self.faces, **LIVE)
        self.shown(self.timeline.release(**self._settling()))
        self._wire_knobs()
        gathered = self.together.input(
            lambda desk, value: {**desk, "together": value},
            [self.timeline, self.together],
            self.timeline,
            **LIVE,
        )
        moved = self.stage.release(friendly(self._lay), self.timeline, [self.timeline, self.stage], **LIVE)
        laid = [self.timeline, self.stage, self.shelf]
        added = self.shelf.input(friendly(self._add), [self.timeline, self.shelf], laid, **LIVE)
        undone = self.undo.click(
            self._undo,
            [self.timeline, self.history],
            [self.history, self.timeline, self.stage],
            show_progress="hidden",
            concurrency_id=TURN,  # after the changes that still settle
        )
        cleared = self.clear.click(self._clear, None, [self.timeline, self.stage], **LIVE)
        begun = [
            button.click(
                friendly(partial(self._begin, starter)),
                self.screen.prompt,
                [self.timeline, self.stage, self.screen.prompt, self.screen.seed],
                **LIVE,
            )
            for button, starter in zip(self.begins, self.starters, strict=True)
        ]
        self.settle(gathered, moved, added, undone, cleared, *begun)
        self.shown(gr.on([self.screen.prompt.submit, self.screen.seed.submit], **self._settling()))

    def settle(self, *changes: Any, preview: bool = True) -> None:
        """End changes of the desk: each is remembered for undo and kept, and all faces show it.

        It is previewed, too, but where a clip of it is on the player already.
        """
        for change in changes:
            self.shown(change.success(**self._settling(preview)))

    def shown(self, event: Any) -> None:
        """Have the faces show the desk after an event, as it is then: another track may be chosen by now."""
        event.success(friendly(self._faces), self.timeline, self.faces, **LIVE)

    def _settling(self, preview: bool = True) -> dict[str, Any]:
        """What an event that settles is given."""
        return {
            "fn": friendly(partial(self._settle, preview)),
            "inputs": [self.timeline, self.history, self.quick, *self.screen.asked],
            "outputs": [self.history, self.kept, *self.screen.watch.outputs],
            "show_progress": "hidden",
            "trigger_mode": "always_last",  # gradio drops what comes while it is busy, otherwise
            "concurrency_id": TURN,
        }

    def _wire_knobs(self) -> None:
        """A knob draws while it is turned, and settles as it is let go."""
        both = [self.timeline, self.stage]
        for key, knob in self.knobs.items():
            turn = friendly(partial(self._turn, key))
            turned = knob.input(turn, [self.timeline, knob], both, **LIVE)
            if key not in TOGGLES:
                turned = knob.release(turn, [self.timeline, knob], both, **LIVE)
            self.settle(turned)
        for key, slider in self.film.items():
            film = friendly(partial(self._film, key))
            slider.input(film, [self.timeline, slider], both, **LIVE)
            self.settle(slider.release(film, [self.timeline, slider], both, **LIVE))

    def shelves(self, desk: Desk) -> tuple[Any, Any]:
        """Updates of the shelf and the timeline with what is in the library now."""
        titles = shelf.titles(self.library)
        return gr.HTML(cards=self._cards()), gr.HTML(value=mix_desk.only(desk, titles), titles=titles)

    def _cards(self) -> list[dict[str, Any]]:
        return shelf.motion_cards(self.library, self.spec.name)

    def _open(self, kept: Any) -> tuple[Any, ...]:
        """Updates of the history, the shelf, the desk and the faces, as this browser left them."""
        prompt, seed = gr.skip(), gr.skip()
        with contextlib.suppress(MotionStudioError, TypeError, KeyError):  # of another version of the studio
            prompt, seed = str(kept["prompt"]), int(kept["seed"])
            desk = {
                **mix_desk.empty(self.spec.frames),
                **mix_desk.only(kept["desk"], shelf.titles(self.library)),
            }
            if desk["tracks"] and desk["frames"] == self.spec.frames:
                mix_desk.to_mix(desk)  # raises for what a desk cannot be
                # What was left is where undoing begins.
                return [desk], *self.shelves(desk), prompt, seed, *self._faces(desk)
        # The desk stays as it is: a first track may be laid by now.
        shelves = gr.HTML(cards=self._cards()), gr.HTML(titles=shelf.titles(self.library))
        return gr.skip(), *shelves, prompt, seed, *(gr.skip(),) * len(self.faces)

    def _load(self, name: str) -> Motion:
        return shelf.loader(self.library, name)

    def _draw(self, desk: Desk) -> Any:
        return gr.HTML(value=mix_desk.ways(desk, self._load))

    def _faces(self, desk: Desk) -> tuple[Any, ...]:
        """Updates of the stage and of the chosen track's knobs."""
        track = mix_desk.chosen(desk)
        values = [gr.skip() for _ in self.knobs] if track is None else [track[key] for key in self.knobs]
        film = [desk["film"][key] for key in self.film]
        empty = gr.Row(visible=bool(self.starters) and track is None)
        return self._draw(desk), empty, gr.Row(visible=track is not None), *values, desk["together"], *film

    def _turn(self, key: str, desk: Desk, value: Any) -> tuple[Any, Any]:
        desk = mix_desk.turned(desk, desk["selected"], **{key: value})
        return desk, self._draw(desk)

    def _film(self, key: str, desk: Desk, value: float) -> tuple[Any, Any]:
        desk = {**desk, "film": {**desk["film"], key: value}}
        return desk, self._draw(desk)

    def _lay(self, desk: Desk, event: gr.EventData) -> tuple[Desk, Any]:
        """Updates of the desk and the stage, on which a way was dragged or drawn."""
        if event.track >= len(desk["tracks"]):  # its motion was deleted since it was drawn
            return desk, self._draw(desk)
        track = desk["tracks"][event.track]
        if hasattr(event, "path"):
            desk = mix_desk.led(desk, event.track, event.path, self._load(track["motion"]).aspect)
        else:
            low, high, _ = SLIDERS["x"]
            moved = {
                key: round(min(high, max(low, track[key] + getattr(event, key))), 3) for key in ("x", "y")
            }
            desk = {**mix_desk.turned(desk, event.track, **moved), "selected": event.track}
        return desk, self._draw(desk)

    def _add(self, desk: Desk, motion: str) -> tuple[Any, ...]:
        """Updates of the timeline, the stage and the shelf, where no card stays chosen."""
        desk = mix_desk.add(desk, motion)
        timeline = gr.HTML(value=desk, titles=shelf.titles(self.library))
        return timeline, self._draw(desk), gr.HTML(value="")

    def _undo(self, desk: Desk, history: list[Desk]) -> tuple[Any, ...]:
        names = shelf.titles(self.library)
        history = mix_desk.without(history, names)
        before = mix_desk.remembered(history, mix_desk.only(desk, names))[:-1]
        if not before:
            gr.Info(WORDS["undone"])
            return history, gr.skip(), gr.skip()
        return before, before[-1], self._draw(before[-1])

    def _clear(self) -> tuple[Desk, Any]:
        desk = mix_desk.empty(self.spec.frames)
        return desk, self._draw(desk)

    def _begin(self, starter: StarterMix, prompt: str) -> tuple[Any, ...]:
        """Updates of the timeline, the stage, the prompt and the seed with a mix to begin with.

        Words of one's own stay, with their seed: nothing would bring them back.
        """
        titles = shelf.titles(self.library)
        desk = mix_desk.from_mix(starter.mix, {name: name for name in titles}, self.spec.frames, starter.film)
        ours = {"", self.spec.sample_prompt, *(one.settings.prompt for one in self.starters)}
        asked = starter.settings.prompt, starter.settings.seed
        asked = asked if prompt.strip() in ours else (gr.skip(), gr.skip())
        return gr.HTML(value=desk, titles=titles), self._draw(desk), *asked

    def _settle(
        self,
        preview: bool,
        desk: Desk,
        history: list[Desk],
        quick: bool,
        prompt: str,
        seed: float,
        shown: str,
        rendering: str,
    ) -> tuple[Any, ...]:
        watching: tuple[Any, ...] = (gr.skip(),) * len(self.screen.watch.outputs)
        if not preview:
            self.screen.end_preview(shown, rendering)
        elif quick:
            watching = self.screen.preview(desk, prompt, seed, shown, rendering)
        return mix_desk.remembered(history, desk), kept(desk, prompt, seed), *watching
