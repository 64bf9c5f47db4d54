"""What is asked for by a flag is what is done: figures of two clips, a recipe's settings, its reference."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.studio.motion_file import write_motion
from motion_studio.video.clip import Clip
from motion_studio.video.files import read_clip, read_recipe, write_clip
from tests.tiny import SPEC

TINY = ("--base", "tiny", "--steps", "2")
FLAGS = {
    "--negative": ("negative_prompt", "blue"),
    "--guidance": ("guidance", 3.5),
    "--strength": ("strength", 0.75),
    "--guide-until": ("guide_until", 0.25),
    "--play-until": ("play_until", 0.875),
    "--sync-until": ("sync_until", 0.5),
    "--carry": ("carry", 0.625),
    "--frames": ("frames", 6),
    "--motion-type": ("motion_type", "camera"),
    "--pan": ("pan", -0.25),
    "--tilt": ("tilt", 0.125),
    "--zoom": ("zoom", 1.5),
    "--roll": ("roll", -30.0),
}


def square(way: float, frames: int = 8, size: int = 64) -> Clip:
    """A bright square that goes `way` of the width to the right, about the picture's middle."""
    pictures = torch.full((frames, 3, size, size), 0.2)
    for n, share in enumerate(torch.linspace(-0.5, 0.5, frames).tolist()):
        left = round((0.5 + share * way) * size - size / 10)
        pictures[n, 0, size // 3 : size // 2, left : left + size // 5] = 1.0
    return Clip(pictures, 8.0)


@pytest.fixture
def panned(tiny_base):
    """A motion of the tiny base whose camera pans, m.safetensors, with a loop beside it."""
    draw, sites = torch.Generator().manual_seed(0), {}
    for name, site in tiny_base.sites.items():
        shapes = ((4, site.channels), (1, site.grid[0] * site.grid[1], 1), (1, 4, site.channels))
        sites[name] = SiteEmbedding(*(torch.randn(*shape, generator=draw) for shape in shapes), site.grid)
    info = MotionInfo(
        base="tiny", base_hash=tiny_base.weights_hash, camera=[[0.1 * n, 0, 0, 0] for n in range(4)]
    )
    write_motion("m.safetensors", Motion(sites, info))
    write_clip("m.mp4", square(0.4, SPEC.frames, SPEC.width))


def test_measure_says_how_large_the_result_is_by_the_reference(tmp_path, monkeypatch, run_json):
    monkeypatch.chdir(tmp_path)
    write_clip("large.mp4", square(0.6))
    write_clip("small.mp4", square(0.3))
    figures = run_json("measure", "large.mp4", "small.mp4")
    assert figures["path_correlation"] > 0.98
    assert figures["path_size_ratio"] == pytest.approx(0.5, abs=0.05)
    assert len(figures["reference_path"]) == len(figures["result_path"]) == 8


def test_every_flag_of_generate_is_in_the_recipe(panned, run_json, refused):
    given = [str(part) for flag, (_, value) in FLAGS.items() for part in (flag, value)]
    line = ["generate", "--prompt", "a ball", "--motion", "m.safetensors", *TINY, "--seed", "3", *given]
    settings = run_json(*line, "--out", "v.mp4")["recipe"]["settings"]
    wanted = dict(FLAGS.values()) | {"prompt": "a ball", "steps": 2, "seed": 3}
    assert {name: settings[name] for name in wanted} == wanted
    assert read_recipe("v.mp4")["settings"] == settings
    assert read_clip("v.mp4").num_frames == 6
    for flag, (_, value) in FLAGS.items():
        refused(flag, "generate", "--recipe", "v.mp4", flag, str(value), "--out", "w.mp4")


def test_words_are_of_the_motion_before_them(motion, run, run_json, refused):
    line = ["generate", "--prompt", "a ball", *TINY, "--motion", "m.safetensors:0.5", "--motion"]
    words = [*line, "m.safetensors", "--words", "a blue box"]
    recipe = run_json(*words, "--out", "v.mp4")["recipe"]
    assert [track["prompt"] for track in recipe["mix"]["tracks"]] == ["", "a blue box"]
    assert [track["weight"] for track in recipe["mix"]["tracks"]] == [0.5, 1.0]
    assert run("generate", "--recipe", "v.mp4", "--out", "w.mp4")[0] == 0
    assert Path("w.mp4").read_bytes() == Path("v.mp4").read_bytes()
    assert run(*line, "m.safetensors", "--out", "plain.mp4")[0] == 0
    assert Path("plain.mp4").read_bytes() != Path("v.mp4").read_bytes()
    refused("--motion", "generate", "--prompt", "a ball", "--words", "a box", *TINY, "--out", "v.mp4")
    refused("characters", *line, "m.safetensors", "--words", "x" * 401, "--out", "v.mp4")
    refused(
        "--words",
        "generate",
        "--recipe",
        "v.mp4",
        "--motion",
        "m.safetensors",
        "--words",
        "x",
        "--out",
        "u.mp4",
    )


def test_a_recipe_with_another_reference_is_refused(panned, run, refused):
    line = ["--prompt", "a ball", "--motion", "m.safetensors", *TINY, "--noise-prior", "0.5"]
    assert run("generate", *line, "--out", "v.mp4")[0] == 0
    write_clip("other.mp4", square(-0.4, SPEC.frames, SPEC.width))
    refused(
        "--reference",
        "generate",
        "--recipe",
        "v.mp4",
        "--reference",
        "other.mp4",
        "--quiet",
        "--out",
        "w.mp4",
    )
    assert not Path("w.mp4").exists()
    Path("m.mp4").rename("moved.mp4")
    assert run("generate", "--recipe", "v.mp4", "--reference", "moved.mp4", "--out", "w.mp4")[0] == 0
    assert Path("w.mp4").read_bytes() == Path("v.mp4").read_bytes()
