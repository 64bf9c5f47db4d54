"""Putting a motion into a model for a while: attention processors that carry it, and their way out again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.factors import inner

SHORT = 64
"""Frames up to which plain matrix products beat the fused kernel backward on a processor, twice as fast."""
CUDA_ROWS = 65_535
"""Rows that CUDA's scaled dot-product attention takes at most."""
APART = 2.0
"""How much less frames see of each other, in logits, that hear different motions; measured on the toybox."""
SPREAD = 0.1
"""Standard deviation of the random pictures that a value embedding starts with."""


@dataclass(frozen=True)
class Site:
    """One temporal self-attention layer: `channels` C of its features and `grid` (h, w) of its places."""

    name: str
    channels: int
    grid: tuple[int, int]


class MotionProcessor:
    """Temporal self-attention with embeddings on its features F (B·P, N, C).

    v2: softmax(W_q(F + qk) W_k(F + qk)ᵀ / √d) W_v(F + v); v1: qk in place of v (arXiv 2403.20193).
    A plain object, so that it stays out of the model's state dict. With `live` the factors are multiplied at
    each call, so that gradients reach them; without, the dense v is made once. With a `part` its output is
    that of the part's frames.
    """

    def __init__(
        self, embedding: SiteEmbedding | Heard, version: str, live: bool = False, part: Part | None = None
    ) -> None:
        self.embedding = embedding
        self.version = version
        self.dense = None if live else embedding.v()
        self.part = part

    def __call__(self, attn: Any, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        matched = hidden_states + self.embedding.qk.to(hidden_states.dtype)
        asking = matched if self.part is None else matched[:, self.part.frames]
        query, key = attn.to_q(asking), attn.to_k(matched)
        value = attn.to_v(matched if self.version == "v1" else self._valued(hidden_states))
        mixed = attention(query, key, value, attn.heads, None if self.part is None else self.part.nearness)
        output = attn.to_out[1](attn.to_out[0](mixed))
        # By 1, as nearly everywhere, it would read and write everything for nothing.
        return output if attn.rescale_output_factor == 1 else output / attn.rescale_output_factor

    @staticmethod
    def by_frame(hidden_states: Tensor, _frames: int) -> Tensor:
        """A view of the layer's features or its output with frames as the second dimension."""
        return hidden_states

    @staticmethod
    def attention_map(attn: Any, hidden_states: Tensor, frames: int, *_args: Any, **_kwargs: Any) -> Tensor:
        """The mean map (N, N) of the bare layer over places and heads: row n is where frame n looks."""
        query, key = (
            project(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k)
        )
        weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).float().softmax(-1)
        return weights.mean((0, 1))

    def _valued(self, hidden: Tensor) -> Tensor:
        if not self.embedding.places:
            return hidden
        by_place = hidden.view(-1, self.embedding.places, *hidden.shape[1:])
        if self.dense is None:
            return self.embedding.onto(by_place).view_as(hidden)
        self.dense = self.dense.to(hidden.dtype)  # once, not at each call
        return (by_place + self.dense).view_as(hidden)


@dataclass(frozen=True)
class Part:
    """Frames that hear the same: their indices (n,), and what is added to the logits of each frame's keys."""

    frames: Tensor
    nearness: Tensor


@dataclass(frozen=True)
class Heard:
    """The sum of embeddings of one layer that the frames of a part hear, each times a number."""

    voices: list[tuple[SiteEmbedding, Tensor]]

    @property
    def qk(self) -> Tensor:
        """What goes to queries and keys, (N, C)."""
        return torch.stack([gain * voice.qk for voice, gain in self.voices]).sum(0)

    @property
    def places(self) -> int:
        """The number P of places, 0 where nothing goes to the values."""
        return max(voice.places for voice, _ in self.voices)

    def v(self) -> Tensor | None:
        """What goes to the values, (P, N, C)."""
        dense = [gain * v for voice, gain in self.voices if (v := voice.v()) is not None]
        return sum(dense[1:], dense[0]) if dense else None

    def onto(self, features: Tensor) -> Tensor:
        """Features (B, P, N, C) plus what goes to the values."""
        for voice, gain in self.voices:
            features = voice.onto(features, gain)
        return features


class PartsProcessor:
    """Temporal self-attention of which frames hear different embeddings: each part by a processor of its own.

    Frame m attends as if all that it hears, H[m] = sum_k heard_k[m] M_k, was added to every frame. The less
    alike what m and n hear, the less m sees of n: `APART` |H[m] - H[n]|² / (|H[m]|² + |H[n]|²), 1 at most, is
    taken from the logit.
    """

    def __init__(self, embedding: SiteEmbedding, version: str, kind: type[MotionProcessor]) -> None:
        self.kind, self.total = kind, len(embedding.qk)
        whole, voices = embedding.qk.new_ones(self.total), embedding.voices
        curves = torch.stack([whole if voice.heard is None else voice.heard for voice in voices])
        products = torch.stack([torch.stack([inner(one, other) for other in voices]) for one in voices])
        loud = torch.einsum("kn,kl,ln->n", curves, products, curves)
        levels, which = curves.unique(dim=1, return_inverse=True)
        self.processors = []
        for group, level in enumerate(levels.T):
            apart = curves - level[:, None]
            apart = torch.einsum("kn,kl,ln->n", apart, products, apart)
            frames = (which == group).nonzero()[:, 0]
            nearness = -APART * (apart / (loud + loud[frames[0]]).clamp(min=1e-12)).clamp(0, 1)
            heard = Heard(
                [(voice, gain) for voice, gain in zip(voices, level, strict=True) if gain]
                or [(voices[0], level[0])]
            )
            # Live: a dense v kept for each part, a fade has many, would take gigabytes of a large base.
            self.processors.append(kind(heard, version, live=True, part=Part(frames, nearness)))

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output = torch.empty_like(hidden_states)
        by_frame = self.kind.by_frame(output, self.total)
        for processor in self.processors:
            frames = processor.part.frames
            part = processor(attn, hidden_states, *args, **kwargs)
            by_frame[:, frames] = self.kind.by_frame(part, len(frames)).to(output)
        return output


class RowsProcessor:
    """An attention layer's own processor, given no more rows at once than CUDA takes."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        parts = hidden_states.split(CUDA_ROWS)
        done = [self.own(attn, part, *args, **kwargs) for part in parts]
        return done[0] if len(done) == 1 else torch.cat(done)


def in_rows(layers: dict[str, Any]) -> dict[str, Any]:
    """The temporal self-attention layers, which take any number of rows from now on."""
    for layer in layers.values():
        if not isinstance(layer.processor, RowsProcessor):
            layer.set_processor(RowsProcessor(layer.processor))
    return layers


class HalfProcessor:
    """Temporal self-attention of a batch of which the second half carries a motion, the first does not."""

    def __init__(self, bare: Any, carrying: Any) -> None:
        self.halves = bare, carrying

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        halves = zip(self.halves, hidden_states.chunk(2), strict=True)
        return torch.cat([processor(attn, half, *args, **kwargs) for processor, half in halves])


def attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, nearness: Tensor | None = None
) -> Tensor:
    """Multi-head self-attention over the second dimension of (rows, N, C) tensors.

    `nearness`, a number a key, is added to its logits.
    """
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    near = None if nearness is None else nearness.to(query).expand(1, 1, query.shape[2], -1)
    if query.requires_grad and query.device.type == "cpu" and key.shape[2] <= SHORT:
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = (logits if near is None else logits + near).softmax(-1)
        mixed = weights @ value
    else:
        parts = zip(query.split(CUDA_ROWS), key.split(CUDA_ROWS), value.split(CUDA_ROWS), strict=True)
        done = [scaled_dot_product_attention(*part, attn_mask=near) for part in parts]
        mixed = done[0] if len(done) == 1 else torch.cat(done)  # which copies even a single one
    return mixed.transpose(1, 2).flatten(2)


class LiveEmbedding:
    """A motion while it is learnt: the leaves that gradients reach, and the processors that carry them.

    Queries, keys and values start untouched: `qk` and `time` at zero. `space` is random and small, because
    with both factors at zero no gradient would ever reach either.
    """

    def __init__(
        self,
        sites: Iterable[Site],
        frames: int,
        version: str,
        rank: int,
        generator: torch.Generator,
        device: torch.device,
        processor: type[MotionProcessor] = MotionProcessor,
    ) -> None:
        self.version, self.processor = version, processor
        self.sites: dict[str, SiteEmbedding] = {}
        for site in sites:
            parts = {"qk": torch.zeros(frames, site.channels)}
            if version == "v2":
                places = site.grid[0] * site.grid[1]
                parts["space"] = SPREAD * torch.randn(1, places, rank, generator=generator)
                parts["time"] = torch.zeros(rank, frames, site.channels)
            leaves = {part: tensor.to(device).requires_grad_() for part, tensor in parts.items()}
            self.sites[site.name] = SiteEmbedding(**leaves, grid=site.grid)
        self.processors = self.played(self.sites)

    def parameters(self) -> list[Tensor]:
        """The tensors to be learnt."""
        parts = [part for site in self.sites.values() for part in (site.qk, site.space, site.time)]
        return [part for part in parts if part is not None]

    def played(self, sites: dict[str, SiteEmbedding]) -> dict[str, MotionProcessor]:
        """Processors that carry what was made of `sites`: gradients go on to whatever that was made of."""
        return {name: self.processor(site, self.version, live=True) for name, site in sites.items()}

    def motion(self, info: MotionInfo) -> Motion:
        """What has been learnt so far, as a motion of its own on the CPU."""
        sites = {
            name: site.map(lambda part: part.detach().cpu().clone()) for name, site in self.sites.items()
        }
        return Motion(sites, info)


@contextmanager
def injected(layers: dict[str, Any], processors: dict[str, Any], half: bool = False) -> Iterator[None]:
    """Each named attention layer with the processor of that name; the old ones come back in any case.

    With `half` the first half of each batch still goes through the old ones.
    """
    before = {name: layers[name].processor for name in processors}
    try:
        for name, processor in processors.items():
            layers[name].set_processor(HalfProcessor(before[name], processor) if half else processor)
        yield
    finally:
        for name, processor in before.items():
            layers[name].set_processor(processor)
