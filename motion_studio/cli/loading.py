"""The base model that a command works with."""

from __future__ import annotations

import argparse
import sys

from motion_studio.backbones.base import Backbone
from motion_studio.studio.manager import Manager


def loaded(arguments: argparse.Namespace, base: str, levels: int = 0) -> Backbone:
    """The base model of that name, for learning from so many noise levels (0: for clips alone) on --device.

    What saves memory on it is told on stderr, unless --quiet. Raises what `Manager` and its `backbone` do.
    """
    manager = Manager(arguments.device)
    backbone = manager.backbone(base, levels)
    if (saving := manager.levers(base)) and not arguments.quiet:
        print(f"{backbone.spec.title.split(':')[0]} · {', '.join(saving)}", file=sys.stderr)
    return backbone
