"""Flags whose place in the line counts, and how their numbers are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any


class Operation(argparse.Action):
    """Appends {"op": its name, ...} to `operations`, which so keep the order they are given in."""

    def __init__(self, *args: Any, parse: Callable[[str], dict[str, Any]] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.parse = parse

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        try:
            fields = self.parse(values) if self.parse else {}
        except ValueError as error:
            parser.error(f"{option_string} {values}: {error}")
        operation = {"op": self.option_strings[0].lstrip("-"), **fields}
        namespace.operations = [*(namespace.operations or []), operation]


class Words(argparse.Action):
    """Keeps words by the number of the motion that was given last before them."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if not namespace.motions:
            parser.error(f"{option_string} {values!r}: a --motion must come before it, which it is for.")
        namespace.words = {**(namespace.words or {}), len(namespace.motions) - 1: values}


def numbers(*names: str) -> Callable[[str], dict[str, Any]]:
    """A parser of `X,Y,...` into those names."""

    def parse(text: str) -> dict[str, Any]:
        parts = text.split(",")
        if len(parts) != len(names):
            raise ValueError(f"{len(names)} numbers are needed, as {','.join(names).upper()}")
        return {name: number(part) for name, part in zip(names, parts, strict=True)}

    return parse


def points(text: str) -> dict[str, Any]:
    """`X,Y X,Y …` as the path of an operation, and what else may be meant as the motion whose path it is."""
    read = numbers("x", "y")
    try:
        return {"path": [list(read(pair).values()) for pair in text.split()]}
    except ValueError:
        if "," in text:
            raise
        return {"motion": text}


def number(text: str) -> float | int:
    """A finite number, whole if it is written so. Raises ValueError."""
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text} is not a number")
    return int(text) if re.fullmatch(r"[+-]?\d+", text.strip()) else value
