"""The lock of a model: one at a time, again from within, and nobody starves behind who keeps coming back."""

from __future__ import annotations

import threading
import time

import pytest

from motion_studio.backbones.turns import TurnLock


def test_who_waits_comes_before_who_comes_back():
    lock, came = TurnLock(), threading.Event()

    def wait() -> None:
        with lock:
            came.set()

    with lock:
        threading.Thread(target=wait, daemon=True).start()
        while not lock._waiting:
            time.sleep(0.001)
    with lock:
        assert came.is_set()


def test_whoever_has_waited_longest_is_next():
    lock, came, threads = TurnLock(), [], []

    def wait(number: int) -> None:
        with lock:
            came.append(number)

    with lock:
        for number in range(3):
            threads.append(threading.Thread(target=wait, args=(number,), daemon=True))
            threads[-1].start()
            while len(lock._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert came == [0, 1, 2]


def test_one_holds_it_at_a_time():
    lock, held, inside = TurnLock(), [], []
    ready = threading.Barrier(2)

    def work(name: str) -> None:
        ready.wait()
        for _ in range(50):
            with lock:
                inside.append(name)
                time.sleep(0.001)
                held.append((name, list(inside)))
                inside.clear()

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(held) == 100 and all(seen == [name] for name, seen in held)


def test_its_holder_may_take_it_again():
    lock, came = TurnLock(), threading.Event()

    def wait() -> None:
        with lock:
            came.set()

    with lock:
        thread = threading.Thread(target=wait)
        thread.start()
        with lock:
            pass
        assert not came.wait(0.1)
    assert came.wait(10)
    thread.join(10)


def test_an_error_lets_it_go():
    lock, came = TurnLock(), threading.Event()
    with pytest.raises(KeyError), lock, lock:
        raise KeyError

    def wait() -> None:
        with lock:
            came.set()

    threading.Thread(target=wait, daemon=True).start()
    assert came.wait(10)
