"""The page's own components: a `gr.HTML` with a skeleton here and its behaviour in a `.js` file beside.

Each draws itself from its value and props, and tells of the user's doing by `input` (while it is dragged),
`release` (as it is let go) and `select`. They share one clock, so that all that moves moves together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from motion_studio.studio.tracks import LONGEST
from motion_studio.ui import text

FOLDER = Path(__file__).parent


def head() -> str:
    """For the `head` of the page: what components share, the mixer's desk, and the keys."""
    words = json.dumps({key: text.MIX[key] for key in ("undo", "redo")})
    keys = f"{{\nconst words = {words};\n{script('keys')}}}"
    return f"<script>{script('studio')}\n{script('desk')}\n{keys}</script>"


def script(name: str) -> str:
    """The JavaScript of a component."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def player(*views: dict[str, Any], keeps: bool = False, **kwargs: Any) -> gr.HTML:
    """Clips side by side in step; value: `playing(...)`. If it `keeps`, the last can stay beside the next."""
    skeleton = '<div class="player"><div class="views"></div><div class="transport"></div></div>'
    return _component("player", skeleton, playing(*views), {**text.PLAYER, "keeps": keeps}, **kwargs)


def playing(*views: dict[str, Any]) -> dict[str, Any]:
    """What the player plays: each view a `pictures.view`, or a {hint} in its place, and a label."""
    seconds = [view["seconds"] for view in views if "seconds" in view]
    return {"views": list(views), "seconds": seconds[0] if seconds else None}


def cards(
    cards: list[dict[str, Any]], value: str = "", empty: str = "", row: bool = False, **kwargs: Any
) -> gr.HTML:
    """Pictures to choose one from, in rows or one row; value: the chosen one's name, the prop `cards` all."""
    skeleton = f'<div class="cards{" row" * row}"></div>'
    return _component("cards", skeleton, value, {"empty": empty}, cards=cards, **kwargs)


def trim(longest: float = 0, **kwargs: Any) -> gr.HTML:
    """A film strip with two handles, `longest` seconds apart at most (0: as far as one likes).

    value: {start, end} in seconds, None for the longest from the start; prop `film` a `pictures.film`.
    """
    words = {**text.TRIM, "longest": longest}
    return _component("trim", '<div class="trim"></div>', None, words, film=None, **kwargs)


def dial(label: str, value: float = 0, **kwargs: Any) -> gr.HTML:
    """A dial; value: degrees clockwise, -180 to 180."""
    skeleton = f'<div class="dial"><span>{label}</span><div class="face"></div></div>'
    return _component("dial", skeleton, value, {"label": label}, **kwargs)


def stage(**kwargs: Any) -> gr.HTML:
    """The drawn ways of the tracks and of the mix; value: `mix_desk.ways`."""
    canvas = f'<div class="stage"></div><p class="hint">{text.STAGE["empty"]}</p>'
    skeleton = f'<div class="canvas">{canvas}</div><div class="pen"></div>'
    return _component("stage", skeleton, None, text.STAGE, **kwargs)


def timeline(
    value: dict[str, Any], titles: dict[str, str], track: dict[str, Any], most: int, **kwargs: Any
) -> gr.HTML:
    """The tracks with their words, weights and bars in time; value: the desk; `titles`: their names.

    `track`: what a new one begins with; `most`: how many there may be. Other widgets change the desk by
    `on_desk(...)`.
    """
    words = {**text.TIMELINE, "longest": LONGEST, "track": track, "most": most}
    return _component("timeline", '<div class="timeline"></div>', value, words, titles=titles, **kwargs)


def on_desk(*calls: str) -> str:
    """The JavaScript of an event that calls the page's `desk` (desk.js) with the widget's `value`."""
    *first, last = calls
    before = "".join(f"{call}; " for call in first)
    return f"(value) => {{ const desk = window.motionStudio.desk; {before}return {last}; }}"


def _component(name: str, skeleton: str, value: Any, words: dict[str, Any], **props: Any) -> gr.HTML:
    # The words are in the script, since an update of one prop takes the place of all.
    return gr.HTML(
        value,
        html_template=skeleton,
        js_on_load=f"const words = {json.dumps(words)};\n{script(name)}",
        apply_default_css=False,
        elem_classes=["studio"],
        **props,
    )
