"""The commands that run a model, at tiny size: from a clip to a motion to a video, and that video again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from motion_studio.backbones.registry import BASES
from motion_studio.cli.main import main
from motion_studio.studio.library import save_reference
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.video.clip import Clip, fit
from motion_studio.video.files import read_clip, read_recipe, write_clip
from tests.tiny import SPEC, tiny_backbone

QUICK = ("--base", "tiny", "--steps", "2")


pytestmark = pytest.mark.usefixtures("tiny_base")


def test_invert(run_json):
    result = run_json(
        "invert", "clip.mp4", *QUICK, "--set", "rank=1", "--notes", "x", "--out", "m.safetensors"
    )
    motion = read_motion("m.safetensors")
    assert result["hash"] == motion.hash()
    assert (motion.rank, motion.info.title, motion.info.notes, len(motion.info.losses)) == (1, "m", "x", 2)
    assert motion.info.base == "tiny"
    assert read_clip("m.mp4").num_frames == SPEC.frames
    assert Path("m.webp").is_file()


def test_invert_reads_the_part_alone(run):
    rest = torch.full((8 * 70, 3, 32, 32), 0.2)
    clip = read_clip("clip.mp4")
    write_clip("film.mp4", Clip(torch.cat([rest, fit(clip, 8, 32, 32).frames, rest[:40]]), 8.0))
    line = ["invert", "film.mp4", *QUICK, "--start", "70", "--end", "71", "--out", "m.safetensors"]
    code, _, err = run(*line)
    assert code == 0, err
    run("invert", "clip.mp4", *QUICK, "--out", "whole.safetensors")
    difference = read_clip("m.mp4").frames - read_clip("whole.mp4").frames
    assert difference.abs().mean() < 0.02


def test_progress_is_on_stderr_and_can_be_silenced(run):
    code, out, err = run("invert", "clip.mp4", *QUICK, "--out", "m.safetensors")
    assert code == 0
    assert "m.safetensors" in out
    assert "2/2" in err
    assert run("invert", "clip.mp4", *QUICK, "--quiet", "--out", "m.safetensors")[2] == ""


def test_generate_carries_its_recipe(motion, run_json):
    line = [
        "generate",
        "--prompt",
        "a ball",
        "--motion",
        f"{motion}:0.5",
        *QUICK,
        "--seed",
        "3",
        "--out",
        "v.mp4",
    ]
    result = run_json(*line)
    recipe = read_recipe("v.mp4")
    assert recipe == result["recipe"]
    assert recipe["settings"]["prompt"] == "a ball"
    assert (recipe["settings"]["seed"], recipe["settings"]["steps"]) == (3, 2)
    assert recipe["settings"]["guidance"] == SPEC.guidance
    assert recipe["motions"] == {"m.safetensors": read_motion(motion).hash()}
    assert recipe["mix"]["tracks"][0]["weight"] == 0.5
    assert recipe["base_hash"] == tiny_backbone().weights_hash
    assert read_clip("v.mp4").num_frames == SPEC.frames


def test_one_video_for_each_value(motion, run_json, run):
    line = ("generate", "--motion", motion, *QUICK, "--vary")
    made = run_json(*line, "strength=0,0.5,1", "--prompt", "a ball", "--out", "v.mp4")
    assert [row["title"] for row in made["made"]] == ["strength 0", "strength 0.5", "strength 1"]
    assert [row["video"] for row in made["made"]] == ["v-1.mp4", "v-2.mp4", "v-3.mp4"]
    for name in (made["video"], made["picture"], *(row["video"] for row in made["made"])):
        assert Path(name).is_file(), name
    alone = (
        "generate",
        "--motion",
        motion,
        *QUICK,
        "--prompt",
        "a ball",
        "--strength",
        "0.5",
        "--out",
        "w.mp4",
    )
    assert run(*alone)[0] == 0
    assert Path("w.mp4").read_bytes() == Path("v-2.mp4").read_bytes() != Path("v-3.mp4").read_bytes()
    made = run_json(*line, "prompt=a ball, red|a star", "--out", "p.mp4")
    assert [row["recipe"]["settings"]["prompt"] for row in made["made"]] == ["a ball, red", "a star"]


def test_the_noise_prior_can_be_varied(motion, run_json):
    line = ("generate", "--prompt", "x", "--motion", motion, *QUICK, "--vary", "noise-prior=0,0.5")
    made = run_json(*line, "--out", "v.mp4")
    assert made["made"][1]["recipe"]["reference"]


def test_a_recipe_makes_the_same_file(run, motion):
    run(
        "generate", "--prompt", "a ball", "--motion", motion, *QUICK, "--noise-prior", "0.5", "--out", "v.mp4"
    )
    code, _, err = run("generate", "--recipe", "v.mp4", "--out", "again.mp4")
    assert code == 0, err
    assert Path("again.mp4").read_bytes() == Path("v.mp4").read_bytes()
    run("generate", "--prompt", "a ball", *QUICK, "--out", "bare.mp4")
    run("generate", "--recipe", "bare.mp4", "--out", "bare2.mp4")
    assert Path("bare.mp4").read_bytes() == Path("bare2.mp4").read_bytes() != Path("v.mp4").read_bytes()


def test_a_recipe_finds_its_motion_by_hash(run, motion, refused):
    run("generate", "--prompt", "a ball", "--motion", motion, *QUICK, "--out", "v.mp4")
    folder = Path("data") / "motions"
    folder.mkdir(parents=True, exist_ok=True)
    Path(motion).rename(folder / "renamed.safetensors")
    assert run("generate", "--recipe", "v.mp4", "--out", "w.mp4")[0] == 0
    assert Path("w.mp4").read_bytes() == Path("v.mp4").read_bytes()
    (folder / "renamed.safetensors").rename("elsewhere.safetensors")
    write_motion(motion, read_motion("elsewhere.safetensors").map(lambda tensor: 2 * tensor))
    Path("w.mp4").unlink()
    refused("m.safetensors", "generate", "--recipe", "v.mp4", "--out", "w.mp4")
    assert not Path("w.mp4").exists()
    given = ["--motion", "elsewhere.safetensors"]
    assert run("generate", "--recipe", "v.mp4", *given, "--out", "w.mp4")[0] == 0


def test_a_recipe_of_other_weights_is_refused(run, monkeypatch, refused):
    run("generate", "--prompt", "a ball", *QUICK, "--out", "v.mp4")
    monkeypatch.setattr("motion_studio.studio.manager.load", lambda name, device: tiny_backbone(seed=1))
    refused("weights", "generate", "--recipe", "v.mp4", "--out", "w.mp4")


@pytest.mark.parametrize("base", ["someone/model", "models", "/somewhere/model", "x" * 500])
def test_a_recipe_loads_no_base_from_elsewhere_unasked(run, monkeypatch, refused, base):
    run("generate", "--prompt", "a ball", *QUICK, "--out", "v.mp4")
    write_clip("v.mp4", read_clip("v.mp4"), read_recipe("v.mp4") | {"base": base})
    loaded = []
    monkeypatch.setattr(
        "motion_studio.studio.manager.load", lambda name, device: loaded.append(name) or tiny_backbone()
    )
    refused(f"{base[:80]!r}", "generate", "--recipe", "v.mp4", "--out", "w.mp4")
    assert loaded == [] and not Path("w.mp4").exists()
    monkeypatch.setitem(BASES, "somewhere/model", SPEC)
    code, _, err = run("generate", "--recipe", "v.mp4", "--base", "somewhere/model", "--out", "w.mp4")
    assert code == 0, err
    assert loaded == ["somewhere/model"]


def test_motions_add_up_in_the_video(run, motion):
    run("edit", motion, "--reverse", "--out", "r.safetensors")
    run("mix", motion, "r.safetensors:-0.5", "--out", "c.safetensors")
    run("generate", "--prompt", "x", "--motion", "c.safetensors", *QUICK, "--out", "one.mp4")
    parts = ["--motion", motion, "--motion", "r.safetensors:-0.5"]
    run("generate", "--prompt", "x", *parts, *QUICK, "--out", "two.mp4")
    assert torch.equal(read_clip("one.mp4").frames, read_clip("two.mp4").frames)


def test_demo(run, monkeypatch, run_json):
    Path("d").mkdir()
    Path("d/notes.txt").write_text("the user's own")
    result = run_json("demo", "--clip", "clip.mp4", *QUICK, "--out", "d")
    names = {path.name for path in Path("d").iterdir()}
    assert names >= {
        "motion.safetensors", "motion.mp4", "result.mp4", "reference-and-result.mp4", "figures.json"
    }  # fmt: skip
    report = json.loads(Path("d/figures.json").read_text())
    assert set(report["with_motion"]) == set(report["no_motion"])
    assert set(result["files"]) == {str(Path("d", name)) for name in names - {"notes.txt"}}
    assert run("generate", "--recipe", "d/result.mp4", "--out", "w.mp4")[0] == 0
    assert Path("w.mp4").read_bytes() == Path("d/result.mp4").read_bytes()


def test_the_demos_generation_is_timed_without_the_writing(monkeypatch, run_json):
    passed, clock = [0.0], time.monotonic

    def slow(path, clip):
        passed[0] += 1000
        save_reference(path, clip)

    monkeypatch.setattr("motion_studio.cli.demo.time.monotonic", lambda: clock() + passed[0])
    monkeypatch.setattr("motion_studio.cli.demo.save_reference", slow)
    result = run_json("demo", "--clip", "clip.mp4", *QUICK, "--out", "d")
    assert passed == [1000] and 0 < result["seconds"]["generation"] < 1000


def test_bases(run, run_json):
    assert {"toybox", "tiny"} <= {base["name"] for base in run_json("bases")["bases"]}
    assert "toybox" in run("bases")[1]


def test_measure(run, run_json):
    clip = read_clip("clip.mp4")
    write_clip("wide.mp4", fit(clip, 24, 90, 160))
    report = run_json("measure", "wide.mp4", "clip.mp4")
    parts = [f"{of}_{what}" for of in ("reference", "result") for what in ("path", "camera")]
    assert set(report) == {
        "path_correlation", "path_size_ratio", "flow_cosine", "flow_magnitude_ratio",
        "growth_correlation", "growth_size_ratio", "turn_correlation", "turn_size_ratio",
        "camera_correlation", "camera_size_ratio",
        *(f"camera_{axis}_correlation" for axis in ("dx", "dy", "zoom", "roll")),
        "motion_fidelity", "motion_fidelity_mutual",
        "temporal_consistency", "reference_temporal_consistency", "layout_correlation",
        *parts, *(f"{part}_confidence" for part in parts),
    }  # fmt: skip
    assert len(report["reference_path"]) == len(report["result_path"]) == 8
    out = run("measure", "wide.mp4", "clip.mp4")[1]
    assert "path correlation" in out and "reference path" in out


BAD = {
    "no clip": ("invert nowhere.mp4 --base tiny --out m.safetensors", "nowhere.mp4"),
    "no video": ("invert text.txt --base tiny --out m.safetensors", "text.txt"),
    "unknown preset": ("invert clip.mp4 --preset fast --out m.safetensors", "faithful"),
    "unknown setting": ("invert clip.mp4 --set colour=1 --out m.safetensors", "colour"),
    "no value": ("invert clip.mp4 --set rank --out m.safetensors", "NAME=VALUE"),
    "no steps": ("invert clip.mp4 --steps 0 --out m.safetensors", "steps"),
    "past the end": ("invert clip.mp4 --base tiny --start 9 --out m.safetensors", "9 s"),
    "invert suffix": ("invert clip.mp4 --out m.pt", ".safetensors"),
    "no prompt": ("generate --base tiny --out v.mp4", "--prompt"),
    "video suffix": ("generate --prompt x --base tiny --out v.avi", ".mp4"),
    "no motion": ("generate --prompt x --motion nowhere.safetensors --base tiny --out v.mp4", "nowhere"),
    "noise prior alone": (
        "generate --prompt x --noise-prior 0.5 --steps 1 --base tiny --out v.mp4",
        "reference",
    ),
    "vary without values": ("generate --prompt x --vary strength --base tiny --out v.mp4", "NAME=A,B,C"),
    "vary one value": ("generate --prompt x --vary seed=1 --base tiny --out v.mp4", "2 to 8"),
    "vary what is not there": ("generate --prompt x --vary size=1,2 --base tiny --out v.mp4", "size"),
    "recipe and vary": ("generate --recipe clip.mp4 --vary seed=1,2 --out v.mp4", "--vary cannot be given"),
    "no recipe": ("generate --recipe clip.mp4 --out v.mp4", "recipe"),
    "recipe and prompt": ("generate --recipe clip.mp4 --prompt x --out v.mp4", "--prompt"),
    "recipe and steps": ("generate --recipe clip.mp4 --steps 5 --out v.mp4", "--steps cannot be given"),
    "recipe and seed": ("generate --recipe clip.mp4 --seed 0 --out v.mp4", "--seed cannot be given"),
    "recipe and setting": ("generate --recipe clip.mp4 --set eta=1 --out v.mp4", "--set cannot be given"),
    "demo into a file": ("demo --base tiny --out text.txt", "text.txt"),
    "guidance": ("generate --prompt x --guidance much --base tiny --out v.mp4", "much"),
}


@pytest.mark.parametrize("line,word", BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, line, word, refused):
    (tmp_path / "text.txt").write_text("no video")
    before = sorted(path.name for path in tmp_path.iterdir())
    refused(word, *line.split(), "--quiet")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_motion_of_another_base_is_refused(motion, refused):
    write_motion("w.safetensors", read_motion(motion).replace_info(base="wan", base_hash="00"))
    line = ["generate", "--prompt", "x", "--motion", "w.safetensors", *QUICK, "--quiet", "--out", "v.mp4"]
    refused("wan", *line)


def test_an_interrupt_ends_with_130_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    step = torch.optim.Adam.step

    def interrupted(self, *args, **kwargs):
        if not hasattr(self, "again"):
            self.again = True
            return step(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["invert", "clip.mp4", "--base", "tiny", "--out", "m.safetensors"]) == 130
    assert capsys.readouterr().err.endswith("cancelled\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_control_c_ends_a_process_cleanly(tmp_path):
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        import motion_studio.studio.manager as manager
        from tests.tiny import tiny_backbone
        manager.load = lambda name, device: tiny_backbone()
        sys.argv = ["motion_studio", "invert", "clip.mp4", "--steps", "5000", "--out", "m.safetensors"]
        import runpy
        runpy.run_module("motion_studio", run_name="__main__")
    """
    before = sorted(path.name for path in tmp_path.iterdir())
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    seen = b""
    while b"/5000" not in seen and process.poll() is None:
        seen += process.stderr.read1(4096)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130, (seen + rest).decode()
    assert rest.decode().endswith("cancelled\n")
    assert b"Traceback" not in rest
    assert sorted(path.name for path in tmp_path.iterdir()) == before
