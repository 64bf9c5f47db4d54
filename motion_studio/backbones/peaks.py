"""What computing takes in memory beside the weights, told from a small picture: it grows with the area."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from motion_studio.backbones.base import Backbone, Checkpointing
from motion_studio.backbones.checkpointing import checkpointed
from motion_studio.backbones.lean import lean
from motion_studio.backbones.pictures import PictureBackbone


class Peak(TorchDispatchMode):
    """Counts the bytes of what is computed inside while it lives; `most` is what they came to at once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._living: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function.is_view:  # of what is not computed, tensors without content give it another storage
            return made
        given = {part.untyped_storage()._cdata for part in _tensors((args, kwargs))}
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in given and key not in self._living and not _is_weight(function, args, tensor):
                self._living[key] = storage.nbytes()
                self._now += storage.nbytes()
                self.most = max(self.most, self._now)
                weakref.finalize(storage, self._gone, key).atexit = False
        return made

    def _gone(self, key: int) -> None:
        self._now -= self._living.pop(key)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _is_weight(function: Any, args: Any, made: Tensor) -> bool:
    """Whether it is brought in for a call, from another device or from float8, however large the picture."""
    if function is not torch.ops.aten._to_copy.default:
        return False
    return args[0].device != made.device or args[0].dtype.itemsize < 2


def making_bytes(backbone: Backbone) -> int:
    """About what a guided denoising step takes at the base's own size."""
    latents, text, larger = _small(backbone, 2)
    with Peak() as peak, torch.no_grad():
        backbone.predict(latents, 0, text)
    return peak.most * larger


def learning_bytes(backbone: Backbone, what: Checkpointing) -> int:
    """About what a learning step takes for each noise level, there and back, at the base's own size."""
    latents, text, larger = _small(backbone, 1)
    ways = lean(backbone.denoiser), checkpointed(backbone.denoiser, what)
    with torch.enable_grad(), Peak() as peak, ways[0], ways[1]:
        backbone.predict(latents.requires_grad_(), 0, text).square().mean().backward()
    return peak.most * larger


def decoding_bytes(backbone: Backbone) -> tuple[int, int]:
    """About what decoding a clip of the base's own size takes: by itself, and in the smallest pieces.

    Encoding takes less.
    """
    latents, _, larger = _small(backbone, 1)
    pictures = isinstance(backbone, PictureBackbone)
    with Peak() as peak:
        backbone.decode(latents[:, :, :1] if pictures else latents)
    whole = peak.most * larger
    if pictures:
        return whole * min(type(backbone).chunk, backbone.frames), whole
    # Tiles overlap, and those that are done wait for the others.
    vae, area = backbone.pipe.vae, backbone.height * backbone.width
    tile = vae.tile_sample_min_height * vae.tile_sample_min_width
    done = 3 * backbone.frames * area * vae.dtype.itemsize * tile
    done //= vae.tile_sample_stride_height * vae.tile_sample_stride_width
    return whole, min(whole, whole * tile // area + done)


def _small(backbone: Backbone, batch: int) -> tuple[Tensor, Tensor, int]:
    """Latents of a small picture and texts for a batch, and how many times as large the base's own is."""
    full = backbone.latent_size
    small = tuple(min(side, max(8, side // 32 * 8)) for side in full)
    frames = backbone.latent_frames(backbone.frames)
    latents = torch.zeros(batch, backbone.latent_channels, frames, *small)
    return latents, backbone.encode_text([""] * batch), prod(full) // prod(small)
