from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace

import pytest
import torch
from tiny import SPEC, tiny_backbone, tiny_wan

from motion_studio.backbones.memory import is_away, weight_bytes
from motion_studio.backbones.peaks import learning_bytes
from motion_studio.errors import SettingsError
from motion_studio.settings import InversionSettings
from motion_studio.studio import manager as module
from motion_studio.studio.events import Done
from motion_studio.studio.invert import invert
from motion_studio.studio.manager import MB, Manager
from motion_studio.studio.memory import CHECKPOINTING, FLOAT8, FRAME_BY_FRAME, HALF, OFFLOAD, TILES
from motion_studio.video.clip import Clip

PLENTY = 2**50


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """Managers here may be told of a GPU that is not there."""
    monkeypatch.setattr(module, "devices", lambda: ["cpu", "cuda"])


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


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", ""])
def test_a_device_that_is_not_here(monkeypatch, device):
    monkeypatch.setattr(module, "devices", lambda: ["cpu", "mps"])
    if not device:
        assert Manager(device).device == "cpu"
        return
    with pytest.raises(SettingsError, match=f"'{device}'.*cpu, mps"):
        Manager(device)


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


class Memory:
    """A device of so many megabytes, on which each base takes 100."""

    def __init__(self, monkeypatch, megabytes: int, device: str = "cpu"):
        self.manager = Manager(device, self.free)
        self.size, self.loads = megabytes, []
        share = 100 if device == "cuda" else 50  # known in half precision
        monkeypatch.setattr(module, "find", lambda name: replace(SPEC, name=name, memory_mb=share))
        monkeypatch.setattr(module, "load", self.load)

    def load(self, name, device):
        self.loads.append(name)
        return tiny_backbone()

    def free(self, device):
        taken = sum(0 if away(base) else 100 for base in self.manager._loaded.values())
        return (self.size - taken) * MB


def away(backbone):
    return all(is_away(part) for part in backbone.others)


def test_a_second_base_stands_beside_the_first_while_there_is_room(monkeypatch):
    memory = Memory(monkeypatch, 250)
    for name in ("a", "b", "a", "b"):
        memory.manager.backbone(name)
    assert memory.loads == ["a", "b"]


def test_the_one_used_longest_ago_leaves(monkeypatch):
    memory = Memory(monkeypatch, 250)
    for name in ("a", "b", "a"):
        memory.manager.backbone(name)
    gone = weakref.ref(memory.manager.backbone("b"))
    memory.manager.backbone("a")
    memory.manager.backbone("c")
    gc.collect()
    assert gone() is None
    memory.manager.backbone("a")
    assert memory.loads == ["a", "b", "c"]
    assert memory.manager.levers("b") == []


def test_a_base_in_use_stays(monkeypatch):
    memory = Memory(monkeypatch, 250)
    with memory.manager.using("a") as held, memory.manager.using("a"):
        memory.manager.backbone("b")
        memory.manager.backbone("c")
        assert memory.manager.backbone("a") is held
    assert memory.loads == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError), memory.manager.using("c"):
        _ = 1 / 0
    memory.manager.backbone("b")
    assert list(memory.manager._loaded) == ["c", "b"]  # nobody holds "a" any more


def test_idle_parts_go_before_whole_bases(monkeypatch):
    memory = Memory(monkeypatch, 150, "cuda")
    first = memory.manager.backbone("a")
    memory.manager.backbone("b")
    assert memory.loads == ["a", "b"] and away(first)
    memory.size = 1000
    assert memory.manager.backbone("a") is first and not away(first)
    assert memory.loads == ["a", "b"]


def test_levers_follow_the_free_memory(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_backbone())
    free = [PLENTY]
    manager = Manager("cuda", lambda device: free[0])
    assert manager.levers("a") == []
    backbone = manager.backbone("a")
    hashed, size = backbone.weights_hash, weight_bytes(backbone.denoiser)
    assert manager.levers("a") == [] and backbone.checkpointing == "off" and not away(backbone)

    free[0] = 0
    with manager.using("a", levels=2):
        saving = manager.levers("a")
        assert {OFFLOAD, CHECKPOINTING, FLOAT8} == set(saving)
        assert backbone.checkpointing == "on" and away(backbone)
        free[0] = PLENTY
        manager.backbone("a")
        assert manager.levers("a") == saving  # nothing changes under a job
    assert weight_bytes(backbone.denoiser) < size and backbone.weights_hash == hashed
    manager.backbone("a", levels=2)
    assert manager.levers("a") == [FLOAT8]  # not to be undone without loading again
    assert backbone.checkpointing == "off" and not away(backbone)


def test_decoding_goes_frame_by_frame_where_it_takes_the_most(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_backbone())
    monkeypatch.setattr(module, "decoding_bytes", lambda backbone: (100 * MB, MB))
    free = [50 * MB]
    manager = Manager("cpu", lambda device: free[0])
    backbone = manager.backbone("a")
    assert manager.levers("a") == [FRAME_BY_FRAME] and backbone.chunk == 1
    free[0] = PLENTY
    manager.backbone("a")
    assert manager.levers("a") == [] and backbone.chunk == type(backbone).chunk


def test_a_video_is_decoded_in_tiles_where_that_takes_the_most(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_wan())
    monkeypatch.setattr(module, "decoding_bytes", lambda backbone: (100 * MB, MB))
    free = [50 * MB]
    manager = Manager("cpu", lambda device: free[0])
    backbone = manager.backbone("a")
    assert manager.levers("a") == [TILES] and backbone.pipe.vae.use_tiling
    free[0] = PLENTY
    manager.backbone("a")
    assert manager.levers("a") == [] and not backbone.pipe.vae.use_tiling


def test_making_clips_saves_nothing_for_learning(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_backbone())
    room = 100 * MB
    many = 2 * room // learning_bytes(tiny_backbone(), "part")
    manager = Manager("cuda", lambda device: room)
    with manager.using("a") as backbone:
        assert manager.levers("a") == [] and backbone.checkpointing == "off"
        with manager.using("a", levels=many):  # learning begins beside it
            assert backbone.checkpointing == "on" and not away(backbone)
            assert manager.levers("a") == [CHECKPOINTING]
            manager.backbone("a")
            assert backbone.checkpointing == "on" and manager.levers("a") == [CHECKPOINTING]
    manager.backbone("a", levels=1)
    assert manager.levers("a") == [] and backbone.checkpointing == "off"
    manager.backbone("a", levels=many)
    assert CHECKPOINTING in manager.levers("a") and backbone.checkpointing == "on"
    manager.backbone("a")
    assert manager.levers("a") == [] and not away(backbone)


def test_a_base_that_stays_as_it_is_is_taken_up_at_once(monkeypatch):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_backbone())
    free, released = [PLENTY], []
    manager = Manager("cuda", lambda device: free[0])
    manager.backbone("a", levels=2)
    monkeypatch.setattr(module, "release", lambda: released.append(manager.levers("a")))
    for levels in (2, 0, 2):
        manager.backbone("a", levels)
    assert not released  # which takes a fifth of a second
    free[0] = 0
    manager.backbone("a", levels=2)
    manager.backbone("a", levels=2)
    assert len(released) == 1


def test_half_precision_is_told(monkeypatch):
    def load(name, device):
        backbone = tiny_backbone()
        for part in (backbone.denoiser, *backbone.others):
            part.bfloat16()
        backbone.dtype = torch.bfloat16
        return backbone

    monkeypatch.setattr(module, "load", load)
    manager = Manager("cpu", lambda device: PLENTY)
    manager.backbone("a")
    assert manager.levers("a") == [HALF]


@pytest.mark.parametrize("hybrid", [False, True])
def test_learning_gives_the_same_motion_with_all_levers_but_float8(monkeypatch, hybrid):
    monkeypatch.setattr(module, "load", lambda name, device: tiny_backbone())
    clip = Clip(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 8)
    settings = InversionSettings(steps=2, preview_every=1, hybrid=hybrid)
    motions = []
    for free in (PLENTY, 0):
        manager = Manager("cpu", lambda device, free=free: free)
        with manager.using("tiny", settings.noise_levels) as backbone:
            assert (CHECKPOINTING in manager.levers("tiny")) == (free == 0)
            *_, done = invert(backbone, clip, settings)
            assert isinstance(done, Done)
            motions.append(done.result)
    for name, site in motions[0].sites.items():
        other = motions[1].sites[name]
        assert torch.allclose(site.qk, other.qk, atol=1e-4)
        assert torch.allclose(site.v(), other.v(), atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "by_itself"),
    [("auto", "on"), ("auto", "part"), ("auto", "off"), ("on", "off"), ("part", "on"), ("off", "part")],
)
def test_checkpointing_can_be_asked_for(monkeypatch, asked, by_itself):
    backbone, seen = tiny_backbone(), []
    backbone.checkpointing = by_itself
    own = type(backbone).predict

    def predict(self, *inputs):
        seen.append({type(part).__name__ for part in self.unet.modules() if "forward" in part.__dict__})
        return own(self, *inputs)

    monkeypatch.setattr(type(backbone), "predict", predict)
    clip = Clip(torch.rand(4, 3, 32, 32), 8)
    list(invert(backbone, clip, InversionSettings(steps=1, preview_every=0, checkpointing=asked)))
    wanted = by_itself if asked == "auto" else asked
    assert ("FeedForward" in seen[-1]) == (wanted == "part")
    assert ("ResnetBlock2D" in seen[-1]) == (wanted == "on")
