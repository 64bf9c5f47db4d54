"""A lock that is fair: two jobs on one model take turns, step by step."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class TurnLock:
    """A re-entrant lock that is handed to whoever has waited longest.

    A job lets go of the model between steps and wants it again at once; threading's locks would mostly give
    it back to the same job, and another would wait until the first is done.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> TurnLock:
        me = threading.get_ident()
        with self._guard:
            if self._owner in (None, me):
                self._owner, self._depth = me, self._depth + 1
                return self
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append((me, turn))
        turn.acquire()  # until `__exit__` makes this thread the owner
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            self._owner = None
            if self._waiting:
                self._owner, turn = self._waiting.popleft()
                self._depth = 1
                turn.release()
