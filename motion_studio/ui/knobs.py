"""What bends the chosen track of the mixer: a dial, switches and sliders."""

from __future__ import annotations

from typing import Any

import gradio as gr

from motion_studio.ui import components, text
from motion_studio.ui.mix_desk import KNOBS

WORDS = text.MIX
SLIDERS = {
    "speed": (-2.0, 3.0, 0.05),
    "amplitude": (0.0, 2.0, 0.05),
    "zoom": (0.5, 2.0, 0.05),
    "x": (-0.5, 0.5, 0.01),
    "y": (-0.5, 0.5, 0.01),
}
TOGGLES = ("reverse", "mirror_x", "mirror_y")


def knobs() -> dict[str, Any]:
    """The widgets by what they set of a track."""
    with gr.Column(min_width=120, scale=2):
        dial = components.dial(WORDS["turn"], elem_id="mix-turn")
    toggles, sliders = {}, {}
    for column in (("mirror_x", "mirror_y"), ("speed", "reverse"), ("amplitude", "zoom"), ("x", "y")):
        with gr.Column(min_width=150, scale=2 if column[0] in TOGGLES else 3):
            for key in column:
                if key in TOGGLES:
                    toggles[key] = gr.Checkbox(False, label=WORDS[key], container=False)
                else:
                    sliders[key] = _slider(key)
    return {"turn": dial, **toggles, **sliders}


def _slider(key: str) -> gr.Slider:
    low, high, step = SLIDERS[key]
    return gr.Slider(low, high, KNOBS[key], step=step, label=WORDS[key])
