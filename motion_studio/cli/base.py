"""`--base` and `--device`: the base model that a command runs."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Generator

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import BaseSpec, find
from motion_studio.cli.output import play
from motion_studio.studio.events import Done, Event
from motion_studio.studio.fetching import fetching
from motion_studio.studio.manager import Manager


def base_model(arguments: argparse.Namespace, name: str, levels: int = 0) -> Backbone:
    """The base model of that name, as `Manager.backbone`, its missing files fetched first under a bar.

    What saves memory on it is told on stderr, unless --quiet.
    """
    manager = Manager(arguments.device)
    play(_fetched(find(name)), arguments.quiet)
    backbone = manager.backbone(name, levels)
    if (saving := manager.levers(name)) and not arguments.quiet:
        print(f"{backbone.spec.title.split(':')[0]} · {', '.join(saving)}", file=sys.stderr)
    return backbone


def _fetched(spec: BaseSpec) -> Generator[Event]:
    yield from fetching(spec, threading.Event())  # Ctrl+C comes as an exception, which ends it as well
    yield Done(None)
