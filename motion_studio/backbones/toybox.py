"""The built-in base model: small enough to run and to learn from on a laptop's processor."""

from __future__ import annotations

from pathlib import Path

import torch

from motion_studio.backbones.animatediff import AnimateDiffBackbone, pipeline
from motion_studio.backbones.hub import INDEX
from motion_studio.backbones.registry import BaseSpec
from motion_studio.errors import InputError


def load(spec: BaseSpec, device: str) -> AnimateDiffBackbone:
    """The toybox from its pipeline folder, as float32; InputError when the folder isn't there."""
    if not Path(spec.repo, INDEX).is_file():
        raise InputError(f"{spec.name} has no weights in {Path(spec.repo).name}/: `make assets` makes them.")
    # float16 on disk; it computes in float32 everywhere, and the weights' hash is the same for both.
    pipe = pipeline(spec, "cpu")
    pipe.vae.to(memory_format=torch.channels_last)  # decodes in two thirds of the time on a processor
    return AnimateDiffBackbone(spec, pipe, device)
