"""What a parameter of an operation may be: a check gives the value in its kept form or raises InputError."""

from __future__ import annotations

import math
import sys
from dataclasses import Field, dataclass, field
from numbers import Real
from typing import Any

from torch import Tensor

from motion_studio.errors import InputError


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`, kept as a float; None where it is optional."""

    low: float = -math.inf
    high: float = math.inf
    optional: bool = False

    def __call__(self, name: str, value: Any) -> float | None:
        if value is None and self.optional:
            return None
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < sys.float_info.max:
            raise InputError(f"{name} is {value!r:.60}, a finite number is allowed.")
        if not self.low <= value <= self.high:
            raise InputError(f"{name} is {value:g}, {_range(self.low, self.high)} is allowed.")
        return float(value)


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, kept as an int."""

    low: float = -math.inf
    high: float = math.inf

    def __call__(self, name: str, value: Any) -> int:
        number = Number(self.low, self.high)(name, value)
        if number != int(number):
            raise InputError(f"{name} is {value!r:.60}, a whole number is allowed.")
        return int(number)


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    def __call__(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise InputError(f"{name} is {value!r:.60}, true or false is allowed.")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    allowed: tuple[str, ...]

    def __call__(self, name: str, value: Any) -> str:
        if value not in self.allowed:
            raise InputError(f"{name} is {value!r:.60}, {' or '.join(self.allowed)} is allowed.")
        return value


@dataclass(frozen=True)
class Values:
    """Finite numbers in a list or a tensor (K,), kept as a tuple; one number alone stays one."""

    most: int = 4096

    def __call__(self, name: str, value: Any) -> float | tuple[float, ...]:
        value = value.tolist() if isinstance(value, Tensor) else value
        if not isinstance(value, list | tuple):
            return Number()(name, value)
        if not 1 <= len(value) <= self.most:
            raise InputError(f"{name} has {len(value)} values, 1 to {self.most} are allowed.")
        return tuple(Number()(f"{name}[{index}]", number) for index, number in enumerate(value))


@dataclass(frozen=True)
class Points:
    """Points (x, y) in a list of pairs or a tensor (K, 2), kept as a tuple of pairs."""

    most: int = 4096
    optional: bool = False

    def __call__(self, name: str, value: Any) -> tuple[tuple[float, float], ...] | None:
        if value is None and self.optional:
            return None
        value = value.tolist() if isinstance(value, Tensor) else value
        pairs = isinstance(value, list | tuple) and all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
        )
        if not pairs or not 1 <= len(value) <= self.most:
            given = f"{len(value)} points" if pairs else repr(value)[:80]
            raise InputError(f"{name} must be a list of 1 to {self.most} points [x, y], not {given}.")
        check = Number()
        return tuple(
            (check(f"{name}[{n}].x", x), check(f"{name}[{n}].y", y)) for n, (x, y) in enumerate(value)
        )


def parameter(check: Any, default: Any = ...) -> Any:
    """A dataclass field whose value `check` keeps in order; without a default it must be given."""
    return (
        field(metadata={"check": check})
        if default is ...
        else field(default=default, metadata={"check": check})
    )


def check_of(entry: Field[Any]) -> Any:
    """The check of a field made by `parameter`; its limits are also a slider's limits."""
    return entry.metadata["check"]


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"{low:g} or more"
    return f"{high:g} or less" if math.isinf(low) else f"{low:g} to {high:g}"
