"""Training data of the built-in model: frames for the autoencoder, encoded clips for the denoiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motion_studio.motion.looks import shuffle_looks
from motion_studio.toybox.motions import MOVES
from motion_studio.toybox.sample import HELD_OUT, caption, nameable, sample_scene
from motion_studio.toybox.world import mask, render

NAMED, SHUFFLED, DROPPED, SHORTENED = 0.75, 0.05, 0.05, 0.06
"""Shares of the clips: motion in the caption (if it has a name), odd colours, no caption, a word left out."""

TAUGHT = [name for name in MOVES if name not in ("free", "still")]
"""What lessons are drawn from, each as often."""
FILMED = ["pan", "tilt", "zoom", "roll"]
"""The camera's part of the lessons, each as often."""
LESSON = {"any": 0.35, "drill": 0.1, "lesson": 0.35, "filmed": 0.2}
"""Shares of the clips while lessons last."""


def seeded(rng: np.random.Generator) -> torch.Generator:
    """Return a torch generator whose seed is drawn from `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def frame_batch(seed: int, scenes: int = 8, frames: int = 2) -> Tensor:
    """Return (scenes · frames, 3, 64, 64) in [0, 1] for the autoencoder, a quarter of them in odd colours."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(scenes):
        picture = render(sample_scene(int(rng.integers(HELD_OUT)), frames)).frames
        out.append(shuffle_looks(picture, seeded(rng)) if rng.uniform() < 0.25 else picture)
    return torch.cat(out)


def drill_clip(seed: int) -> tuple[Tensor, str, Tensor]:
    """Return one clip as `training_clip` does: its object crosses a plain ground on a line, and says so."""
    rng = np.random.default_rng([seed, 2])
    while True:
        scene = sample_scene(int(rng.integers(HELD_OUT)), move="straight", camera="none")
        if np.ptp(scene.things[0].path, axis=0).max() >= 0.25:
            break
    scene = replace(scene, ground=replace(scene.ground, pattern="plain"))
    return render(scene).frames, caption(scene), torch.from_numpy(mask(scene, 16))


def training_clip(seed: int, kind: str = "any") -> tuple[Tensor, str, Tensor]:
    """Return one clip's frames (16, 3, 64, 64), the caption it is trained with, and where its object is.

    The last is the object's coverage, grown by a cell, on the latents' grid: (16, 16, 16) in [0, 1]. A
    "lesson" shows a named motion under a still camera, a "filmed" one a named motion of the camera.
    """
    rng = np.random.default_rng([seed, 1])
    if kind == "lesson":
        scene = sample_scene(seed, move=str(rng.choice(TAUGHT)), camera="none")
    elif kind == "filmed":
        scene = sample_scene(seed, move="still", camera=str(rng.choice(FILMED)))
    else:
        scene = sample_scene(seed)
    text = caption(scene, kind != "any" or (nameable(scene) and rng.uniform() < NAMED))
    frames = render(scene).frames
    cover = F.max_pool2d(torch.from_numpy(mask(scene, 16)), 3, 1, 1)
    chance = rng.uniform()
    if chance < SHUFFLED:
        return shuffle_looks(frames, seeded(rng)), "", cover
    if chance < SHUFFLED + DROPPED:
        return frames, "", cover
    if chance < SHUFFLED + DROPPED + SHORTENED:
        words = text.split()
        words.pop(int(rng.integers(len(words))))
        return frames, " ".join(words), cover
    return frames, text, cover


class LatentPool:
    """Encoded clips with their token ids, a few of them replaced by new ones all the time."""

    def __init__(self, vae: nn.Module, tokenizer, size: int, seed: int) -> None:
        self.vae, self.tokenizer, self.size = vae, tokenizer, size
        self.rng = np.random.default_rng(seed)
        self.clips: list[tuple[Tensor, Tensor, Tensor]] = []

    @torch.no_grad()
    def add(self, count: int, kind: str = "any") -> None:
        """Render and encode `count` new clips; past `size` they take the place of random old ones.

        `kind` is "any", "drill", or "lesson": lessons among the others, as LESSON says.
        """
        seeds = [int(self.rng.integers(HELD_OUT)) for _ in range(count)]
        drawn = [self._draw(seed, kind) for seed in seeds]
        clips, texts, covers = zip(*drawn, strict=True)
        frames = torch.cat(clips) * 2 - 1
        device = next(self.vae.parameters()).device
        with torch.autocast(device.type, torch.bfloat16):
            latents = self.vae.encode(frames.to(device)).latents.float() * self.vae.config.scaling_factor
        latents = latents.unflatten(0, (count, -1)).transpose(1, 2).half().cpu()  # (count, C, F, h, w)
        ids = self.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        for clip in zip(latents, ids, covers, strict=True):
            if len(self.clips) < self.size:
                self.clips.append(clip)
            else:
                self.clips[int(self.rng.integers(self.size))] = clip

    def _draw(self, seed: int, kind: str) -> tuple[Tensor, str, Tensor]:
        if kind == "lesson":
            kind = str(self.rng.choice(list(LESSON), p=list(LESSON.values())))
        return drill_clip(seed) if kind == "drill" else training_clip(seed, kind)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents (count, C, F, h, w), token ids (count, L) and objects' coverage (count, F, h, w)."""
        pick = self.rng.integers(len(self.clips), size=count)
        latents, ids, cover = zip(*(self.clips[i] for i in pick), strict=True)
        return torch.stack(latents).float(), torch.stack(ids), torch.stack(cover).float()
