"""The base models that are loaded: each once, on one device, behind one lock."""

from __future__ import annotations

import threading

import torch

from motion_studio.backbones.base import Backbone, load


class Manager:
    """Loads a base model at its first use and keeps it on `device` (a GPU where there is one)."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.lock = threading.RLock()
        self._loaded: dict[str, Backbone] = {}

    def backbone(self, name: str) -> Backbone:
        """The base model of that name; SettingsError lists the known ones."""
        with self.lock:
            if name not in self._loaded:
                backbone = load(name, self.device)
                # One device computes for one at a time, whichever model it is.
                backbone.lock = self.lock
                self._loaded[name] = backbone
            return self._loaded[name]
