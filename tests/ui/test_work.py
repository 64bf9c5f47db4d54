"""A job as the page follows it."""

from __future__ import annotations

import threading

import gradio as gr
import pytest

from motion_studio.studio.events import Done, Progress
from motion_studio.studio.jobs import Jobs
from motion_studio.ui.work import Watch


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path / "jobs.sqlite")
    yield made
    made.close()


def test_a_job_that_ends_while_it_is_shown_is_shown_again(jobs):
    started, end = threading.Event(), threading.Event()

    def make(cancel, stop):
        yield Progress(0, 1, "At work")
        started.set()
        end.wait(10)
        yield Done("the result")

    shown = []

    def show(job):
        shown.append(job.state)
        end.set()
        assert job.wait(10)  # it ends just here, after it was seen to run
        return (gr.skip(),)

    with gr.Blocks() as page:
        watch, cancel, screen = Watch(jobs, "test"), gr.Button(), gr.HTML()
        watch.wire(page.load, cancel, [screen], show)
    job = jobs.submit("test", "A job", make)
    assert started.wait(10)
    seen, timer, *_ = watch.look(job.id, None)
    assert timer.active, "the page looks again"
    _, timer, *_ = watch.look(job.id, seen)
    assert shown == ["running", "done"] and not timer.active


def test_a_look_at_the_job_before_leaves_the_next_ones_timer_alone(jobs):
    def make(cancel, stop):
        yield Done("the result")

    with gr.Blocks() as page:
        watch, cancel, screen = Watch(jobs, "test"), gr.Button(), gr.HTML()
        watch.wire(page.load, cancel, [screen], lambda job: (job.id,))
    before, after = (jobs.submit("test", "A job", make) for _ in range(2))
    assert before.wait(10) and after.wait(10)
    _, seen, *_ = watch.start(after)
    assert len(watch.look(before.id, seen)) == len(watch.look(after.id, seen))
    assert all(update == gr.skip() for update in watch.look(before.id, seen))
    _, timer, *_, shown = watch.look(after.id, seen)
    assert not timer.active and shown == after.id
    late = watch.look(before.id, None)[0]  # seen by a look that began before and ends after
    _, timer, *_, shown = watch.look(after.id, late)
    assert not timer.active and shown == after.id
    assert watch.look(before.id, None)[-1] == before.id  # taken up anew, as by a page that is opened
