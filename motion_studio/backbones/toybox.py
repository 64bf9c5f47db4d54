"""The built-in base model: small enough to run and to learn from on a laptop's processor."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.base import BaseSpec
from motion_studio.errors import InputError

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "toybox"


def load(spec: BaseSpec, device: str, folder: Path = FOLDER) -> AnimateDiffBackbone:
    """The toybox from its pipeline folder, as float32; InputError when the folder isn't there."""
    if not (folder / "model_index.json").is_file():
        raise InputError(f"{spec.name} has no weights in {folder.name}/: `make assets` makes them.")
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # float16 on disk; the processor computes in float32, and the weights' hash is the same for both.
    pipe = AnimateDiffPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipe.to(device)
    return AnimateDiffBackbone(spec, pipe)
