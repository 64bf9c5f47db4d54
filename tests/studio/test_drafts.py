"""What was learnt and not saved is on disk: a studio that is started anew finds it by its job."""

from __future__ import annotations

import os

import gradio as gr
import pytest
import torch

from motion_studio.errors import MotionFileError
from motion_studio.settings import InversionSettings
from motion_studio.studio.drafts import KEPT, Drafts
from motion_studio.studio.studio import Studio
from motion_studio.ui.invert_tab import InvertTab
from motion_studio.video.clip import Clip
from tests.studio.conftest import small_motion
from tests.tiny import tiny_backbone

LEARNING = InversionSettings(steps=2, preview_every=0)


@pytest.fixture
def clip():
    return Clip(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(3)), 8)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a studio over one folder, as often as is wanted."""
    backbone, running = tiny_backbone(), []
    monkeypatch.setattr("motion_studio.studio.manager.load", lambda name, device: backbone)

    def started() -> Studio:
        running.append(Studio(tmp_path / "data"))
        return running[-1]

    yield started
    for studio in running:
        studio.close()


def test_a_learnt_motion_outlives_the_studio_until_it_is_saved(start, clip):
    before = start()
    job = before.invert(clip, LEARNING, title="My clip")
    assert job.wait(60) and job.state == "done", job.error
    before.close()
    after = start()
    with gr.Blocks() as page:
        tab = InvertTab(after)
        tab.wire(page)
    assert tab.watch._attach(job.id)[0] == job.id
    assert all(update == gr.skip() for update in tab.watch._attach(""))  # a job begun meanwhile stays
    shown = tab._show(after.jobs.get(job.id))
    assert shown[-2].visible and shown[-1] == "My clip"
    name, *_ = tab._save(job.id, "Mine", "")
    entry = after.library.entry(name)
    assert after.library.load(name).hash() == job.result.hash()
    assert entry.clip is not None and entry.thumbnail is not None
    assert list((after.library.root / "unsaved").iterdir()) == []
    assert tab.watch._attach(job.id)[0] == ""
    later = start()
    assert later.jobs.get(job.id).result is None


def test_a_cancelled_job_leaves_nothing(start, clip):
    studio = start()
    job = studio.invert(clip, InversionSettings(steps=500, preview_every=0))
    job.cancel()
    assert job.wait(60) and job.state == "cancelled"
    assert studio.drafts.motion(job.id) is None and studio.jobs.get(job.id).result is None


def test_the_last_ones_are_kept(tmp_path, clip):
    drafts, motion = Drafts(tmp_path), small_motion()
    ids = [f"{number:032x}" for number in range(KEPT + 2)]
    for number, job in enumerate(ids):
        drafts.keep(job, motion, clip)
        os.utime(tmp_path / f"{job}.safetensors", (number, number))
    assert [drafts.motion(job) is not None for job in ids] == [False] * 2 + [True] * KEPT
    assert drafts.motion(ids[-1]).hash() == motion.hash() and drafts.clip(ids[-1]).num_frames == 4
    assert len(list(tmp_path.iterdir())) == 3 * KEPT


@pytest.mark.parametrize("job", ["", "x" * 32, "../" + "0" * 32, "0" * 31, "0" * 33, "A" * 32])
def test_an_id_is_no_path(tmp_path, clip, job):
    drafts = Drafts(tmp_path / "unsaved")
    drafts.keep("0" * 32, small_motion(), clip)
    for path in (tmp_path / f"{'0' * 32}.safetensors", tmp_path / "unsaved" / f"{'0' * 31}.safetensors"):
        path.write_bytes((tmp_path / "unsaved" / f"{'0' * 32}.safetensors").read_bytes())
    files = sorted(tmp_path.rglob("*"))
    assert drafts.motion(job) is None and drafts.clip(job) is None
    drafts.drop(job)
    assert sorted(tmp_path.rglob("*")) == files


def test_what_cannot_be_kept_or_read_is_left_out(tmp_path, clip, monkeypatch, caplog):
    drafts, job = Drafts(tmp_path), "0" * 32
    drafts.keep(job, small_motion(), clip)
    (tmp_path / f"{job}.safetensors").write_bytes(b"no motion")
    (tmp_path / f"{job}.mp4").write_bytes(b"no clip")
    assert drafts.motion(job) is None and drafts.clip(job) is None

    def full(*_args):
        raise MotionFileError("Cannot write: No space left on device.")

    monkeypatch.setattr("motion_studio.studio.drafts.write_motion", full)
    drafts.keep(job, small_motion(), clip)
    assert list(tmp_path.iterdir()) == [] and "could not be kept" in caplog.text
