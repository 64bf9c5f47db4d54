"""The texts in a motion file's header: ModelSpec fields and `motion.*` as JSON, to and from MotionInfo."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, get_args

from motion_studio.errors import MotionFileError
from motion_studio.motion.embedding import Looks, Motion, MotionInfo

FORMAT = 1
Grids = dict[str, tuple[int, int] | None]
LARGEST = 1e30
"""What every number is below; torch's floats hold no more than 3e38."""


def to_metadata(motion: Motion, digest: str) -> dict[str, str]:
    """The header's texts; `digest` is the SHA-256 of the tensors' bytes. Raises MotionFileError."""
    info = motion.info
    fields = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{info.base or 'unknown'}/motion-inversion-{info.version}",
        "modelspec.implementation": "motion-studio",
        "modelspec.title": info.title,
        "modelspec.description": info.notes,
        "modelspec.hash_sha256": digest,
        "motion.format": to_json(FORMAT),
        "motion.frames": to_json(motion.frames),
        "motion.hash": to_json(motion.hash()),
        "motion.grids": to_json({name: site.grid for name, site in motion.sites.items()}),
    }
    if info.date:
        fields["modelspec.date"] = info.date
    for name in FIELDS:
        fields[f"motion.{name}"] = to_json(getattr(info, name))
    return fields


def to_json(value: Any) -> str:
    """The one JSON text of a value. Raises MotionFileError for what JSON cannot hold."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MotionFileError(f"The motion's description cannot be saved: {error}.") from None


def parse(text: str | bytes, what: str) -> Any:
    """Parse JSON that has no key twice and no number that a float cannot hold, NaN among them.

    `what` names it in the MotionFileError.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def no_constant(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    def finite(digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            no_constant(digits)
        return number

    hooks = {"object_pairs_hook": unique, "parse_constant": no_constant, "parse_float": finite}
    try:
        return json.loads(text, **hooks)
    except (ValueError, RecursionError) as error:
        raise MotionFileError(f"{what} is not valid JSON ({error}).") from None


def from_metadata(metadata: dict[str, str], name: str) -> tuple[MotionInfo, Grids]:
    """What `to_metadata` wrote, every field checked; `name` is the file's. Raises MotionFileError."""
    known = {f"motion.{field}" for field in (*FIELDS, "format", "frames", "hash", "grids")}
    unknown = [
        key for key in metadata if key not in known and not key.startswith("modelspec.") and key != "format"
    ]
    if unknown:
        raise MotionFileError(
            f"{name} has header fields that no motion file has: {', '.join(sorted(unknown)[:5])}."
        )
    values = {key: parse(metadata[key], f"{name}: {key}") for key in known & set(metadata)}
    for field, value in FIRST.items():
        values.setdefault(f"motion.{field}", value)
    if values["motion.format"] != FORMAT:
        raise MotionFileError(
            f"{name} has motion format {values['motion.format']!r}, this studio reads {FORMAT}."
        )
    try:
        fields = {field: check(values[f"motion.{field}"]) for field, check in FIELDS.items()}
        grids = {site: _pair(grid) for site, grid in values["motion.grids"].items()}
    except KeyError as error:
        raise MotionFileError(f"{name} lacks the header field {error}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise MotionFileError(f"{name} has a header field of the wrong kind: {error}.") from None
    info = MotionInfo(
        title=metadata.get("modelspec.title", ""),
        notes=metadata.get("modelspec.description", ""),
        date=metadata.get("modelspec.date", ""),
        **fields,
    )
    return info, grids


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise TypeError(f"{value!r} is not a number, or too large")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError(f"{value!r} is not from 0 to 1")
    return value


def _size(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError(f"{value!r} is below 0")
    return value


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
        raise TypeError(f"{value!r} is not a height and a width")
    return value[0], value[1]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _list(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return [check(entry) for entry in value]


def _rows(value: Any, width: int) -> list[list[float]] | None:
    if value is None:
        return None
    rows = _list(value, lambda row: _list(row, _number))
    if any(len(row) != width for row in rows):
        raise TypeError(f"its rows must have {width} numbers")
    return rows


def _choice(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return value

    return check


FIRST = {"carry": 0.0, "extent": 0.0, "sizes": None, "turns": None, "followed": 1.0}
"""What the first files say nothing of."""
FIELDS: dict[str, Callable[[Any], Any]] = {
    "base": _text,
    "base_hash": _text,
    "version": _choice("v1", "v2"),
    "fps": _number,
    "prompt": _text,
    "latent_size": _pair,
    "looks": _choice(*get_args(Looks)),
    "carry": _share,
    "settings": _object,
    "losses": lambda value: _list(value, _number),
    "lineage": lambda value: _list(value, _object),
    "report": _object,
    "extent": _size,
    "sizes": lambda value: None if value is None else _list(value, _size),
    "turns": lambda value: None if value is None else _list(value, _number),
    "followed": _share,
    "path": lambda value: _rows(value, 2),
    "camera": lambda value: _rows(value, 4),
}
