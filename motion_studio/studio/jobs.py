"""Long work, a job of each lane at a time, in threads that no page owns: who comes back with its id finds it.

A job's progress, losses, latest preview and result stay on the Job; a journal in SQLite remembers, over
restarts, what ran and how it ended.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from motion_studio.errors import Cancelled, InputError, MotionStudioError
from motion_studio.studio.events import Done, Event, LossPoint, Preview, Progress
from motion_studio.studio.memory import within_memory

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
Make = Callable[[threading.Event, threading.Event], Generator[Event]]
Queue = queue.SimpleQueue["tuple[Job, Make] | None"]

KEPT_RESULTS = 16  # clips or motions of a lane's finished jobs that stay in memory
LISTED = 50
LANES = ("learning", "making")
"""What runs side by side, in turns on one model: nobody waits for a clip until a motion is learnt."""
TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT, title TEXT, state TEXT, error TEXT,
    submitted REAL, started REAL, finished REAL
)"""
log = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of work; times are seconds since 1970. Written by the worker, read by anyone."""

    id: str
    kind: str
    title: str
    state: State = "queued"
    error: str = ""
    submitted: float = 0.0
    started: float | None = None
    finished: float | None = None
    lane: str = LANES[0]
    progress: Progress | None = None
    losses: list[LossPoint] = field(default_factory=list)
    preview: Preview | None = None
    result: Any = None
    _cancel: threading.Event = field(default_factory=threading.Event, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in ("queued", "running")

    @property
    def ending(self) -> bool:
        """Whether it was told to cancel or to stop, and still has a step to end."""
        return self.active and (self._cancel.is_set() or self._stop.is_set())

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return (self.finished or time.time()) - self.started if self.started else 0.0

    @property
    def results(self) -> int:
        """How many clips or motions it holds in memory, at most."""
        return 1 + (len(self.preview.made) if self.preview else 0)

    def cancel(self) -> None:
        """End it within a step, with no result."""
        self._cancel.set()
        if self.state == "queued":  # shown at once; the worker passes over it when its turn comes
            self.state = "cancelled"

    def stop(self) -> None:
        """End it within a step and keep what was learnt so far."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ended; False when `timeout` seconds passed first."""
        return self._ended.wait(timeout)


class Jobs:
    """A queue with one worker thread for each lane, and the journal of all jobs in the SQLite file `path`.

    `left` says by a job's id what it left on disk, for a job of which nothing is in memory any more.
    """

    def __init__(self, path: str | Path, left: Callable[[str], Any] = lambda _id: None):
        self._left = left
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._queues: dict[str, Queue] = {lane: queue.SimpleQueue() for lane in LANES}
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._journal = sqlite3.connect(path, check_same_thread=False, timeout=10)
            with self._journal:
                self._journal.execute(TABLE)
                # Whoever was at these is gone. A process that lives after all writes its end over this.
                self._journal.execute(
                    "UPDATE jobs SET state = 'interrupted', error = ? WHERE state IN ('queued', 'running')",
                    ("The studio closed before this job ended.",),
                )
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"Cannot keep the journal of jobs in {path}: {error}.") from None
        self._workers = [
            threading.Thread(target=self._work, args=(waiting,), name=lane, daemon=True)
            for lane, waiting in self._queues.items()
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, kind: str, title: str, make: Make, lane: str = LANES[0], job_id: str = "") -> Job:
        """Queue a job in one of LANES; its worker calls `make(cancel, stop)` for a generator of events."""
        job = Job(job_id or new_id(), kind, title, submitted=time.time(), lane=lane)
        with self._lock:
            self._jobs[job.id] = job
        self._write(job)
        self._queues[lane].put((job, make))
        return job

    def get(self, job_id: str) -> Job:
        """The job of that id, with its progress and result if this process ran it. Raises InputError.

        Of one that ended well before, the result is what it left.
        """
        with self._lock:
            if job_id in self._jobs:
                return self._jobs[job_id]
            past = self._past("id = ?", str(job_id))
        if not past:
            raise InputError(f"There is no job {str(job_id)[:40]!r}.")
        if past[0].state == "done":
            past[0].result = self._left(past[0].id)
        return past[0]

    def list(self) -> list[Job]:
        """The last 50 jobs and whatever is still in memory, the newest first."""
        with self._lock:
            jobs = {job.id: job for job in self._past("1")} | self._jobs
        return sorted(jobs.values(), key=lambda job: job.submitted, reverse=True)

    def close(self, timeout: float = 10.0) -> None:
        """Cancel what waits or runs, and end the workers."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()
        for waiting in self._queues.values():
            waiting.put(None)
        for worker in self._workers:
            worker.join(timeout)
        with self._lock:
            self._journal.close()

    def _past(self, where: str, *values: str) -> list[Job]:
        rows = self._journal.execute(
            "SELECT id, kind, title, state, error, submitted, started, finished FROM jobs"
            f" WHERE {where} ORDER BY submitted DESC, rowid DESC LIMIT {LISTED}",
            values,
        )
        return [Job(*row) for row in rows]

    def _write(self, job: Job) -> None:
        row = (job.id, job.kind, job.title, job.state, job.error, job.submitted, job.started, job.finished)
        try:
            with self._lock, self._journal:
                self._journal.execute(
                    f"INSERT OR REPLACE INTO jobs VALUES ({', '.join('?' * len(row))})", row
                )
        except sqlite3.Error:  # a full disk under the journal stops no work
            log.exception("The journal of job %s could not be written", job.id)

    def _work(self, waiting: Queue) -> None:
        while (item := waiting.get()) is not None:
            job, make = item
            if not job._cancel.is_set():
                job.state, job.started = "running", time.time()
                self._write(job)
            self._end(job, *_run(job, make))
            del item, job, make  # while it waits, nothing holds a clip that was forgotten

    def _end(self, job: Job, state: State, error: str, result: Any) -> None:
        job.finished = time.time()
        job.error = error
        # Only now, though it was there before the model was restored: a page that showed it, and saw the job
        # end after that, would show it again to one who threw it away meanwhile.
        job.result = result
        job.state = state
        self._write(job)
        job._ended.set()
        self._forget(job.lane)

    def _forget(self, lane: str) -> None:
        """Keep the last results of a lane: any number of clips leaves a learnt motion where it is."""
        with self._lock:
            ended = [job for job in self._jobs.values() if job.lane == lane and job._ended.is_set()]
            held = 0
            for job in sorted(ended, key=lambda job: job.finished or 0.0, reverse=True):
                held += job.results
                if held > KEPT_RESULTS:
                    del self._jobs[job.id]


def new_id() -> str:
    """An id that no other job has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def _run(job: Job, make: Make) -> tuple[State, str, Any]:
    """Play the job's events onto it; returns its last state, a line of error and the result."""
    if job._cancel.is_set():
        return "cancelled", "", None
    try:
        # Closed here, so that the model is restored before the next job starts.
        with within_memory(job.lane), contextlib.closing(make(job._cancel, job._stop)) as events:
            for event in events:
                if isinstance(event, Progress):
                    job.progress = event
                elif isinstance(event, LossPoint):
                    job.losses.append(event)
                elif isinstance(event, Preview):
                    job.preview = event
                if job._cancel.is_set():
                    return "cancelled", "", None
                if isinstance(event, Done):
                    return "done", "", event.result
        return "failed", "The job ended without a result.", None
    except Cancelled:
        return "cancelled", "", None
    except MotionStudioError as error:
        return "failed", " ".join(str(error).split()), None
    except Exception as error:
        log.exception("Job %s (%s) failed", job.id, job.kind)
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", None
