"""The library as the page shows it: cards, a motion's reference clip, and what is known of it."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from motion_studio.errors import InputError
from motion_studio.motion.embedding import Motion
from motion_studio.settings import GenerationSettings
from motion_studio.studio.library import Entry, Library
from motion_studio.studio.motion_file import read_motion
from motion_studio.studio.render import Render
from motion_studio.ui import pictures, text
from motion_studio.video.clip import Clip
from motion_studio.video.measures import measure
from motion_studio.video.reading import read_clip

CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"
RECENT = 24


def fits(entry: Entry, base: str) -> bool:
    """Whether a motion can be read and, as far as it says, was learnt on that base model."""
    return not entry.error and entry.info.base in ("", base)


def motions(library: Library, base: str) -> list[Entry]:
    """The motions of a base model."""
    return [entry for entry in library.motions() if fits(entry, base)]


def motion_cards(library: Library, base: str) -> list[dict[str, Any]]:
    """A card for each of a base model's motions."""
    return [pictures.card(entry) for entry in motions(library, base)]


def first(library: Library, base: str) -> str:
    """The name of the motion to begin with; '' for none."""
    return next((entry.name for entry in motions(library, base)), "")


def titles(library: Library, base: str) -> dict[str, str]:
    """The title of each of a base model's motions by its name."""
    return {entry.name: entry.title for entry in motions(library, base)}


def clip_cards() -> list[dict[str, Any]]:
    """The clips that ship with the studio."""
    return [pictures.clip_card(path) for path in sorted(CLIPS.glob("*.mp4"))]


def clip_path(name: str) -> Path:
    """The shipped clip of that name. Raises InputError."""
    for path in CLIPS.glob("*.mp4"):
        if path.stem == name:
            return path
    raise InputError(text.INVERT["no_clip"])


def caption(library: Library, name: str) -> str:
    """What the shipped clip of that name shows, as the starter learnt from it says; '' without one."""
    return next(
        (entry.info.prompt for entry in library.motions() if entry.starter and entry.name == name), ""
    )


def render_cards(library: Library) -> list[dict[str, Any]]:
    """The last renders, newest first, each under its prompt."""
    cards = [(path, pictures.clip_card(path)) for path in library.renders()[:RECENT]]
    return [{**card, "title": path.stem.split("-", 3)[-1].replace("-", " ")} for path, card in cards]


def render_path(library: Library, name: str) -> Path | None:
    """The render of that card, or None when it is gone."""
    return next((path for path in library.renders() if path.stem == name), None)


def reference(library: Library, motion: str) -> Clip | None:
    """The clip that a motion was learnt from, if it is there."""
    entry = library.entry(motion)
    return read_clip(entry.clip) if entry.clip else None


def reference_view(library: Library, motion: str) -> dict[str, Any]:
    """That clip for the player; a hint when there is none."""
    entry = library.entry(motion)
    if entry.clip is None:
        return {"hint": text.GENERATE["no_reference"]}
    return _view(entry.clip, entry.clip.stat().st_mtime)


def loader(library: Library, name: str) -> Motion:
    """Read a motion, from memory when its file has not changed: the drawn ways ask at every pixel."""
    path = library.entry(name).path
    return _motion(path, path.stat().st_mtime)


def about(entry: Entry | None) -> str:
    """A motion's notes, where it comes from and its measured figures, as HTML."""
    if entry is None:
        return f'<div class="about"><p>{escape(text.GENERATE["no_motion_note"])}</p></div>'
    info, words = entry.info, text.ABOUT
    facts = [words["base"].format(base=info.base)] if info.base else []
    facts += [words["prompt"].format(prompt=info.prompt)] if info.prompt else []
    facts += [words["made"].format(operation=step.get("op", "mix")) for step in info.lineage[-3:]]
    facts += [words["starter"]] if entry.starter else []
    figures = "".join(
        f"<tr><td>{escape(str(name).replace('_', ' '))}</td><td>{value:.3g}</td></tr>"
        for name, value in info.report.items()
        if isinstance(value, int | float)
    )
    figures += _localities(info.report.get("locality", {}))
    lines = [f"<b>{escape(entry.title)}</b>", escape(info.notes), escape(" · ".join(facts))]
    paragraphs = "".join(f"<p>{line}</p>" for line in lines if line)
    return f'<div class="about">{paragraphs}<table>{figures}</table></div>'


def _localities(local: dict[str, float]) -> str:
    """A row for each site: how much its frames look at their neighbours, as a number and a bar."""
    if not local:
        return ""
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td><meter value="{max(value, 0):.3f}"></meter> {value:.2f}</td></tr>'
        for name, value in local.items()
    )
    return f'<tr><th colspan="2">{escape(text.ABOUT["locality"])}</th></tr>{rows}'


def carried(library: Library, motion: str, result: Render) -> str:
    """How much of a motion's reference a result follows, measured, as HTML; '' where `followed` has none."""
    figures = followed(library, motion, result)
    shown = [
        f"<b>{figures[key]:.2f}</b> {escape(word)}" for key, word in text.CARRIED.items() if figures.get(key)
    ]
    return f'<p class="carried">{" · ".join(shown)}</p>' if shown else ""


def followed(library: Library, motion: str, result: Render) -> dict[str, Any]:
    """The measures of a result against a motion's reference; none without one, or if a camera films it."""
    films = GenerationSettings.from_json(result.recipe["settings"]).films
    clip = reference(library, motion) if motion and not films else None
    return {} if clip is None else measure(clip, result.clip)


@lru_cache(maxsize=64)
def _view(path: Path, changed: float) -> dict[str, Any]:
    return pictures.view(read_clip(path))


@lru_cache(maxsize=64)
def _motion(path: Path, changed: float) -> Motion:
    return read_motion(path)
