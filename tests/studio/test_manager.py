from __future__ import annotations

import threading

import pytest
import torch
from tiny import tiny_backbone

from motion_studio.errors import SettingsError
from motion_studio.studio import manager as module
from motion_studio.studio.manager import Manager


def test_a_base_is_loaded_once(monkeypatch):
    loaded = []

    def load(name, device):
        loaded.append((name, device))
        return tiny_backbone()

    monkeypatch.setattr(module, "load", load)
    manager = Manager("cpu")
    found = []
    threads = [threading.Thread(target=lambda: found.append(manager.backbone("tiny"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [("tiny", "cpu")] and len({id(backbone) for backbone in found}) == 1
    assert found[0].lock is manager.lock


def test_an_unknown_base_lists_the_known():
    with pytest.raises(SettingsError, match="toybox"):
        Manager("cpu").backbone("nowhere")


def test_two_threads_take_turns():
    """What one thread plays never gets into what another predicts."""
    backbone = tiny_backbone()
    backbone.lock = Manager("cpu").lock
    latents, text = torch.randn(1, 4, 4, 8, 8), backbone.encode_text([""])
    with torch.no_grad():
        bare = backbone.predict(latents, 500, text)
    loud = {name: lambda _attn, hidden, **_kwargs: hidden * 0 + 9 for name in backbone.sites}
    seen = []

    def predict():
        with torch.no_grad():
            for _ in range(8):
                seen.append(torch.equal(backbone.predict(latents, 500, text), bare))

    other = threading.Thread(target=predict)
    other.start()
    with torch.no_grad():
        for _ in range(8):
            with backbone.playing(loud):
                assert not torch.equal(backbone.predict(latents, 500, text), bare)
    other.join()
    assert seen == [True] * 8
