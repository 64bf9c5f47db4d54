"""Mixes to begin with: a prompt, tracks and a camera over the starter motions; files in `presets/mixes`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motion_studio.settings import FILM, PRESETS, GenerationSettings
from motion_studio.studio.tracks import Mix

MIXES = PRESETS.parent / "mixes"


@dataclass(frozen=True)
class StarterMix:
    """A mix of starter motions of `base`, and what a clip is made with: prompt, seed and a camera's moves."""

    title: str
    base: str
    mix: Mix
    settings: GenerationSettings

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StarterMix:
        """Check what a file holds. Raises InputError or SettingsError for what is no mix."""
        mix = Mix.from_json(values["mix"])
        film = {**FILM, **values.get("film", {})}
        return cls(
            values["title"],
            values["base"],
            mix,
            GenerationSettings(values["prompt"], seed=values["seed"], **film),
        )

    @property
    def film(self) -> dict[str, float]:
        """How the camera moves that films it."""
        return {name: getattr(self.settings, name) for name in FILM}


def starter_mixes(base: str, folder: Path = MIXES) -> list[StarterMix]:
    """The mixes that are for `base`, by their files' names."""
    files = sorted(folder.glob("*.json"))
    mixes = [StarterMix.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return [mix for mix in mixes if mix.base == base]
