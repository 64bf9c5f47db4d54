"""A built-in model with random weights."""

from __future__ import annotations

import pytest

from motion_studio.backbones.toybox_build import build
from motion_studio.toybox.sample import vocabulary


@pytest.fixture(scope="module")
def pipe():
    return build(vocabulary(), seed=1)
