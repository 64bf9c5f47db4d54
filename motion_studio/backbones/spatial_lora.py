"""A LoRA on the spatial attention that takes in a clip's looks, for as long as a motion is learnt from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_processor import Attention
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from motion_studio.backbones.turns import TurnLock

NAME = "looks"
ATTENTION = (Attention, AttentionModuleMixin)
RANK = 4


class SpatialLora:
    """The LoRA while it is in the model: off, unless within `on`."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._layers = [layer for layer in model.modules() if isinstance(layer, BaseTunerLayer)]
        self.parameters = [part for name, part in model.named_parameters() if f".{NAME}." in name]
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
def spatial_lora(
    model: torch.nn.Module, sites: Collection[str], seed: int, lock: TurnLock
) -> Iterator[SpatialLora]:
    """A fresh LoRA (Hu et al., arXiv 2106.09685) on all attention but the sites'; none is left after.

    It comes and goes under the model's `lock`, between the steps of whoever else computes with it.
    """
    spatial = [
        name for name, layer in model.named_modules() if isinstance(layer, ATTENTION) and name not in sites
    ]
    targets = [f"{name}.{part}" for name in spatial for part in ("to_q", "to_k", "to_v", "to_out.0")]
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets)
    device = next(model.parameters()).device
    try:
        # peft draws from the global generators, which are not ours to move.
        with lock, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            # Not the model's own add_adapter, which some have not.
            inject_adapter_in_model(config, model, NAME)
            lora = SpatialLora(model)
        yield lora
    finally:  # also where memory ran out half way
        with lock:
            recurse_remove_peft_layers(model)
            model.__dict__.pop("peft_config", None)
