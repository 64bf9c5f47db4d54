"""What a loaded base model holds in memory, and the ways to make it hold less."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import cpu_offload
from accelerate.hooks import remove_hook_from_submodules
from torch import Tensor, nn
from transformers import PreTrainedModel

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.checkpointing import blocks
from motion_studio.backbones.pictures import PictureBackbone

FLOAT8 = torch.float8_e4m3fn


def weight_bytes(*modules: nn.Module) -> int:
    """Bytes of the weights of all the modules, each counted once under whatever names."""
    return sum(
        part.nbytes
        for module in modules
        for name, part in module.named_parameters()
        if name not in getattr(module, "all_tied_weights_keys", {})
    )


def send_away(backbone: Backbone) -> None:
    """Keep the text encoder and the autoencoder on the CPU; each layer of them comes in when it computes."""
    for part in backbone.others:
        if not is_away(part):
            cpu_offload(part, backbone.device)


def bring_back(backbone: Backbone) -> None:
    """Put the text encoder and the autoencoder on the base's device again."""
    for part in backbone.others:
        if is_away(part):
            remove_hook_from_submodules(part)
            part.to(backbone.device)
            if isinstance(part, PreTrainedModel):
                part.tie_weights()  # one tensor under two names has come back as two


def is_away(part: nn.Module) -> bool:
    """Whether `send_away` has been there."""
    return hasattr(part, "_hf_hook")


def decode_in_pieces(backbone: Backbone, wanted: bool) -> None:
    """Have the autoencoder take pictures one by one, and a video in tiles; or all that it takes by itself.

    Where tiles meet, a video differs a little from what it would be in one piece.
    """
    if isinstance(backbone, PictureBackbone):
        backbone.chunk = 1 if wanted else type(backbone).chunk
    elif wanted:
        backbone.pipe.vae.enable_tiling()
    else:
        backbone.pipe.vae.disable_tiling()


def store_as_float8(backbone: Backbone) -> None:
    """Store the weights of the denoiser's linear and convolution layers as float8, for good.

    Each is widened for the time of a call. diffusers' layerwise casting does so in place, under what
    autograd has kept, so that nothing can be learnt through it; here every call has a weight of its own.
    Its ends, outside of the blocks, keep their precision, and the base the hash it had. What is stored so
    already stays as it is.
    """
    _ = backbone.weights_hash
    for block in blocks(backbone.denoiser):
        for layer in block.modules():
            kind = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
            if kind and layer.weight.dtype != FLOAT8:
                _store(layer)


def _store(layer: nn.Module) -> None:
    wide, stored = layer.weight.dtype, nn.Parameter(layer.weight.to(FLOAT8), requires_grad=False)
    layer.weight = stored

    def widen(layer: nn.Module, _args: Any) -> None:
        layer._parameters["weight"] = stored.to(wide)

    def narrow(layer: nn.Module, _args: Any, _output: Tensor) -> None:
        layer._parameters["weight"] = stored

    layer.register_forward_pre_hook(widen)
    layer.register_forward_hook(narrow, always_call=True)
