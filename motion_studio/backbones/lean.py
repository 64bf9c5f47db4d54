"""A frozen model that learning goes through keeps only what gradients need; it costs next to nothing.

Autograd keeps the input of a convolution for the gradient of its weights, which here are frozen, and that of
an activation, which is soon made again from what the normalisation before it keeps anyway. And what goes
into a temporal transformer comes turned from how it lies in memory: of a single clip each of its first
products would be taken place by place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn
from torch.nn.functional import silu
from torch.nn.grad import conv2d_input, conv3d_input

CONVOLUTIONS = {nn.Conv2d: conv2d_input, nn.Conv3d: conv3d_input}
TEMPORAL = (AnimateDiffTransformer3D, TransformerTemporalModel)


class Forwards:
    """A context: while inside, modules have the forwards given for them; after, their own, in any case.

    It can be entered again and again, though not within itself: a compiler sees the same forwards each time.
    """

    def __init__(self, changed: dict[nn.Module, Callable[..., Any]]) -> None:
        self.changed = changed
        self._before: dict[nn.Module, Callable[..., Any] | None] = {}

    def __enter__(self) -> None:
        self._before = {module: module.__dict__.get("forward") for module in self.changed}
        for module, forward in self.changed.items():
            module.forward = forward

    def __exit__(self, *_error: object) -> None:
        for module, forward in self._before.items():
            if forward is None:
                del module.forward
            else:  # another hook's, which was there before
                module.forward = forward


def lean(denoiser: nn.Module) -> Forwards:
    """The context in which the frozen layers of `denoiser` keep less for backward; their outputs are as ever.

    Gradients are the same to the bit, but for the order of sums in a temporal transformer's first layer.
    """
    changed: dict[nn.Module, Callable[..., Any]] = {}
    for module in denoiser.modules():
        if type(module) in CONVOLUTIONS and module.padding_mode == "zeros":
            changed[module] = partial(_convolved, module)
        elif type(module) is nn.GroupNorm:
            changed[module] = partial(_normalised, module.forward)
        elif type(module) is nn.SiLU:
            changed[module] = partial(_activated, module.forward)
        elif isinstance(module, TEMPORAL):
            changed[module.proj_in] = partial(_in_one_piece, module.proj_in.forward)
    return Forwards(changed)


class _Convolution(torch.autograd.Function):
    """A convolution by frozen weights, which does not keep its input."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, weight: Tensor, layer: nn.Module) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.layer, ctx.shape = layer, given.shape
        return layer._conv_forward(given, weight, layer.bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,), layer = ctx.saved_tensors, ctx.layer
        how = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return CONVOLUTIONS[type(layer)](ctx.shape, weight, gradient, *how), None, None


class _Activation(torch.autograd.Function):
    """SiLU of what `norm` made of `source`, which is all that it keeps."""

    @staticmethod
    def forward(ctx: Any, normed: Tensor, source: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(source)
        ctx.norm = norm
        return silu(normed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (source,) = ctx.saved_tensors
        return torch.ops.aten.silu_backward(gradient, ctx.norm(source)), None, None


def _convolved(layer: nn.Module, given: Tensor) -> Tensor:
    return _Convolution.apply(given, layer.weight, layer)


def _normalised(norm: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    normed = norm(given)
    normed.made_by = norm, given  # told to the activation, where one comes next
    return normed


def _activated(activate: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    if not hasattr(given, "made_by"):
        return activate(given)
    norm, source = given.made_by
    return _Activation.apply(given, source, norm)


def _in_one_piece(project: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:  # by name, as they call it
    return project(input.contiguous())
