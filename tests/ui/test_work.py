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
