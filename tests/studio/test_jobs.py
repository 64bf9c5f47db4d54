"""Jobs of a lane run one after another, end within a step, and are remembered over restarts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from motion_studio.errors import Cancelled, ClipError, InputError
from motion_studio.studio.events import Done, LossPoint, Preview, Progress
from motion_studio.studio.jobs import KEPT_RESULTS, TABLE, Jobs


@pytest.fixture
def jobs(tmp_path):
    queue = Jobs(tmp_path / "jobs.sqlite")
    yield queue
    queue.close()


def counting(steps=1000, pause=0.005, seen=None):
    """A use case as ours are: checks `cancel` at every step, keeps what it has at `stop`."""

    def make(cancel, stop):
        for step in range(1, steps + 1):
            if cancel.is_set():
                raise Cancelled("cancelled")
            if stop.is_set():
                break
            time.sleep(pause)
            if seen is not None:
                seen.append(step)
            yield Progress(step, steps, "counting")
            yield LossPoint(step, 1 / step)
        yield Done(step)

    return make


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    assert condition()


def test_a_job_tells_all(jobs):
    job = jobs.submit("invert", "Wave", counting(5, 0))
    assert job.wait(30)
    assert (job.state, job.result, job.error) == ("done", 5, "")
    assert job.progress == Progress(5, 5, "counting")
    assert [point.step for point in job.losses] == [1, 2, 3, 4, 5]
    assert job.finished >= job.started >= job.submitted
    assert jobs.get(job.id) is job


def test_a_result_shows_no_sooner_than_the_end(jobs):
    job, shown, told = None, [], threading.Event()

    def make(cancel, stop):
        try:
            yield Done("a motion")
        finally:  # the model is restored here
            told.wait(30)
            shown.append(job.result)

    job = jobs.submit("invert", "Wave", make)
    told.set()
    assert job.wait(30)
    assert shown == [None]
    assert job.result == "a motion"


def test_one_after_another(jobs):
    running, most = [], []

    def make(cancel, stop):
        running.append(1)
        most.append(len(running))
        try:
            yield from counting(3, 0.002)(cancel, stop)
        finally:
            running.pop()

    started = [jobs.submit("invert", str(n), make) for n in range(4)]
    assert all(job.wait(30) for job in started)
    assert max(most) == 1
    assert [job.title for job in jobs.list()] == ["3", "2", "1", "0"]


def test_lanes_run_side_by_side(jobs):
    learning = jobs.submit("invert", "long", counting())
    made = jobs.submit("generate", "short", counting(3, 0), "making")
    assert made.wait(30) and made.state == "done"
    assert learning.active
    learning.cancel()


def test_cancel_within_a_step(jobs):
    seen = []
    job = jobs.submit("invert", "Wave", counting(seen=seen))
    until(lambda: len(seen) > 2)
    job.cancel()
    last = len(seen)
    assert job.wait(30)
    assert (job.state, job.result) == ("cancelled", None)
    assert len(seen) <= last + 2


def test_cancel_before_its_turn(jobs):
    seen = []
    first = jobs.submit("invert", "first", counting())
    second = jobs.submit("invert", "second", counting(seen=seen))
    second.cancel()
    assert second.state == "cancelled"
    first.cancel()
    assert second.wait(30)
    assert second.state == "cancelled"
    assert not seen


def test_stop_keeps_what_was_learnt(jobs):
    job = jobs.submit("invert", "Wave", counting())
    until(lambda: job.progress and job.progress.step > 2)
    job.stop()
    assert job.wait(30)
    assert job.state == "done"
    assert 2 < job.result < 1000


def test_a_failing_job_has_one_line_and_the_next_runs(jobs):
    def bad_clip(cancel, stop):
        yield Progress(0, 1)
        raise ClipError("no frames:\n  the clip is empty")

    def bug(cancel, stop):
        yield Progress(0, 1)
        raise ZeroDivisionError("division by zero")

    def no_result(cancel, stop):
        yield Progress(1, 1)

    def at_once(cancel, stop):
        raise ClipError("not even started")

    failing = [jobs.submit("invert", "x", make) for make in (bad_clip, bug, no_result, at_once)]
    good = jobs.submit("invert", "good", counting(1, 0))
    assert good.wait(30)
    assert good.state == "done"
    assert [job.error for job in failing] == [
        "no frames: the clip is empty",
        "ZeroDivisionError: division by zero",
        "The job ended without a result.",
        "not even started",
    ]
    assert {job.state for job in failing} == {"failed"}


def test_a_cancelled_generator_is_closed_before_the_next_job(jobs):
    order = []

    def playing(cancel, stop):
        try:
            while True:
                time.sleep(0.002)
                yield Progress(0, 1)
        finally:
            order.append("restored")

    def after(cancel, stop):
        order.append("next")
        yield Done(None)

    first, second = jobs.submit("a", "a", playing), jobs.submit("b", "b", after)
    until(lambda: first.progress is not None)
    first.cancel()
    assert second.wait(30)
    assert order == ["restored", "next"]


def test_the_journal_outlives_the_studio(tmp_path):
    first = Jobs(tmp_path / "jobs.sqlite")
    done = first.submit("generate", "Star", counting(2, 0))
    assert done.wait(30)
    first.close()
    second = Jobs(tmp_path / "jobs.sqlite")
    (job,) = second.list()
    assert (job.id, job.kind, job.title, job.state) == (done.id, "generate", "Star", "done")
    assert second.get(done.id).finished == done.finished
    with pytest.raises(InputError, match="no job"):
        second.get("nonsense")
    second.close()


def test_a_job_whose_process_died_is_interrupted(tmp_path):
    code = """if True:
        import os, sys, time
        from motion_studio.studio.events import Progress
        from motion_studio.studio.jobs import Jobs
        def make(cancel, stop):
            while True:
                yield Progress(1, 9)
                time.sleep(0.01)
        jobs = Jobs(sys.argv[1])
        running, waiting = jobs.submit("invert", "running", make), jobs.submit("invert", "waiting", make)
        while running.progress is None:
            time.sleep(0.01)
        os._exit(9)
    """
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path / "jobs.sqlite")], check=False)
    assert died.returncode == 9
    jobs = Jobs(tmp_path / "jobs.sqlite")
    assert [(job.title, job.state) for job in jobs.list()] == [
        ("waiting", "interrupted"),
        ("running", "interrupted"),
    ]
    assert not any(job.active for job in jobs.list())
    assert jobs.list()[0].error
    jobs.close()


def test_a_job_of_many_clips_counts_as_many(jobs):
    def eight(cancel, stop):
        yield Preview(1, "clip", ("clip",) * 7)
        yield Done("eight clips")

    many = [jobs.submit("sweep", str(n), eight) for n in range(KEPT_RESULTS // 8 + 1)]
    assert all(job.wait(5) for job in many)
    one = jobs.submit("generate", "one", counting(1, 0))
    assert one.wait(5)
    until(lambda: jobs.get(many[-2].id).result is None)  # it has made room
    assert jobs.get(many[-1].id).result == "eight clips" and jobs.get(one.id).result == 1


def test_old_results_are_let_go(jobs):
    all_jobs = [jobs.submit("generate", str(n), counting(1, 0)) for n in range(KEPT_RESULTS + 3)]
    assert all_jobs[-1].wait(30)
    until(lambda: jobs.get(all_jobs[2].id).result is None)
    assert jobs.get(all_jobs[0].id).state == "done"
    assert jobs.get(all_jobs[-1].id).result == 1


def test_close_ends_the_worker(tmp_path):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    job = jobs.submit("invert", "long", counting())
    jobs.close()
    assert job.state == "cancelled"
    assert not any(worker.is_alive() for worker in jobs._workers)


def test_a_journal_that_cannot_be_kept(tmp_path):
    (tmp_path / "jobs.sqlite").write_text("this is no database, and long enough to be seen as none")
    with pytest.raises(InputError, match="journal"):
        Jobs(tmp_path / "jobs.sqlite")


def test_a_learnt_motion_outlasts_any_number_of_clips(jobs):
    learnt = jobs.submit("invert", "Wave", counting(1, 0))
    for n in range(KEPT_RESULTS + 40):
        last = jobs.submit("preview", str(n), counting(1, 0), "making")
    assert last.wait(30) and learnt.wait(30)
    assert jobs.get(learnt.id).result == 1
    assert learnt in jobs.list()

    def kept() -> list:
        return [job for job in jobs.list() if job.lane == "making" and job.result is not None]

    until(lambda: len(kept()) == KEPT_RESULTS)
    assert kept()[0] is last


def test_a_cancel_in_the_last_step_leaves_no_result(jobs):
    inside, go = threading.Event(), threading.Event()

    def make(cancel, stop):
        yield Progress(1, 1)
        inside.set()
        go.wait(10)  # decoding, say, where nobody looks at `cancel`
        yield Done("a clip")

    job = jobs.submit("generate", "Star", make)
    assert inside.wait(10)
    job.cancel()
    go.set()
    assert job.wait(30)
    assert (job.state, job.result) == ("cancelled", None)


def test_a_journal_that_cannot_be_written_stops_no_work(jobs, caplog):
    jobs._journal.execute("DROP TABLE jobs")
    job = jobs.submit("generate", "Star", counting(2, 0))
    assert job.wait(30)
    assert (job.state, job.result) == ("done", 2)
    assert "could not be written" in caplog.text
    jobs._journal.execute(TABLE)
