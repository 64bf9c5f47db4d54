"""Motions learnt once, operated on and played on other looks, and how what comes of them is compared."""

from __future__ import annotations

import numpy as np
import torch
from common import finish, held_out, other_looks, through_a_file
from torch import Tensor
from tqdm import tqdm

from motion_studio.backbones.base import Backbone
from motion_studio.motion.embedding import Motion
from motion_studio.motion.looks import without_looks
from motion_studio.settings import preset
from motion_studio.studio.generate import generate
from motion_studio.studio.invert import invert
from motion_studio.studio.mix import build
from motion_studio.studio.tracks import Mix, Track
from motion_studio.toybox.judge import correlation, spread
from motion_studio.toybox.probe import read
from motion_studio.toybox.sample import caption
from motion_studio.toybox.world import Scene
from motion_studio.video.clip import Clip

CAMERAS = 6
"""Motions of a camera that are mixed with an object's."""
INSIDE = (0.08, 0.92)
"""Where an object must stay to be read."""


class Bench:
    """Motions learnt once, what they give as they were learnt, and a place to play what becomes of them."""

    def __init__(self, backbone: Backbone, number: int, name: str, skip: int) -> None:
        self.backbone = backbone
        self.skip = skip
        self.scenes = held_out("object", number, skip)
        self.asked = [other_looks(scene, 500 + skip + k) for k, scene in enumerate(self.scenes)]
        self.paths = [torch.from_numpy(scene.path()).float() for scene in self.scenes]
        self.motions = [self._learn(scene, name) for scene in tqdm(self.scenes, desc="learning")]
        self.films = held_out("camera", min(CAMERAS, number), skip)
        self.filmed = [self._learn(scene, name) for scene in tqdm(self.films, desc="learning cameras")]
        self.clips, self.labels = [], []
        self.unchanged = [self.path(number, motion) for number, motion in enumerate(self.motions)]

    def _learn(self, scene: Scene, name: str) -> Motion:
        motion = finish(
            invert(self.backbone, through_a_file(scene), preset(name), caption(scene, motion=False))
        )
        return without_looks(motion, self.backbone.default_looks)

    def path(self, number: int, motion: Motion, label: str = "as learnt") -> np.ndarray:
        """Return the path (N, 2) that the object takes in a clip with the motion."""
        seen = read(self.make(self.asked[number], number, motion, label))
        return seen.path if seen else np.zeros((self.backbone.frames, 2))

    def play(self, number: int, motion: Motion, truth: Tensor, label: str) -> dict:
        """Make a clip with the motion and compare its path with the truth (N, 2).

        `unchanged` is the control: how far from that truth the motion goes that nothing was done to.
        """
        row = compared(label, number, self.path(number, motion, label), truth.numpy())
        return row | {"unchanged": distance(self.unchanged[number], truth.numpy())}

    def make(self, asked: Scene, number: int, motion: Motion, label: str) -> Clip:
        """Return a clip of what is asked for with the motion; those of number 0 are kept."""
        settings = self.backbone.spec.generation(caption(asked, motion=False), seed=number)
        clip = finish(generate(self.backbone, settings, motion))
        if number == 0:
            self.clips.append(clip)
            self.labels.append(label)
        return clip


def compared(label: str, number: int, curve: np.ndarray, truth: np.ndarray) -> dict:
    """Return a row: correlation of a curve (N, k) that was read with the truth, its size and its distance."""
    return {
        "operation": label,
        "clip": number,
        "correlation": correlation(curve, truth),
        "size": spread(curve) / max(spread(truth), 1e-6),
        "distance": distance(curve, truth),
        "spread": spread(truth),
    }


def distance(curve: np.ndarray, truth: np.ndarray) -> float:
    """Return the root mean square distance of two curves (N, k) over the frames: it sees place and size."""
    return float(np.sqrt(np.square(curve - truth).sum(1).mean()))


def stays(path: Tensor) -> bool:
    """Whether a path stays where it can be read."""
    return bool(path.min() > INSIDE[0] and path.max() < INSIDE[1])


def mixed(a: Motion, b: Motion, weights: tuple[float, float], together: str) -> Motion:
    """Return the mix of two motions, as the studio builds it."""
    tracks = Track("a", weights[0]), Track("b", weights[1])
    return build(Mix(tracks, together=together), {"a": a, "b": b}.__getitem__)
