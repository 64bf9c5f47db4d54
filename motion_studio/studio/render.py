"""A clip made from a mix of motions, with the recipe that makes it again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from motion_studio.backbones.base import Backbone
from motion_studio.errors import InputError
from motion_studio.motion.embedding import Motion
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Done, Event
from motion_studio.studio.generate import check_settings, generate
from motion_studio.studio.generate import recipe as recipe_of
from motion_studio.studio.mix import Load, cast
from motion_studio.studio.tracks import Mix
from motion_studio.video.clip import Clip, fit

PACKAGES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class Render:
    """A clip, its recipe, and where it is saved (None: nowhere)."""

    clip: Clip
    recipe: dict[str, Any]
    path: Path | None = None


@dataclass(frozen=True)
class Recipe:
    """What a recipe asks for, checked; `motions` gives each motion's hash by its name in the mix."""

    base: str
    base_hash: str
    settings: GenerationSettings
    mix: Mix | None
    motions: dict[str, str]
    reference: str | None

    @classmethod
    def from_json(cls, values: Any) -> Recipe:
        """Check what a video carries. Raises InputError (or SettingsError) for what is no recipe of ours."""
        if not isinstance(values, dict) or not isinstance(values.get("base"), str):
            raise InputError("The video carries no recipe of the studio.")
        mix, motions = values.get("mix"), values.get("motions", {})
        if not isinstance(motions, dict) or not all(isinstance(text, str) for text in motions.values()):
            raise InputError("The video's recipe does not name its motions by their hashes.")
        parsed = Mix.from_json(mix) if mix is not None else None
        if missing := {track.motion for track in (parsed.tracks if parsed else ())} - set(motions):
            raise InputError(f"The video's recipe has no hash for its motion {min(missing)}.")
        settings = GenerationSettings.from_json(values.get("settings"))
        texts = [str(values.get(name) or "") for name in ("base_hash", "reference")]
        return cls(values["base"], texts[0], settings, parsed, motions, texts[1] or None)

    def check(self, backbone: Backbone) -> None:
        """Raises InputError when the base has other weights than the clip was made with."""
        if self.base_hash != backbone.weights_hash:
            raise InputError(
                f"The clip was made with weights {self.base_hash[:8]} of {self.base}, "
                f"these are {backbone.weights_hash[:8]}: it cannot be made again here."
            )


def render(
    backbone: Backbone,
    settings: GenerationSettings,
    mix: Mix | None = None,
    load: Load | None = None,
    reference: Clip | None = None,
    cancel: threading.Event | None = None,
    preview_every: int = 0,
) -> Generator[Event]:
    """Generate with a mix; ends with Done(Render). `load` reads its motions by name.

    Where all tracks have words of their own, those of the first draw the ground, too. `reference` is what the
    noise prior is inverted from. Raises as `check_settings` does, at once, and as `cast` and `generate` do.
    """
    check_settings(backbone, settings, len(mix.prompts) if mix else 1, reference is not None)
    return _rendered(backbone, settings, mix, load, reference, cancel, preview_every)


def _rendered(
    backbone: Backbone,
    settings: GenerationSettings,
    mix: Mix | None,
    load: Load | None,
    reference: Clip | None,
    cancel: threading.Event | None,
    preview_every: int,
) -> Generator[Event]:
    motions: dict[str, Motion] = {}

    def remembered(name: str) -> Motion:
        if load is None:
            raise InputError(f"There is no motion {name!r} here.")
        return motions.setdefault(name, motions.get(name) or load(name))

    roles = cast(mix, remembered) if mix is not None else []
    motion = roles[0].motion if roles else None
    latents, prior = None, None
    if settings.noise_prior > 0 and reference is not None:
        frames = settings.frames or backbone.frames
        fitted = fit(reference, frames, backbone.height, backbone.width, backbone.fps)
        latents, prior = backbone.encode(fitted.frames), clip_hash(fitted)
    recipe = {
        **recipe_of(backbone, settings, motion),
        "mix": mix and mix.to_json(),
        "motions": {name: one.hash() for name, one in motions.items()},
        "reference": prior,
        "versions": {name: version(name) for name in PACKAGES},
    }
    if roles and roles[0].prompt:
        settings = replace(settings, prompt=roles[0].prompt)
    for event in generate(backbone, settings, motion, latents, cancel, preview_every, roles[1:]):
        yield Done(Render(event.result, recipe)) if isinstance(event, Done) else event


def clip_hash(clip: Clip) -> str:
    """SHA-256 over a clip's frames, as bytes, in hexadecimal."""
    return hashlib.sha256((clip.frames * 255).round().byte().contiguous().numpy().data).hexdigest()
