"""Learning in less memory: activations are computed again in the backward pass, not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from motion_studio.backbones.base import Checkpointing
from motion_studio.backbones.lean import Forwards

BLOCKS = (
    AnimateDiffTransformer3D,
    BasicTransformerBlock,
    ResnetBlock2D,
    TemporalConvLayer,
    Transformer2DModel,
    TransformerTemporalModel,
    WanTransformerBlock,
)
CHEAP = (FeedForward,)
"""What is soon computed again for all that it keeps, some twelve to sixteen times what goes in."""


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost transformers and resnets inside `module`, in the order of the module tree."""
    return _outermost(module, BLOCKS)


def _outermost(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, kinds):
            yield child
        else:
            yield from _outermost(child, kinds)


def checkpointed(denoiser: nn.Module, what: Checkpointing = "on") -> Forwards:
    """The context in which each block keeps only its inputs for backward (Chen et al., arXiv 1604.06174).

    With "part" only `CHEAP` layers do. The gradients are the same. The backward pass must run inside too:
    what it computes again is to be what the forward pass computed.
    """
    kinds = {"off": (), "part": CHEAP, "on": BLOCKS}[what]
    # Nothing here draws random numbers: the models are in evaluation mode.
    how = {"use_reentrant": False, "preserve_rng_state": False}
    chosen = _outermost(denoiser, kinds)
    return Forwards({block: partial(checkpoint, block.forward, **how) for block in chosen})


def kept_for_backward(module: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes of all that autograd keeps of what `forward` computes with `module`, its weights aside."""
    weights = {part.untyped_storage().data_ptr() for part in module.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()  # held, so that nothing is freed whose address would be given again
    del output
    return sum(size for address, size in sizes.items() if address not in weights)
