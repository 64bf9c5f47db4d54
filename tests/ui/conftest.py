"""A studio with starter motions and a tiny base model in the toybox's place, and its page in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.base import BASES
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.studio.library import save_reference
from motion_studio.studio.motion_file import write_motion
from motion_studio.studio.studio import Studio
from motion_studio.toybox.sample import sample_scene
from motion_studio.toybox.world import render
from motion_studio.video.files import write_clip
from tests.tiny import tiny_pipeline

STARTERS = {"Circle": "circle", "Zigzag": "zigzag", "Bounce": "bounce", "Wave": "wave"}
CLIPS = {"straight": "straight", "free": "free"}


def tiny_toybox() -> AnimateDiffBackbone:
    """Random weights under the toybox's name and numbers, at half its size."""
    return AnimateDiffBackbone(replace(BASES["toybox"], height=32, width=32), tiny_pipeline())


def write_starters(folder: Path, backbone: AnimateDiffBackbone) -> None:
    """Motions with random embeddings, and the true path and clip of a scene of the toybox."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for seed, (title, move) in enumerate(STARTERS.items()):
        scene = sample_scene(seed + 3, backbone.frames, move=move, camera="none")
        sites = {}
        for name, site in backbone.sites.items():
            shapes = {
                "qk": (backbone.frames, site.channels),
                "space": (1, site.grid[0] * site.grid[1], 2),
                "time": (2, backbone.frames, site.channels),
            }
            drawn = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
            sites[name] = SiteEmbedding(**drawn, grid=site.grid)
        info = MotionInfo(
            title=title,
            notes="A test's motion.",
            base=backbone.name,
            base_hash=backbone.weights_hash,
            latent_size=backbone.latent_size,
            path=scene.path().tolist(),
        )
        path = folder / f"{title.lower()}.safetensors"
        save_reference(path, render(scene))
        write_motion(path, Motion(sites, info))


@pytest.fixture
def studio(tmp_path, monkeypatch) -> Studio:
    """The studio over a folder of its own."""
    backbone = tiny_toybox()
    write_starters(tmp_path / "starters", backbone)
    clips = tmp_path / "clips"
    clips.mkdir()
    for seed, (name, move) in enumerate(CLIPS.items()):
        write_clip(clips / f"{name}.mp4", render(sample_scene(seed, move=move)))
    monkeypatch.setattr("motion_studio.ui.shelf.CLIPS", clips)
    monkeypatch.setattr("motion_studio.studio.library.STARTERS", tmp_path / "starters")
    made = Studio(tmp_path / "data")
    made.library.starters = tmp_path / "starters"
    made.manager._loaded["toybox"] = backbone
    yield made
    made.close()
