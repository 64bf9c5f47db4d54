"""A job as the page shows it: a bar, a line of words, and when to look again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from motion_studio.errors import InputError, MotionStudioError
from motion_studio.studio.jobs import Job, Jobs
from motion_studio.ui import text

POLL_SECONDS = 0.4
# Of two cards clicked in haste the second counts: gradio drops what comes during an event, unless told so.
LATEST: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
# Not secret: what a browser remembers of its own work must be readable after the studio was started anew.
SECRET = "motion-studio"


def friendly(event: Callable[..., Any]) -> Callable[..., Any]:
    """An event whose errors of ours show as one line on the page."""

    @functools.wraps(event)
    def wrapped(*args: Any) -> Any:
        try:
            return event(*args)
        except MotionStudioError as error:
            raise gr.Error(one_line(error), print_exception=False) from None

    return wrapped


def one_line(error: object) -> str:
    """An error's words on one line, safe to show."""
    return escape(" ".join(str(error).split()))


def remembered(what: str, default: Any, base: str = "") -> gr.BrowserState:
    """A value that this browser keeps when the page is closed, for a `base` model if one is named.

    No other browser sees it.
    To be rendered outside of the tabs: what is in one that is not open yet is not read as the page loads.
    """
    key = "-".join(filter(None, ("motion-studio", what, base)))
    return gr.BrowserState(default, storage_key=key, secret=SECRET, render=False)


class Watch:
    """Follows one job on the page: a bar, a cancel button and a timer that looks again while it runs.

    The browser remembers its last job, and takes it up again on a page that is opened anew. `outputs` takes
    what `start` returns. At anything new, `show(job)` gives the updates of the tab's `shown`.
    """

    def __init__(self, jobs: Jobs, name: str):
        self.jobs = jobs
        self.done_with: set[str] = set()
        self.id = remembered(f"job-{name}", "")
        self.seen = gr.State(None)
        self.timer = gr.Timer(POLL_SECONDS, active=False)
        self.progress = gr.HTML(apply_default_css=False)

    def wire(
        self,
        opened: Callable[..., Any],
        cancel: gr.Button,
        shown: list[Any],
        show: Callable[[Job], Any],
    ) -> None:
        """Look at the job at each tick, and take it up again as the page is `opened` (`page.load`, say)."""
        self.id.render()
        self.outputs = [self.id, self.seen, self.timer, self.progress, cancel]
        self.shown, self.show = shown, show
        self.timer.tick(self.look, [self.id, self.seen], [*self.outputs[1:], *shown], show_progress="hidden")
        opened(self._attach, self.id, [*self.outputs, *shown], show_progress="hidden")
        cancel.click(self.cancel, self.id, None, show_progress="hidden")

    def look(self, job_id: str, seen: Any) -> tuple[Any, ...]:
        """The updates of `outputs` but the first, and of what is shown, since the page has `seen` the job."""
        job = self.jobs.get(job_id) if job_id else None
        # A look at the job before, under way as the next one began, would stop the timer of that. (Where such
        # a look ends later still, what was seen is the older one, and the next look mends it.)
        if job is None or (seen is not None and seen[0] != job.id and seen[1] > job.submitted):
            return (gr.skip(),) * (len(self.outputs) - 1 + len(self.shown))
        # First of all: were it read after `show`, a job that ends in between would stop the timer unshown.
        state = self._state(job)
        done = (job.state, job.ending, job.preview and job.preview.step, len(job.losses))
        now = (job.id, job.submitted, *done)
        if job.state == "failed" and now != seen and seen is not None:  # nor again on a page opened anew
            gr.Warning(one_line(job.error))
        updates = self.show(job) if now != seen else (gr.skip(),) * len(self.shown)
        return now, *state, *updates

    def _attach(self, job_id: str) -> tuple[Any, ...]:
        """Take up the browser's last job: it goes on, left a result, or says why it left none."""
        if not job_id:  # one may have been started by now, on a page that still opens: it is left as it is
            return (gr.skip(),) * (len(self.outputs) + len(self.shown))
        try:
            job = self.jobs.get(job_id) if job_id not in self.done_with else None
        except InputError:  # of another data folder
            job = None
        gone = job is None or job.state == "cancelled" or (job.state == "done" and job.result is None)
        job_id = "" if gone else job_id
        return job_id, *self.look(job_id, None)

    def start(self, job: Job) -> tuple[Any, ...]:
        """The updates of `outputs` for a job that was just queued."""
        _, *state = self._state(job)
        # It may have ended by now: the timer sees that.
        return job.id, (job.id, job.submitted), gr.Timer(active=True), *state

    def active(self, seen: Any) -> bool:
        """Whether the job that was last `seen` still waits or runs; known here before the page knows it."""
        return seen is not None and self.jobs.get(seen[0]).active

    def cancel(self, job_id: str) -> None:
        """Cancel the job, if there is one."""
        if job_id:
            self.jobs.get(job_id).cancel()

    def _state(self, job: Job) -> tuple[gr.Timer, str, gr.Button]:
        going = job.active and not job.ending
        return gr.Timer(active=job.active), panel(self.jobs, job), gr.Button(visible=going)


def panel(jobs: Jobs, job: Job) -> str:
    """The bar and the words under it."""
    words, right, share = _words(jobs, job), "", 0.0
    if job.state == "running" and job.progress and job.progress.total:
        step, total = job.progress.step, job.progress.total
        share = step / total
        right = f"{step} / {total}"
        if 0 < step < total and job.seconds > 2:
            right += " · " + text.WORK["left"].format(seconds=duration(job.seconds / step * (total - step)))
    bar = f'<div class="bar"><i style="width:{share:.1%}"></i></div>' if job.active else ""
    return f'<div class="work {job.state}">{bar}<p><span>{words}</span><span>{right}</span></p></div>'


def _words(jobs: Jobs, job: Job) -> str:
    if job.ending:
        return escape(text.WORK["ending"])
    if job.state == "running" and job.progress and job.progress.text:
        return escape(job.progress.text)
    if job.state == "queued":
        ahead = next(
            (j for j in jobs.list() if j.state == "running" and j.lane == job.lane and j is not job), None
        )
        if ahead is not None:
            return escape(text.WORK["waiting"].format(title=ahead.title))
    words = text.WORK[job.state].format(seconds=duration(job.seconds), error=job.error)
    return escape(words)


def duration(seconds: float) -> str:
    """Seconds in words that a glance can read."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
