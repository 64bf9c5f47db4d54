"""What a sweep shows: a view for each clip in its place, and how much of the motion each follows."""

from __future__ import annotations

import re

import gradio as gr
import pytest
import torch

from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Preview
from motion_studio.studio.jobs import Job
from motion_studio.studio.library import Library
from motion_studio.studio.render import Render
from motion_studio.studio.sweep import Sweep
from motion_studio.toybox.sample import sample_scene
from motion_studio.toybox.world import render
from motion_studio.ui.sweep_panel import SweepPanel, table
from motion_studio.video.clip import Clip


@pytest.fixture(scope="module")
def clip() -> Clip:
    return render(sample_scene(3, move="zigzag", camera="none"))


def made(*clips: Clip, **settings: float) -> Sweep:
    given = [GenerationSettings("a star", seed=seed, **settings) for seed in range(len(clips))]
    recipes = [{"settings": one.to_json()} for one in given]
    return Sweep("seed", tuple(Render(*pair) for pair in zip(clips, recipes, strict=True)))


def test_each_clip_is_measured_against_the_motions_own(tmp_path, clip):
    library = Library(tmp_path / "data", tmp_path / "starters")
    library.save(
        Motion({"site": SiteEmbedding(torch.zeros(16, 4))}, MotionInfo(title="Zigzag")), "Zigzag", clip
    )
    shown = table(library, "zigzag", made(clip, Clip(clip.frames.flip(0), clip.fps)))
    rows = re.findall(r"<th>(seed \d)</th><td>(-?[\d.]+)</td>", shown)
    assert [title for title, _ in rows] == ["seed 0", "seed 1"]
    assert float(rows[0][1]) > 0.98 > 0.9 > float(rows[1][1])
    assert table(library, "", made(clip, clip)) == ""
    assert table(library, "zigzag", made(clip, clip, pan=0.3)) == ""  # its reference was not filmed so


def test_what_is_not_made_yet_has_its_place(clip):
    with gr.Blocks():
        panel = SweepPanel("toybox")
    job = Job("a", "sweep", "x", state="running")
    panel.asked["a"] = ["seed 0", "seed 1", "seed 2"]
    assert [view["label"] for view in panel.views(job)] == ["seed 0", "seed 1", "seed 2"]
    assert not any("sprite" in view for view in panel.views(job))
    job.preview = Preview(1, clip, (clip,))
    assert ["sprite" in view for view in panel.views(job)] == [True, True, False]
    job.result = made(clip, clip)
    assert [view["label"] for view in panel.views(job)] == ["seed 0", "seed 1"]
    assert all("sprite" in view for view in panel.views(job))
    assert panel.views(Job("b", "sweep", "of a page before")) == []
