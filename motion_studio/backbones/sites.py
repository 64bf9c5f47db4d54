"""Where a model attends over time: its sites, in the order in which a forward pass comes by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D

from motion_studio.backbones.injection import Site

TEMPORAL = (AnimateDiffTransformer3D, TransformerTemporalModel)


def temporal_attention(unet: torch.nn.Module) -> dict[str, Attention]:
    """Every temporal self-attention layer by its dotted name, in the order of the module tree."""
    found = {}
    for parent, block in unet.named_modules():
        if not isinstance(block, TEMPORAL):
            continue
        for name, layer in block.named_modules():
            if isinstance(layer, Attention) and not layer.is_cross_attention:
                found[f"{parent}.{name}"] = layer
    return found


def late_sites(names: Iterable[str]) -> list[str]:
    """Those of a UNet's up blocks, or the second half of a transformer's, of sites in a forward pass's order.

    Nothing before the first of them is computed backwards, nor kept for it.
    """
    names = list(names)
    return [name for name in names if name.startswith("up_blocks.")] or names[len(names) // 2 :]


def find_sites(unet: torch.nn.Module, forward: Callable[[], Any]) -> dict[str, Site]:
    """The model's sites by name, in the order of a forward pass; `forward` runs one on latents of their size.

    The grids are read off the pass itself, so that any block structure and any odd size comes out right.
    """
    layers = temporal_attention(unet)
    sites: dict[str, Site] = {}
    grid: list[tuple[int, int]] = [(0, 0)]

    def enter_block(_block, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        grid[0] = tuple(hidden.shape[-2:])

    def enter_layer(name):
        def hook(_layer, args, kwargs):
            hidden = args[0] if args else kwargs["hidden_states"]
            sites[name] = Site(name, hidden.shape[-1], grid[0])

        return hook

    with ExitStack() as hooks:
        for block in unet.modules():
            if isinstance(block, TEMPORAL):
                handle = block.register_forward_pre_hook(enter_block, with_kwargs=True)
                hooks.callback(handle.remove)
        for name, layer in layers.items():
            handle = layer.register_forward_pre_hook(enter_layer(name), with_kwargs=True)
            hooks.callback(handle.remove)
        forward()
    return sites
