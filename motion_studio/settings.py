"""Settings of the two main jobs: frozen dataclasses, checked at the door, to and from JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from motion_studio.errors import SettingsError

PRESETS = Path(__file__).resolve().parent.parent / "presets" / "settings"
FIGURES = PRESETS.parent / "figures.json"


class Settings:
    """Checks and the JSON round trip shared by the settings below."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                value = tuple(value)
                object.__setattr__(self, field.name, value)
            self._check(field.name, value, hints[field.name])

    def _check(self, name: str, value: Any, hint: Any) -> None:
        if not _matches(value, hint):
            raise SettingsError(f"{name}={value!r}: allowed is {_allowed(hint)}")
        low, high = self.RANGES.get(name, (-math.inf, math.inf))
        if isinstance(value, (int, float)) and not low <= value <= high:
            raise SettingsError(f"{name}={value}: allowed is {low} to {high}")

    def to_json(self) -> dict[str, Any]:
        """Every field as plain JSON values; `from_json` gives the same settings back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]):
        """Settings from a dict; an unknown key, type or value raises SettingsError naming what is allowed."""
        if not isinstance(data, dict):
            raise SettingsError(f"settings must be a JSON object, not {type(data).__name__}")
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise SettingsError(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        needed = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
        if missing := sorted(needed - set(data)):
            raise SettingsError(f"setting {', '.join(missing)} is missing")
        return cls(**data)

    @classmethod
    def read(cls, name: str, text: str) -> Any:
        """The value of setting `name` as someone typed it: the text, or what it is as JSON."""
        if get_type_hints(cls).get(name) is str:
            return text
        try:
            return json.loads(text)
        except ValueError:
            return text


@dataclasses.dataclass(frozen=True)
class InversionSettings(Settings):
    """How a motion is learnt from a clip."""

    version: Literal["v1", "v2"] = "v2"
    """v1: one embedding for query, key and value. v2: one for query and key, one by place for value."""
    rank: int = 2
    """Components of the factored value embedding (space x time)."""
    steps: int = 40
    """Learning steps."""
    learning_rate: float = 0.1
    """Adam's rate at the first step; it falls to zero along a cosine."""
    noise_levels: int = 2
    """Noise levels learnt from in each step, as one batch."""
    noise_bias: float = 1.0
    """Exponent on the noise levels, shares of the schedule: 1 draws them evenly, below 1 more of the high
    ones, at which a model decides what goes where."""
    loss: Literal["plain", "debiased", "changes"] = "plain"
    """plain: squared error. debiased: that on differences from a random anchor frame is added. changes: only
    what of the error changes from frame to frame."""
    shuffle_looks: bool = False
    """Learn in other looks, drawn anew each time, with an empty prompt: on another ground, carried along as
    the clip's is, with the object's colours changed over; where neither is seen, in random colours."""
    carry: float = 0.0
    """Largest share of the noise learnt from that the clip's camera carries along, drawn anew for each noise
    level; the rest is each frame's own. It is carried along as largely where the motion plays."""
    replay: bool = False
    """Learn from the clip backwards and shifted in time as well, with the motion's frames read in the same
    order, so that it does what operations in time (reverse, speed, one after another) ask of it later."""
    hybrid: bool = False
    """Let a LoRA on the spatial attention learn the looks from single frames, and throw it away after."""
    sites: Literal["all", "local", "late"] | tuple[str, ...] = "all"
    """Temporal attention sites that learn: all, those whose attention is local in time, the late ones (of a
    UNet's up blocks, of a transformer's second half: a step costs three quarters), or the named ones."""
    checkpointing: Literal["auto", "on", "part", "off"] = "auto"
    """Compute again in the backward pass what takes memory to keep. on: whole blocks, half as long again.
    part: feed-forward layers alone, hardly longer. auto: where memory is short."""
    seed: int = 0
    """Seed of everything random in learning."""
    preview_every: int = 10
    """Steps between the previews of the evolving sample; 0 draws none."""
    sample_prompt: str = ""
    """Prompt of the evolving sample; empty takes the base model's own."""
    stop_at: float = 0.0
    """Learning ends once two samples in a row move as the clip does, to this mean correlation of the object's
    path and the camera's curve; they play what is learnt alone, and come every 10 steps where none is shown.
    0 goes through all steps."""

    RANGES: ClassVar = {
        "rank": (1, 64),
        "steps": (1, 5000),
        "learning_rate": (1e-6, 10.0),
        "noise_levels": (1, 64),
        "noise_bias": (0.05, 4.0),
        "carry": (0.0, 1.0),
        "seed": (0, 2**63 - 1),
        "preview_every": (0, 5000),
        "stop_at": (0.0, 1.0),
    }


FILM = {"pan": 0.0, "tilt": 0.0, "zoom": 1.0, "roll": 0.0}
"""The settings of the camera that films a clip, at rest."""


@dataclasses.dataclass(frozen=True)
class GenerationSettings(Settings):
    """How a clip is made from a prompt and a motion."""

    prompt: str
    """What the clip shows."""
    negative_prompt: str = ""
    """What guidance moves away from."""
    steps: int = 20
    """Denoising steps."""
    guidance: float = 4.0
    """Scale of classifier-free guidance; 1 is none."""
    seed: int = 0
    """Seed of the starting noise."""
    frames: int | None = None
    """Frames to make; None takes the base model's own length."""
    strength: float = 1.0
    """Factor on the whole motion: on by about .3, saturating above; negative reverses only in part."""
    guide_until: float = 0.0
    """Share of the steps, from the first, in which guidance leads away from the model without the motion, so
    that it strengthens the motion as it does the prompt. In all steps it breaks more than it gives; guidance
    in a part of them is of arXiv 2404.07724."""
    play_until: float = 1.0
    """Share of the steps, from the first, in which the motion plays. The first place what moves; after them
    the prompt draws the ground anew, at some cost in the camera's motion."""
    sync_until: float = 0.0
    """Share of the steps, from the first, in which all frames show one ground, moved as the motion's camera
    moves, and one object along its path as long as the motion plays (synchronised diffusion, arXiv
    2403.14370): the camera's motion without its ground, a ground that holds still before a camera that does,
    and an object that keeps to its way. Whatever moves besides the object is held or taken along."""
    looks: Literal["auto", "background", "centre", "difference", "raw"] = "auto"
    """How the source's looks are taken out of the value embedding; auto is the base model's best."""
    motion_type: Literal["camera", "object", "hybrid"] = "hybrid"
    """camera plays the query-key embedding alone, object and hybrid play the value embedding too. The ground
    that frames share (`sync_until`) rests with object, and is shared as long as the motion plays; with camera
    it is shared to the end, and what is unlike it goes its own way."""
    carry: float = 1.0
    """Factor on the share of the starting noise that goes along with the motion's camera, and with the object
    that frames share (`sync_until`), so that what is made of it does, too (as arXiv 2504.03072 and 2501.08331
    carry noise along a flow). The motion says the camera's share, as it was learnt for; one whose camera
    rests carries none."""
    pan: float = 0.0
    """How far a camera goes to the right while it films what the motion makes, in fractions of the width."""
    tilt: float = 0.0
    """How far it goes up."""
    zoom: float = 1.0
    """By what it has enlarged the picture at the end."""
    roll: float = 0.0
    """By how many degrees it has turned the picture clockwise at the end."""
    noise_prior: float = 0.0
    """Share p of the reference's inverted noise in the start: sqrt(p) inverted + sqrt(1 - p) fresh."""

    @property
    def films(self) -> bool:
        """Whether a camera moves of its own (`pan`, `tilt`, `zoom`, `roll`), whatever the motion's does."""
        return any(getattr(self, name) != rest for name, rest in FILM.items())

    RANGES: ClassVar = {
        "steps": (1, 1000),
        "guidance": (0.0, 50.0),
        "seed": (0, 2**63 - 1),
        "frames": (2, 512),
        "strength": (-10.0, 10.0),
        "guide_until": (0.0, 1.0),
        "play_until": (0.0, 1.0),
        "sync_until": (0.0, 1.0),
        "carry": (0.0, 1.0),
        "pan": (-2.0, 2.0),
        "tilt": (-2.0, 2.0),
        "zoom": (0.25, 4.0),
        "roll": (-360.0, 360.0),
        "noise_prior": (0.0, 1.0),
    }


def preset_names() -> list[str]:
    """Names of the inversion presets, in alphabetical order."""
    return sorted(path.stem for path in PRESETS.glob("*.json"))


def preset(name: str) -> InversionSettings:
    """The inversion preset of that name; an unknown name raises SettingsError listing the known ones."""
    if name not in preset_names():
        raise SettingsError(f"unknown preset {name!r}; known are {', '.join(preset_names())}")
    return InversionSettings.from_json(json.loads((PRESETS / f"{name}.json").read_text(encoding="utf-8")))


def preset_figures() -> dict[str, Any]:
    """What `benchmarks/quality.py --publish` measured of the presets: base, weights, pairs, rows.

    A row holds, by preset: `path` and `camera` (median correlations with the truth), `layout` (that of the
    source's ground with the result's, above the one without a motion) and `seconds`. Empty where nothing is.
    """
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def _matches(value: Any, hint: Any) -> bool:
    """Whether a JSON-like value is of the hinted type; a bool is no number, and a number is finite."""
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and bool(value) and all(isinstance(item, str) for item in value)
    if get_args(hint):
        return any(_matches(value, choice) for choice in get_args(hint))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _allowed(hint: Any) -> str:
    """A type hint in words, for an error message."""
    if get_origin(hint) is Literal:
        return ", ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return "a list of names"
    if get_args(hint):
        return " or ".join(_allowed(choice) for choice in get_args(hint))
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "none"}
    return words[hint]
