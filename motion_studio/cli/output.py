"""What a command shows: a progress bar on stderr, results on stdout as lines or as one JSON object."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Generator, Iterable
from typing import Any

from tqdm import tqdm

from motion_studio.errors import MotionStudioError
from motion_studio.studio.events import Done, Event, LossPoint, Progress
from motion_studio.studio.memory import within_memory


def play(events: Generator[Event], quiet: bool = False, doing: str = "making") -> Any:
    """Run a use case to its end, from its first progress on under a bar on stderr; returns its result.

    OutOfMemory advises as `doing` says, "making" or "learning".
    """
    bar = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(within_memory(doing))
        stack.enter_context(contextlib.closing(events))
        for event in events:
            if isinstance(event, Progress):
                if bar is None:
                    bar = stack.enter_context(tqdm(file=sys.stderr, disable=quiet, leave=True))
                bar.total = event.total
                bar.set_description(event.text, refresh=False)
                bar.update(event.step - bar.n)
            elif isinstance(event, LossPoint) and bar is not None:
                bar.set_postfix(loss=f"{event.loss:.4f}", refresh=False)
            elif isinstance(event, Done):
                return event.result
    raise MotionStudioError("the job ended without a result")


def show(arguments: argparse.Namespace, result: dict[str, Any], lines: Iterable[str]) -> None:
    """Print `result` as one JSON object with --json, `lines` for people otherwise."""
    if arguments.json:
        print(json.dumps(result, indent=2, default=str, allow_nan=False))
    else:
        print("\n".join(lines))


def table(rows: list[list[str]], header: list[str]) -> list[str]:
    """Lines of columns, padded to the widest entry."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]


def figures(report: dict[str, Any]) -> list[str]:
    """A line for each single number of a report, the longer curves left out."""
    numbers = {name: value for name, value in report.items() if isinstance(value, int | float)}
    width = max((len(name) for name in numbers), default=0)
    return [f"{name.replace('_', ' '):<{width}}  {value:.3f}" for name, value in numbers.items()]
