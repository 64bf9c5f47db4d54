"""Training data of the built-in model: frames for the autoencoder, encoded clips for the denoiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from motion_studio.motion.looks import shuffle_looks
from motion_studio.toybox.sample import HELD_OUT, caption, nameable, pick, sample_scene
from motion_studio.toybox.shapes import SYMMETRY
from motion_studio.toybox.words import GROWING
from motion_studio.toybox.world import Thing, mask, render

NAMED, SHUFFLED, DROPPED, SHORTENED = 0.75, 0.1, 0.05, 0.06
"""Shares of the clips: motion in the caption (if it has a name), odd colours, no caption, a word left out."""

PICTURE = 128
"""Pixels a side that the autoencoder draws."""

TWO = 0.15
"""Share of the clips of any kind that show a second object, with a motion of its own."""

TAUGHT = {"straight": 1, "circle": 3, "bounce": 2, "wave": 1, "zigzag": 1, "spin": 3, "grow": 1}
"""What lessons are drawn from: family to how often against the others, the harder ones more."""
FILMED = ["pan", "tilt", "zoom", "roll"]
"""The camera's part of the lessons, each as often."""
DRILLED = {
    "moving": "straight",
    "arcing": "circle",
    "circling": "circle",
    "spinning": "spin",
    "growing": "grow",
    "shrinking": "grow",
}
"""Names of motions that drills show, and their families."""
DRILLS = {
    "drill": {"moving": 1},
    "turn": {"arcing": 3, "circling": 1, "spinning": 3, "growing": 1, "shrinking": 1},
}
"""Kinds of drills, and how often each shows which motions."""
SHARES = {
    "turns": {"any": 0.2, "drill": 0.35, "turn": 0.3, "lesson": 0.1, "filmed": 0.05},
    "lessons": {"any": 0.3, "drill": 0.05, "turn": 0.15, "lesson": 0.35, "filmed": 0.15},
}
"""Kinds of clips in the stages that mix them, and how often each is drawn."""


def seeded(rng: np.random.Generator) -> torch.Generator:
    """Return a torch generator whose seed is drawn from `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def frame_batch(seed: int, scenes: int = 8, frames: int = 2) -> Tensor:
    """Return (scenes · frames, 3, 128, 128) in [0, 1] for the autoencoder, a quarter in odd colours."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(scenes):
        picture = render(sample_scene(int(rng.integers(HELD_OUT)), frames), PICTURE).frames
        out.append(shuffle_looks(picture, seeded(rng)) if rng.uniform() < 0.25 else picture)
    return torch.cat(out)


def drill_clip(seed: int, kind: str) -> tuple[Tensor, str, Tensor]:
    """Return one clip as `training_clip` does: its object moves on plain ground, and the caption says how."""
    rng = np.random.default_rng([seed, 2])
    name = pick(DRILLS[kind], rng)
    while True:
        scene = sample_scene(int(rng.integers(HELD_OUT)), move=DRILLED[name], camera="none")
        if scene.things[0].words.startswith(name) and _telling(scene.things[0]):
            break
    scene = replace(scene, ground=replace(scene.ground, pattern="plain"))
    return render(scene).frames, caption(scene), torch.from_numpy(mask(scene, 16))


def _telling(thing: Thing) -> bool:
    """Whether a motion is large, and the mean of all that its words name is too.

    Circles from anywhere are none, and so are spins farther than a shape looks the same again.
    """
    if thing.words.startswith("spinning"):
        return SYMMETRY[thing.shape] <= 3 and 1.0 < np.ptp(thing.angle) < 1.9
    if thing.words in GROWING:
        return np.ptp(np.log(thing.scale)) > 0.4
    return np.ptp(thing.path, axis=0).max() >= 0.25 and (
        thing.words.startswith("moving") or "from" in thing.words
    )


def training_clip(seed: int, kind: str = "any", two: float = TWO) -> tuple[Tensor, str, Tensor]:
    """Return one clip's frames (16, 3, 64, 64), the caption it is trained with, and where its objects are.

    The last is the objects' coverage, grown by a cell, on the latents' grid: (16, 16, 16) in [0, 1]. A
    "lesson" shows a named motion under a still camera, a "filmed" one a named motion of the camera. `two` is
    the chance of a second object in clips of any kind.
    """
    rng = np.random.default_rng([seed, 1])
    if kind == "lesson":
        scene = sample_scene(seed, move=pick(TAUGHT, rng), camera="none")
    elif kind == "filmed":
        scene = sample_scene(seed, move="still", camera=str(rng.choice(FILMED)))
    else:
        scene = sample_scene(seed, two=two)
    text = caption(scene, kind != "any" or (nameable(scene) and rng.uniform() < NAMED))
    frames = render(scene).frames
    covers = np.stack([mask(scene, 16, index) for index in range(len(scene.things))])
    cover = F.max_pool2d(torch.from_numpy(covers.max(0)), 3, 1, 1)
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


class Clips(Dataset):
    """Seeded clips of one kind, one after another without an end; its frames have 8 bits, as a file's do.

    `kind` is "any", or of DRILLS or SHARES.
    """

    def __init__(self, seed: int, kind: str, two: float = TWO) -> None:
        self.seed, self.kind, self.two = seed, kind, two

    def __len__(self) -> int:
        return HELD_OUT

    def __getitem__(self, index: int) -> tuple[Tensor, str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        seed, kind = int(rng.integers(HELD_OUT)), self.kind
        if kind in SHARES:
            kind = pick(SHARES[kind], rng)
        drill = kind in DRILLS
        frames, text, cover = drill_clip(seed, kind) if drill else training_clip(seed, kind, self.two)
        return (frames * 255).round().byte(), text, cover


class LatentPool:
    """Encoded clips with their token ids on the autoencoder's device; new ones replace the oldest."""

    def __init__(
        self,
        vae: nn.Module,
        tokenizer,
        size: int,
        seed: int,
        kind: str = "any",
        fresh: int = 2,
        workers: int = 0,
        two: float = TWO,
    ) -> None:
        """Keep `size` clips at most, `fresh` of them drawn at once, by `workers` processes beside this one.

        The clips are the same ones in the same order whatever the number of workers.
        """
        self.vae, self.tokenizer, self.size = vae, tokenizer, size
        self.rng = np.random.default_rng(seed)
        self.drawn = iter(DataLoader(Clips(seed, kind, two), fresh, num_workers=workers))
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, self.size)

    @torch.no_grad()
    def add(self) -> None:
        """Encode the next clips drawn."""
        clips, texts, covers = next(self.drawn)
        device = next(self.vae.parameters()).device
        frames = clips.to(device).flatten(0, 1).float() / 127.5 - 1
        latents = self.vae.encode(frames).latents.float() * self.vae.config.scaling_factor
        latents = latents.unflatten(0, (len(clips), -1)).transpose(1, 2).half()  # (count, C, F, h, w)
        ids = self.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        new = latents, ids.to(device), covers.to(device).half()
        if not self.added:
            self.kept = tuple(part.new_empty(self.size, *part.shape[1:]) for part in new)
        where = torch.arange(self.added, self.added + len(clips), device=device) % self.size
        for kept, part in zip(self.kept, new, strict=True):
            kept[where] = part
        self.added += len(clips)

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents (count, C, F, h, w), token ids (count, L) and objects' coverage (count, F, h, w)."""
        pick = torch.from_numpy(self.rng.integers(len(self), size=count)).to(self.kept[0].device)
        latents, ids, cover = (part[pick] for part in self.kept)
        return latents.float(), ids, cover.float()
