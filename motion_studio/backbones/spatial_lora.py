"""A LoRA on the spatial attention that takes in a clip's looks, for as long as a motion is learnt from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention_processor import Attention
from peft import LoraConfig

from motion_studio.backbones.sites import temporal_attention

NAME = "looks"
RANK = 4


class SpatialLora:
    """The LoRA while it is in the model: off, unless within `on`."""

    def __init__(self, unet: torch.nn.Module) -> None:
        self._unet = unet
        self.parameters = [part for name, part in unet.named_parameters() if f".{NAME}." in name]

    @contextmanager
    def on(self, learning: bool) -> Iterator[None]:
        """With the LoRA in effect; gradients reach it only if `learning`."""
        self._unet.enable_adapters()
        try:
            for part in self.parameters:
                part.requires_grad_(learning)
            yield
        finally:
            self._unet.disable_adapters()


@contextmanager
def spatial_lora(unet: torch.nn.Module, seed: int) -> Iterator[SpatialLora]:
    """A fresh LoRA (Hu et al., arXiv 2106.09685) on all spatial attention; none of it is left after."""
    temporal = temporal_attention(unet)
    spatial = [
        name for name, layer in unet.named_modules() if isinstance(layer, Attention) and name not in temporal
    ]
    targets = [f"{name}.{part}" for name in spatial for part in ("to_q", "to_k", "to_v", "to_out.0")]
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets)
    # peft draws from the global generator, which is not ours to move.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(config, adapter_name=NAME)
    unet.disable_adapters()
    try:
        yield SpatialLora(unet)
    finally:
        unet.unload_lora()
