"""The base models that are loaded: each once, on one device, behind one lock, within its memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.checkpointing import learning_bytes
from motion_studio.backbones.memory import bring_back, is_away, send_away, store_as_float8, weight_bytes
from motion_studio.backbones.pictures import PictureBackbone
from motion_studio.backbones.registry import find, load
from motion_studio.backbones.turns import TurnLock
from motion_studio.studio.memory import (
    CHECKPOINTING,
    FLOAT8,
    FRAME_BY_FRAME,
    HALF,
    OFFLOAD,
    PARTLY,
    Need,
    free_bytes,
    levers,
    release,
)

MB = 2**20
DECODED = 1024
"""Numbers a pixel that an autoencoder's last layers hold at once: four times 256 channels at full size."""


class Manager:
    """Loads a base model at its first use and keeps it on `device` (a GPU where there is one).

    A second one stands beside it while the memory allows; then the one whose last use is longest ago leaves,
    but never one that `using` holds. `free` tells the free bytes of a device.
    """

    def __init__(self, device: str | None = None, free: Callable[[str], int] = free_bytes) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.free = free
        self.lock = TurnLock()
        # The one used last stands last.
        self._loaded: dict[str, Backbone] = {}
        self._held: Counter[str] = Counter()
        # Bytes that a noise level takes in learning.
        self._learning: dict[str, int] = {}
        self._levers: dict[str, list[str]] = {}

    def backbone(self, name: str, levels: int = 0) -> Backbone:
        """The base model of that name; SettingsError lists the known ones.

        Its memory is made to do for learning from so many noise levels at once; 0 is for making clips alone.
        It may leave again when another needs its room: a job takes it through `using`.
        """
        with self.lock:
            if name not in self._loaded:
                self._make_room(name)
                backbone = load(name, self.device)
                if any(part.device != backbone.device for part in backbone.others):
                    send_away(backbone)  # `_fit` brings them where there is room
                # One device computes for one at a time, whichever model it is.
                backbone.lock = self.lock
                self._loaded[name] = backbone
            self._loaded[name] = self._loaded.pop(name)
            if levels or not self._held[name]:
                self._fit(name, levels)
            return self._loaded[name]

    @contextmanager
    def using(self, name: str, levels: int = 0) -> Iterator[Backbone]:
        """What `backbone` returns, which stays loaded while inside."""
        with self.lock:
            backbone = self.backbone(name, levels)
            self._held[name] += 1
        try:
            yield backbone
        finally:
            with self.lock:
                self._held[name] -= 1

    def levers(self, name: str) -> list[str]:
        """What saves memory on a base model that is loaded, in words; nothing for one that isn't."""
        return list(self._levers.get(name, []))

    def _make_room(self, name: str) -> None:
        """Let idle base models go until that one has room, the parts that seldom compute first."""
        idle = [other for other in self._loaded if not self._held[other]]
        if not idle:
            return
        # What is known of a base's memory is in half precision, as on a GPU.
        needed = find(name).memory_mb * MB * (1 if self.device.startswith("cuda") else 2)
        for other in idle if self.device.startswith("cuda") else []:
            if self.free(self.device) < needed:
                send_away(self._loaded[other])
                release()
        for other in idle:
            if self.free(self.device) < needed:
                for kept in (self._loaded, self._learning, self._levers):
                    kept.pop(other, None)
                release()

    def _fit(self, name: str, levels: int) -> None:
        """Save as much memory on a base model as the free memory asks for, and no more.

        Under a job that holds it only what learning computes again is chosen anew: nothing else reads that.
        """
        backbone = self._loaded[name]
        away = all(is_away(part) for part in backbone.others)
        denoiser, others = weight_bytes(backbone.denoiser), weight_bytes(*backbone.others)
        if levels and name not in self._learning:
            self._learning[name] = learning_bytes(backbone)
        need = Need(denoiser, others, levels * self._learning.get(name, 0), _decoding(backbone))
        free = self.free(self.device) + denoiser + (0 if away else others)
        chosen = levers(need, free, self.device)
        if levels:
            partly = "part" if PARTLY in chosen else "off"
            backbone.checkpointing = "on" if CHECKPOINTING in chosen else partly
        if self._held[name]:
            return
        if OFFLOAD in chosen:
            send_away(backbone)
        else:
            bring_back(backbone)
        backbone.chunk = 1 if FRAME_BY_FRAME in chosen else type(backbone).chunk
        if FLOAT8 in self.levers(name):
            chosen = [*(lever for lever in chosen if lever != FLOAT8), FLOAT8]
        elif FLOAT8 in chosen:
            store_as_float8(backbone)
        half = [HALF] if backbone.dtype.itemsize == 2 else []
        self._levers[name] = half + chosen
        release()


def _decoding(backbone: Backbone) -> int:
    """Bytes of decoding a chunk, where pictures are decoded side by side; a video's come in turns."""
    if not isinstance(backbone, PictureBackbone):
        return 0
    pictures = min(type(backbone).chunk, backbone.frames)
    return DECODED * pictures * backbone.height * backbone.width * backbone.dtype.itemsize
