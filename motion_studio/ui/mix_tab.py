"""Mix: motions on tracks, bent and summed; drawn at once, previewed as one lets go, rendered, saved."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import Any

import gradio as gr

from motion_studio.errors import InputError, MotionStudioError
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
TURN = "desk"
"""What changes of the desk take their turn by."""
LIVE: dict[str, Any] = {**work.LATEST, "queue": False}
"""Of events that must not wait behind anything."""
HERE: dict[str, Any] = {"fn": None, "show_progress": "hidden", "trigger_mode": "multiple"}
"""Of events that the browser answers itself."""


class MixTab:
    """The mixer: the desk lives in the timeline's value, `history` holds its earlier states.

    Knobs and cards change it in the browser, so that no answer from here can be late. The timeline tells of
    any other desk, whoever made it: one event then draws it, one has the knobs show it, in turn.
    """

    def __init__(self, studio: Studio):
        self.studio, self.library = studio, studio.library
        self.spec = studio.base
        self.kept = work.remembered("mix", None, self.spec.name)
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
            self.redo = gr.Button(WORDS["redo"], size="sm", scale=0, min_width=84)
            self.clear = gr.Button(WORDS["clear"], size="sm", scale=0, min_width=84)
        desk = mix_desk.empty(self.spec.frames)
        self.timeline = components.timeline(
            desk,
            shelf.titles(self.library, self.spec.name),
            {**mix_desk.PLACE, **mix_desk.KNOBS},
            mix_desk.MAX_TRACKS,
            elem_id="mix-timeline",
        )
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
        """Connect the widgets. `settle` ends every change that is made here."""
        self.kept.render()
        opened = page.load(
            self._open,
            self.kept,
            [self.shelf, self.timeline, self.screen.prompt, self.screen.seed],
            show_progress="hidden",
        )
        self.screen.wire(opened, self.timeline, self.kept, TURN)
        drawn = [self.stage, self.begin, self.bend]
        self.timeline.input(friendly(self._draw), self.timeline, drawn, **LIVE)
        self.timeline.release(**self._settling())
        self._wire_knobs()
        moved = self.stage.release(friendly(self._lay), self.timeline, self.timeline, **LIVE)
        cleared = self.clear.click(lambda: mix_desk.empty(self.spec.frames), None, self.timeline, **LIVE)
        begun = [
            button.click(
                friendly(partial(self._begin, starter)),
                self.screen.prompt,
                [self.timeline, self.screen.prompt, self.screen.seed],
                **LIVE,
            )
            for button, starter in zip(self.begins, self.starters, strict=True)
        ]
        self.settle(moved, cleared, *begun)
        gr.on([self.screen.prompt.submit, self.screen.seed.submit], **self._settling())

    def settle(self, *changes: Any, preview: bool = True) -> None:
        """End changes of the desk: the browser keeps it.

        It is previewed, too, but where a clip of it is on the player already.
        """
        for change in changes:
            change.success(**self._settling(preview))

    def _settling(self, preview: bool = True) -> dict[str, Any]:
        """What an event that settles is given."""
        return {
            "fn": friendly(partial(self._settle, preview)),
            "inputs": [self.timeline, self.quick, *self.screen.asked],
            "outputs": [self.kept, *self.screen.watch.outputs],
            "concurrency_id": TURN,
            **work.LATEST,
        }

    def _wire_knobs(self) -> None:
        """Have the browser bend a track as a knob is turned, settle as it is let go, lay what is clicked."""
        on_desk, settles = components.on_desk, "desk.release()"
        faces = [*self.knobs.values(), self.together, *self.film.values()]
        shown = on_desk(f"desk.shown({json.dumps(list(self.knobs))}, {json.dumps(list(self.film))})")
        self.timeline.select(js=shown, outputs=faces, **HERE)
        does = [(knob, "turn", key) for key, knob in self.knobs.items()]
        does += [(slider, "film", key) for key, slider in self.film.items()]
        for widget, what, key in [*does, (self.together, "set", "together")]:
            within = f", {widget.minimum}, {widget.maximum}" if isinstance(widget, gr.Slider) else ""
            call = f"desk.{what}('{key}', value{within})"
            if key in TOGGLES or what == "set":
                widget.input(js=on_desk(call, settles), inputs=widget, **HERE)
            else:
                widget.input(js=on_desk(call), inputs=widget, **HERE)
                widget.release(js=on_desk(call, settles), inputs=widget, **HERE)
        laid = {**HERE, "fn": friendly(self._laid)}
        self.shelf.input(js=on_desk("desk.add(value)"), inputs=self.shelf, outputs=self.shelf, **laid)
        for button, call, words in ((self.undo, "undo", "undone"), (self.redo, "redo", "redone")):
            told = {**HERE, "fn": partial(self._told, WORDS[words])}
            button.click(js=on_desk(f"desk.{call}()"), inputs=button, **told)

    def shelves(self, desk: Desk) -> tuple[Any, Any]:
        """Updates of the shelf and the timeline with what is in the library now."""
        titles = shelf.titles(self.library, self.spec.name)
        return gr.HTML(cards=self._cards()), gr.HTML(value=mix_desk.only(desk, titles), titles=titles)

    def _cards(self) -> list[dict[str, Any]]:
        return shelf.motion_cards(self.library, self.spec.name)

    def _open(self, kept: Any) -> tuple[Any, ...]:
        """Updates of the shelf, the desk, the prompt and the seed, as this browser left them."""
        prompt, seed = gr.skip(), gr.skip()
        with contextlib.suppress(MotionStudioError, TypeError, KeyError):  # of another version of the studio
            prompt, seed = str(kept["prompt"]), int(kept["seed"])
            desk = {
                **mix_desk.empty(self.spec.frames),
                **mix_desk.only(kept["desk"], shelf.titles(self.library, self.spec.name)),
            }
            if desk["tracks"] and desk["frames"] == self.spec.frames:
                mix_desk.to_mix(desk)  # raises for what a desk cannot be
                # Nothing that was done on this page since it began to open is in it yet.
                return *self.shelves({**desk, "opened": True, "done": 0}), prompt, seed
        # The desk stays as it is: a first track may be laid by now.
        shelves = gr.HTML(cards=self._cards()), gr.HTML(titles=shelf.titles(self.library, self.spec.name))
        return *shelves, prompt, seed

    def _load(self, name: str) -> Motion:
        return shelf.loader(self.library, name)

    def _draw(self, desk: Desk) -> tuple[Any, ...]:
        """Updates of the stage, and of the rows that are there without tracks and with them."""
        laid = bool(desk["tracks"])
        empty = gr.Row(visible=bool(self.starters) and not laid)
        return gr.HTML(value=mix_desk.ways(desk, self._load)), empty, gr.Row(visible=laid)

    def _lay(self, desk: Desk, event: gr.EventData) -> Desk:
        """The desk, of which a way was dragged or drawn on the stage."""
        if event.track >= len(desk["tracks"]):  # its motion was deleted since it was drawn
            return desk
        track = desk["tracks"][event.track]
        if hasattr(event, "path"):
            return mix_desk.led(desk, event.track, event.path, self._load(track["motion"]).aspect)
        low, high, _ = SLIDERS["x"]
        moved = {key: round(min(high, max(low, track[key] + getattr(event, key))), 3) for key in ("x", "y")}
        return {**mix_desk.turned(desk, event.track, **moved), "selected": event.track}

    def _laid(self, fits: bool) -> str:
        """The shelf's value after a card was laid: none stays chosen."""
        if not fits:
            raise InputError(WORDS["full"].format(most=mix_desk.MAX_TRACKS))
        return ""

    def _told(self, otherwise: str, done: bool) -> None:
        if not done:
            gr.Info(otherwise)

    def _begin(self, starter: StarterMix, prompt: str) -> tuple[Any, ...]:
        """Updates of the timeline, the prompt and the seed with a mix to begin with.

        Words of one's own stay, with their seed: nothing would bring them back.
        """
        titles = shelf.titles(self.library, self.spec.name)
        desk = mix_desk.from_mix(starter.mix, {name: name for name in titles}, self.spec.frames, starter.film)
        ours = {"", self.spec.sample_prompt, *(one.settings.prompt for one in self.starters)}
        asked = starter.settings.prompt, starter.settings.seed
        asked = asked if prompt.strip() in ours else (gr.skip(), gr.skip())
        return gr.HTML(value=desk, titles=titles), *asked

    def _settle(
        self,
        preview: bool,
        desk: Desk,
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
        return kept(desk, prompt, seed), *watching
