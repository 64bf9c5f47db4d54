"""The page: masthead, tabs, and how it is served."""

from __future__ import annotations

import logging
import threading
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from motion_studio.errors import MotionStudioError
from motion_studio.studio.studio import DEFAULT_BASE, Studio
from motion_studio.ui import components, text, theme, work
from motion_studio.ui.generate_tab import GenerateTab
from motion_studio.ui.invert_tab import InvertTab
from motion_studio.ui.mix_tab import MixTab

log = logging.getLogger(__name__)

STYLE = Path(__file__).with_name("style.css")
# A ball in flight, as a strobe light would show it.
FLIGHT = [(6 + 10.5 * n, 34 - 26 * (1 - (n / 3 - 1) ** 2), 0.15 + 0.14 * n) for n in range(7)]
MARK = "".join(f'<circle cx="{x}" cy="{y:.1f}" r="5" opacity="{light:.2f}"/>' for x, y, light in FLIGHT)
MASTHEAD = (
    f'<header class="masthead"><svg viewBox="0 0 74 40" fill="currentColor" aria-hidden="true">{MARK}</svg>'
    f"<div><h1>{text.TITLE}</h1><p>{text.TAGLINE}</p></div>{{base}}</header>"
)


class Warmth:
    """Loads the base model in the background as the studio opens, and says how far it is."""

    def __init__(self, studio: Studio):
        self.title = studio.base.title.split(":")[0]
        self.state, self.error = "absent", ""
        self._studio = studio
        self._begin()

    def _begin(self) -> None:
        base = self._studio.base
        # A folder to which nothing is fetched is loaded, come what may: what is wrong with it is told.
        if self.state == "absent" and (
            self._studio.is_here() or (Path(base.repo).is_dir() and not base.parts)
        ):
            self.state = "loading"
            threading.Thread(target=self._load, name="warmth", daemon=True).start()

    def _load(self) -> None:
        try:
            self._studio.warm()
            self.state = "ready"
        except MotionStudioError as error:
            self.state, self.error = "failed", work.one_line(error)
        except Exception as error:  # whatever a library raises while it loads: the page says so
            log.exception("The base model could not be loaded")
            words = f"{self.title} could not be loaded: {type(error).__name__}: {error}"
            self.state, self.error = "failed", work.one_line(words)

    def masthead(self) -> str:
        """The page's head with the base model's state."""
        size = self._studio.base.size_mb
        words = text.BASE["unknown" if self.state == "absent" and not size else self.state]
        line = words.format(base=escape(self.title), error=self.error, gigabytes=size / 1000)
        if saving := self._studio.levers():
            line += escape(text.BASE_LEVERS.format(levers=", ".join(saving)))
        return MASTHEAD.format(base=f'<div class="base {self.state}"><i></i><span>{line}</span></div>')

    def look(self) -> tuple[str, gr.Timer]:
        """The masthead, and whether to look again."""
        self._begin()  # a job may have fetched its files since
        return self.masthead(), gr.Timer(active=self.state in ("loading", "absent"))


def build(studio: Studio) -> gr.Blocks:
    """The page over a studio; it starts to load the base model at once."""
    warmth = Warmth(studio)
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as page:
        head = gr.HTML(warmth.masthead, apply_default_css=False, padding=False)
        timer = gr.Timer(1)
        timer.tick(warmth.look, None, [head, timer], show_progress="hidden")
        with gr.Tabs(selected="generate") as tabs:
            with gr.Tab(text.INVERT["tab"], id="invert"):
                invert = InvertTab(studio)
            with gr.Tab(text.GENERATE["tab"], id="generate") as generating:
                generate = GenerateTab(studio)
            with gr.Tab(text.MIX["tab"], id="mix"):
                mix = MixTab(studio)
        mix.wire(page)
        generate.wire(page, tabs, mix)
        invert.wire(page)
        shelves = [mix.shelf, mix.timeline]
        quiet = {"show_progress": "hidden"}
        generating.select(generate.renders, None, generate.recent, **quiet)  # with those of the mixer
        invert.saved.success(generate.play, invert.motion, generate.in_hand, **quiet).then(
            mix.shelves, mix.timeline, shelves, **quiet
        )
        invert.play.click(lambda: gr.Tabs(selected="generate"), None, tabs, **quiet)
        mix.screen.saved.success(mix.shelves, mix.timeline, shelves, **quiet).then(
            generate.cards, None, generate.motion, **quiet
        )
    return page


def serve(
    host: str = "127.0.0.1",
    port: int = 7860,
    data: str | None = None,
    base: str = DEFAULT_BASE,
    device: str | None = None,
    browser: bool = False,
) -> None:
    """Open the studio on a base model and a data folder, until interrupted; `browser` opens one too."""
    studio = Studio(data, device, base)
    page = build(studio)
    try:
        launch(page, studio, server_name=host, server_port=port, inbrowser=browser)
    finally:
        shut(page, studio)


def shut(page: gr.Blocks, studio: Studio, patience: float = 10.0) -> None:
    """Close the page and the studio, and give each thread at work up to `patience` seconds to end.

    A thread that is inside of torch when the interpreter goes would abort the process.
    """
    page.close(verbose=False)
    studio.close()
    for thread in threading.enumerate():
        if thread.name == "warmth" or thread.name.startswith("AnyIO worker"):
            thread.join(patience)


def launch(page: gr.Blocks, studio: Studio, **options: Any) -> Any:
    """Launch the page with its looks; `options` go to gradio, whose answer is returned."""
    return page.launch(
        theme=theme.theme(),
        css_paths=STYLE,
        head=components.head(),
        allowed_paths=[str(studio.library.root), str(studio.library.starters)],
        footer_links=[],
        ssr_mode=False,
        show_error=True,
        **options,
    )
