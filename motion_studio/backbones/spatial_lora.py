"""A LoRA on the spatial attention that takes in a clip's looks, for as long as a motion is learnt from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention_processor import Attention
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from motion_studio.backbones.sites import temporal_attention

NAME = "looks"
RANK = 4


class SpatialLora:
    """The LoRA while it is in the model: off, unless within `on`."""

    def __init__(self, unet: torch.nn.Module) -> None:
        self._layers = [layer for layer in unet.modules() if isinstance(layer, BaseTunerLayer)]
        self.parameters = [part for name, part in unet.named_parameters() if f".{NAME}." in name]
        # peft makes them of the weights' kind, which may be too coarse to learn in.
        for part in self.parameters:
            part.data = part.data.float()
        self._enable(False)

    @contextmanager
    def on(self, learning: bool) -> Iterator[None]:
        """With the LoRA in effect; gradients reach it only if `learning`."""
        self._enable(True)
        try:
            for part in self.parameters:
                part.requires_grad_(learning)
            yield
        finally:
            self._enable(False)

    def _enable(self, enabled: bool) -> None:
        for layer in self._layers:
            layer.enable_adapters(enabled)


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
        # Not the model's own add_adapter, which UNet3DConditionModel has not.
        inject_adapter_in_model(config, unet, NAME)
    try:
        yield SpatialLora(unet)
    finally:
        recurse_remove_peft_layers(unet)
        del unet.peft_config
