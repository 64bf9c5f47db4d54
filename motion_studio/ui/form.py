"""The settings of a generation as widgets, and what the widgets hold as settings."""

from __future__ import annotations

from typing import Any

import gradio as gr

from motion_studio.backbones.registry import BaseSpec
from motion_studio.errors import InputError
from motion_studio.settings import FILM, GenerationSettings
from motion_studio.studio.tracks import LONGEST
from motion_studio.ui import text

WORDS = text.GENERATE
WHOLE = ("seed", "steps")
FILM_SLIDERS = {
    "pan": (-1.0, 1.0, 0.05),
    "tilt": (-1.0, 1.0, 0.05),
    "zoom": (0.5, 2.0, 0.05),
    "roll": (-90.0, 90.0, 5.0),
}


def film_sliders() -> dict[str, gr.Slider]:
    """Lay out the camera that films, folded away, and return its sliders by the names of their settings."""
    sliders = {}
    with gr.Accordion(WORDS["film"], open=False), gr.Row():
        for name, (low, high, step) in FILM_SLIDERS.items():
            words = {"label": WORDS[name], "info": WORDS[f"{name}_info"]}
            sliders[name] = gr.Slider(low, high, FILM[name], step=step, min_width=200, **words)
    return sliders


class Form:
    """The widgets that make a GenerationSettings, in `widgets` by the setting's name; `dice` draws a seed.

    Built in two calls, since the page puts the motions between the prompt and the rest.
    """

    def __init__(self, spec: BaseSpec):
        self.spec = spec
        self.widgets: dict[str, Any] = {}

    def prompt(self) -> None:
        """Lay out the prompt."""
        sample = self.spec.sample_prompt
        self.widgets["prompt"] = gr.Textbox(
            sample, label=WORDS["prompt"], placeholder=sample, max_length=LONGEST
        )

    def rest(self) -> None:
        """Lay out strength and seed, and what is seldom changed behind a fold."""
        widgets = self.widgets
        with gr.Row():
            widgets["strength"] = gr.Slider(
                -1, 1.5, 1.0, step=0.05, label=WORDS["strength"], info=WORDS["strength_info"], scale=3
            )
            with gr.Column(scale=1, min_width=110):
                widgets["seed"] = gr.Number(0, label=WORDS["seed"], precision=0, minimum=0)
                self.dice = gr.Button(WORDS["dice"], size="sm")
        widgets |= film_sliders()
        with gr.Accordion(WORDS["more"], open=False):
            with gr.Row():
                self._share("guide_until")
                self._share("play_until")
            kinds = WORDS["motion_types"]
            widgets["motion_type"] = gr.Radio(kinds, value="hybrid", label=WORDS["motion_type"])
            looks = WORDS["looks_choices"]
            widgets["looks"] = gr.Dropdown(looks, value="auto", label=WORDS["looks"])
            with gr.Row():
                self._slider("steps", 4, 50, self.spec.steps, 1)
                self._slider("guidance", 1, 12, self.spec.guidance, 0.5)
            with gr.Row():
                self._share("sync_until")
                self._slider("carry", 0, 1, 1, 0.05)
            self._slider("noise_prior", 0, 1, 0, 0.05)
            widgets["negative_prompt"] = gr.Textbox("", label=WORDS["negative"], max_length=LONGEST)

    def _share(self, name: str) -> None:
        self._slider(name, 0, 1, getattr(self.spec, name), 0.05)

    def _slider(self, name: str, low: float, high: float, value: float, step: float) -> None:
        info = WORDS.get(f"{name}_info")
        self.widgets[name] = gr.Slider(
            low, high, value, step=step, label=WORDS[name], info=info, min_width=140
        )

    def read(self, values: tuple[Any, ...]) -> GenerationSettings:
        """The settings of the widgets' values. Raises InputError without a prompt, SettingsError."""
        given = dict(zip(self.widgets, values, strict=True))
        if not given["prompt"].strip():
            raise InputError(WORDS["need_prompt"])
        given |= {name: int(given[name] or 0) for name in WHOLE}
        return GenerationSettings(**given)

    def shown(self, settings: GenerationSettings) -> list[Any]:
        """The settings' values as the page's sliders can show them; says which it cannot."""
        values, clamped = [], []
        for name, widget in self.widgets.items():
            value = given = getattr(settings, name)
            if isinstance(widget, gr.Slider):
                value = min(max(given, widget.minimum), widget.maximum)
            clamped += [widget.label] if value != given else []
            values.append(value)
        if clamped:
            gr.Warning(WORDS["clamped"].format(names=", ".join(clamped)))
        return values
