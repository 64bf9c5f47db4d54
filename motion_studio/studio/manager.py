"""The base models that are loaded: each once, on one device, behind one lock, within its memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.memory import (
    bring_back,
    decode_in_pieces,
    is_away,
    send_away,
    store_as_float8,
    weight_bytes,
)
from motion_studio.backbones.peaks import decoding_bytes, learning_bytes, making_bytes
from motion_studio.backbones.pictures import PictureBackbone
from motion_studio.backbones.registry import find, load
from motion_studio.backbones.turns import TurnLock
from motion_studio.errors import SettingsError
from motion_studio.studio.memory import (
    FLOAT8,
    FRAME_BY_FRAME,
    HALF,
    LEVERS,
    OF_GPUS,
    OF_LEARNING,
    OFFLOAD,
    TILES,
    Need,
    checkpointing,
    devices,
    free_bytes,
    levers,
    release,
    within_memory,
)

MB = 2**20


class Manager:
    """Loads a base model at its first use and keeps it on `device` (a GPU where there is one).

    A second one stands beside it while the memory allows; then the one whose last use is longest ago leaves,
    but never one that `using` holds. `free` tells the free bytes of a device. Raises SettingsError for a
    device that is not here.
    """

    def __init__(self, device: str | None = None, free: Callable[[str], int] = free_bytes) -> None:
        here = devices()
        self.device = device or ("cuda" if "cuda" in here else "cpu")
        if self.device not in here:
            raise SettingsError(f"There is no device {self.device!r} here; torch finds {', '.join(here)}.")
        self.free = free
        self.lock = TurnLock()
        # Taken before `lock`, never while it is held: one reads from the disk while others compute.
        self._loading = threading.Lock()
        # The one used last stands last.
        self._loaded: dict[str, Backbone] = {}
        self._held: Counter[str] = Counter()
        self._needs: dict[str, Need] = {}
        # In force on each.
        self._levers: dict[str, list[str]] = {}

    def backbone(self, name: str, levels: int = 0) -> Backbone:
        """The base model of that name; SettingsError lists the known ones, OutOfMemory if it has no room.

        Its memory is made to do for learning from so many noise levels at once; 0 is for making clips alone.
        It may leave again when another needs its room: a job takes it through `using`. Not to be called by
        who holds `lock`.
        """
        with within_memory("loading"):
            return self._taken(name, levels, 0)

    @contextmanager
    def using(self, name: str, levels: int = 0) -> Iterator[Backbone]:
        """What `backbone` returns, which stays loaded while inside."""
        with within_memory("loading"):
            backbone = self._taken(name, levels, 1)
        try:
            yield backbone
        finally:
            with self.lock:
                self._held[name] -= 1

    def levers(self, name: str) -> list[str]:
        """What saves memory on a base model that is loaded, in words; nothing for one that isn't."""
        backbone = self._loaded.get(name)
        half = [HALF] if backbone is not None and backbone.dtype.itemsize == 2 else []
        return half + self._levers.get(name, [])

    def _taken(self, name: str, levels: int, holds: int) -> Backbone:
        """One that is loaded, if need be now, made to fit and held so many times more."""
        with self.lock:
            if name in self._loaded:
                return self._ready(name, levels, holds)
        with self._loading:
            with self.lock:
                if name in self._loaded:  # who held `_loading` before has loaded it
                    return self._ready(name, levels, holds)
                self._make_room(name)
            backbone = load(name, self.device)
            if any(part.device != backbone.device for part in backbone.others):
                send_away(backbone)  # `_fit` brings them where there is room
            # One device computes for one at a time, whichever model it is.
            backbone.lock = self.lock
            with self.lock:
                self._loaded[name] = backbone
                return self._ready(name, levels, holds)

    def _ready(self, name: str, levels: int, holds: int) -> Backbone:
        backbone = self._loaded[name] = self._loaded.pop(name)
        if levels or not self._held[name]:
            with self._whole(name):
                self._fit(name, levels)
        self._held[name] += holds
        return backbone

    @contextmanager
    def _whole(self, name: str) -> Iterator[None]:
        """Forget a base model of which something was moved in part; the next to ask for it loads it anew."""
        try:
            yield
        except BaseException:
            if not self._held[name]:
                self._forget(name)
            raise

    def _forget(self, name: str) -> None:
        for kept in (self._loaded, self._needs, self._levers):
            kept.pop(name, None)

    def _make_room(self, name: str) -> None:
        """Let idle base models go until that one has room, the parts that seldom compute first."""
        idle = [other for other in self._loaded if not self._held[other]]
        if not idle:
            return
        # What is known of a base's memory is in half precision, as on a GPU.
        needed = find(name).memory_mb * MB * (1 if self.device.startswith("cuda") else 2)
        for other in idle if self.device.startswith("cuda") else []:
            if self.free(self.device) < needed:
                with self._whole(other):
                    send_away(self._loaded[other])
                release()
        for other in idle:
            if self.free(self.device) < needed:
                self._forget(other)
                release()

    def _fit(self, name: str, levels: int) -> None:
        """Save as much memory on a base model as the free memory asks for, and no more.

        Under a job that holds it only what learning computes again is chosen anew: nothing else reads that.
        """
        backbone, before = self._loaded[name], self._levers.get(name, [])
        if name not in self._needs:
            self._needs[name] = _need(backbone)
        need, away = self._needs[name], any(is_away(part) for part in backbone.others)
        free = self.free(self.device) + weight_bytes(backbone.denoiser) + (0 if away else need.others)
        if self._held[name]:
            kept, offered = [lever for lever in before if lever not in OF_LEARNING], list(OF_LEARNING)
        else:
            # Not to be undone without loading again.
            kept = [lever for lever in before if lever == FLOAT8]
            offered = [lever for lever in LEVERS if self.device.startswith("cuda") or lever not in OF_GPUS]
        chosen = levers(need, levels, free, offered, kept)
        backbone.checkpointing = checkpointing(chosen)
        if not self._held[name]:
            decode_in_pieces(backbone, need.pieces[0] in chosen)
            moves, stores = (OFFLOAD in chosen) != away, FLOAT8 in chosen and FLOAT8 not in before
            if moves:
                (send_away if OFFLOAD in chosen else bring_back)(backbone)
            if stores:
                store_as_float8(backbone)
            if moves or stores:  # it takes a fifth of a second
                release()
        self._levers[name] = chosen


def _need(backbone: Backbone) -> Need:
    whole, pieces = decoding_bytes(backbone)
    lever = FRAME_BY_FRAME if isinstance(backbone, PictureBackbone) else TILES
    return Need(
        weight_bytes(backbone.denoiser),
        weight_bytes(*backbone.others),
        making_bytes(backbone),
        whole,
        (lever, pieces),
        cache(partial(learning_bytes, backbone)),
    )
