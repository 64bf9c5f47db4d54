"""Base models are loaded beside the work of others, and none is left half moved when memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny import SPEC, made, settings, tiny_backbone

from motion_studio.backbones import memory
from motion_studio.errors import OutOfMemory
from motion_studio.studio import manager as module
from motion_studio.studio.generate import generate
from motion_studio.studio.jobs import Jobs
from motion_studio.studio.manager import Manager
from motion_studio.studio.memory import ADVICE, CHECKPOINTING, FLOAT8, OFFLOAD

PLENTY = 2**50


class Machine:
    """A manager of a GPU that is not there, whose free bytes are told here."""

    def __init__(self, monkeypatch):
        self.free, self.loads = PLENTY, []
        monkeypatch.setattr(module, "devices", lambda: ["cpu", "cuda"])
        monkeypatch.setattr(module, "find", lambda name: replace(SPEC, name=name, memory_mb=100))
        monkeypatch.setattr(module, "load", self.load)
        self.manager = Manager("cuda", lambda device: self.free)

    def load(self, name, device):
        self.loads.append(name)
        return tiny_backbone()


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def lacking(monkeypatch, owner, name: str, calls: int) -> None:
    """From its call of that number on, what `owner` calls `name` finds no memory."""
    own: Callable = getattr(owner, name)
    seen = []

    def called(*args, **kwargs):
        seen.append(args)
        if len(seen) >= calls:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return own(*args, **kwargs)

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize(
    ("owner", "name", "calls", "before", "levers"),
    [
        (memory, "cpu_offload", 2, PLENTY, {OFFLOAD, FLOAT8}),
        (memory, "_store", 5, PLENTY, {OFFLOAD, FLOAT8}),
        (memory, "remove_hook_from_submodules", 2, 0, set()),
        (torch.nn.Module, "to", 1, 0, set()),
    ],
    ids=["sent away", "stored as float8", "brought back", "on its way back"],
)
def test_a_base_that_was_half_moved_is_loaded_anew(machine, monkeypatch, owner, name, calls, before, levers):
    manager, wanted = machine.manager, made(tiny_backbone(), settings(seed=3))
    machine.free = before
    manager.backbone("a")
    machine.free = 0 if before else PLENTY
    with monkeypatch.context() as short:
        lacking(short, owner, name, calls)
        with pytest.raises(OutOfMemory) as caught:
            manager.backbone("a")
    assert str(caught.value) == ADVICE["loading"] and manager.levers("a") == []
    assert manager.lock._owner is None and not manager._loading.locked()
    with manager.using("a") as backbone:
        assert machine.loads == ["a", "a"] and set(manager.levers("a")) == levers
        if FLOAT8 not in levers:
            assert torch.equal(made(backbone, settings(seed=3)), wanted)
        else:
            assert made(backbone, settings(seed=3)).isfinite().all()


def test_a_base_that_others_hold_stays(machine, monkeypatch):
    manager = machine.manager
    with manager.using("a") as held:
        machine.free = 0
        with monkeypatch.context() as short:
            lacking(short, module, "levers", 1)
            with pytest.raises(OutOfMemory):
                manager.backbone("a", levels=2)
        assert manager.backbone("a") is held
        with manager.using("a", levels=2) as again:
            assert again is held and manager.levers("a") == [CHECKPOINTING]
    assert machine.loads == ["a"] and not manager._held["a"]


def test_one_that_was_half_sent_away_to_make_room_is_loaded_anew(machine, monkeypatch):
    manager = machine.manager
    manager.backbone("a")
    machine.free = 0
    with monkeypatch.context() as short:
        lacking(short, memory, "cpu_offload", 2)
        with pytest.raises(OutOfMemory):
            manager.backbone("b")
    machine.free = PLENTY
    manager.backbone("a")
    assert machine.loads == ["a", "a"]


def test_a_clip_is_made_and_cancelled_while_another_base_loads(machine, monkeypatch, tmp_path):
    manager, reading, read = machine.manager, threading.Event(), threading.Event()

    def load(name, device):
        if name == "b":
            reading.set()
            assert read.wait(60)
        return tiny_backbone()

    monkeypatch.setattr(module, "load", load)
    manager.backbone("a")
    loader = threading.Thread(target=manager.backbone, args=("b",), daemon=True)
    loader.start()
    assert reading.wait(30)
    jobs = Jobs(tmp_path / "jobs.sqlite")

    def clip(steps):
        def make(cancel, stop):
            with manager.using("a") as backbone:
                yield from generate(backbone, settings(steps=steps), cancel=cancel)

        return make

    try:
        whole = jobs.submit("generate", "whole", clip(2), "making")
        assert whole.wait(20) and whole.state == "done"
        long = jobs.submit("generate", "long", clip(500), "making")
        while long.progress is None or long.progress.step < 2:
            assert not long.wait(0.01), long.error
        long.cancel()
        assert long.wait(20) and long.state == "cancelled"
        assert "b" not in manager._loaded
    finally:
        read.set()
    loader.join(30)
    assert "b" in manager._loaded
    jobs.close()


def test_two_who_hold_a_base_and_load_the_other_do_not_wait_for_ever(machine):
    manager, barrier = machine.manager, threading.Barrier(2)
    found: list[tuple] = []

    def work(own, other):
        with manager.using(own) as first:
            barrier.wait(30)
            with manager.using(other) as second:
                found.append((own, first, other, second))

    threads = [threading.Thread(target=work, args=names, daemon=True) for names in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (one, two) = found
    assert one[1] is two[3] and one[3] is two[1] and sorted(machine.loads) == ["a", "b"]


def test_two_threads_that_ask_for_one_base_at_once_load_it_once(machine, monkeypatch):
    manager, asked, found = machine.manager, threading.Event(), []

    def load(name, device):
        machine.loads.append(name)
        assert asked.wait(30)  # the other waits by now
        return tiny_backbone()

    monkeypatch.setattr(module, "load", load)
    threads = [threading.Thread(target=lambda: found.append(manager.backbone("a"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    threads[0].join(0.2)
    asked.set()
    for thread in threads:
        thread.join(30)
    assert machine.loads == ["a"] and len(found) == 2 and found[0] is found[1]
