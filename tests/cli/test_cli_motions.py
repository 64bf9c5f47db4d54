"""The command line: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from motion_studio.cli.main import main
from motion_studio.cli.parser import build_parser, joined
from motion_studio.motion.arithmetic import blend
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.studio.motion_file import read_motion, write_motion


def small_motion(seed: int) -> Motion:
    draw = torch.Generator().manual_seed(seed)
    parts = (torch.randn(*shape, generator=draw) for shape in ((4, 3), (1, 4, 2), (2, 4, 3)))
    info = MotionInfo(base="toybox", path=[[0.2 * n, 0.5] for n in range(4)], title=f"motion {seed}")
    return Motion({"a.attn1": SiteEmbedding(*parts, (2, 2))}, info)


@pytest.fixture
def motions(tmp_path, monkeypatch):
    """Two motion files, in the current folder; the data folder is elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTION_STUDIO_DATA", str(tmp_path / "data"))
    for name, seed in (("a", 1), ("b", 2)):
        write_motion(f"{name}.safetensors", small_motion(seed))
    return [small_motion(1), small_motion(2)]


def test_mix_adds_up(motions, run_json):
    result = run_json("mix", "a.safetensors:1.0", "b.safetensors:-0.5", "--out", "c.safetensors")
    assert read_motion("c.safetensors").hash() == blend([(motions[0], 1.0), (motions[1], -0.5)]).hash()
    assert result["hash"] == read_motion("c.safetensors").hash()
    assert result["rank"] == 4
    parents = read_motion("c.safetensors").info.lineage[-1]["parents"]
    assert parents == [motion.hash() for motion in motions]


def test_mix_moves_to_one_path_if_asked_to(motions, run_json):
    run_json("edit", "b.safetensors", "--mirror", "x", "--out", "back.safetensors")
    files = ("a.safetensors:1.0", "back.safetensors:0.5")
    apart = run_json("mix", *files, "--out", "c.safetensors")["hash"]
    together = run_json("mix", *files, "--together", "mean", "--out", "d.safetensors")
    operations = [step["operation"]["op"] for step in together["lineage"] if "operation" in step]
    assert operations[-1] == "blend" and "along" in operations
    assert together["hash"] not in (apart, *(motion.hash() for motion in motions))
    torch.testing.assert_close(read_motion("d.safetensors").path(), read_motion("c.safetensors").path())
    run_json("mix", *files, "--together", "sum", "--out", "e.safetensors")
    way, mean = (read_motion(f"{name}.safetensors").path() for name in "ed")
    torch.testing.assert_close(way - way[0], 1.5 * (mean - mean[0]))


def test_edit_acts_in_the_order_given(motions, run_json):
    steps = ["--turn", "90", "--reverse", "--move", "-0.1,0", "--speed", "-0.5", "--turn=-90"]
    result = run_json("edit", "a.safetensors", *steps, "--out", "c.safetensors")
    operations = [step["operation"] for step in result["lineage"]]
    names = [operation["op"] for operation in operations if operation["op"] != "without_looks"]
    assert names == ["turn", "reverse", "move", "speed", "turn"]
    assert operations[-3] | {"op": "move"} == {"op": "move", "x": -0.1, "y": 0.0}


def test_edit_has_every_operation(motions, run):
    flags = (
        "--reverse --speed 0.5 --delay 1 --ease in-out --loop 2 --fade 1,1 --strength 0.5 --mirror x "
        "--turn 45 --move 0.1,0 --along b.safetensors --zoom 1.2 --film 0.1,0,1.2,-10 "
        "--mask 0,0,0.5,0.5 --amplitude 0.5 --follow b.safetensors --trim 0,3"
    )
    drawn = ["--follow", "0.2,0.3 0.8,0.6"]
    code, out, err = run("edit", "a.safetensors", *drawn, *flags.split(), "--out", "c.safetensors")
    assert code == 0, err
    assert read_motion("c.safetensors").frames == 3


def test_a_drawn_way_is_followed(motions, run, run_json):
    run("edit", "a.safetensors", "--follow", "0.2,0.3 0.5,0.3 0.5,0.6", "--out", "c.safetensors")
    path = run_json("inspect", "c.safetensors")["path"]
    assert path[0] == pytest.approx([0.2, 0.3]) and path[-1] == pytest.approx([0.5, 0.6])
    run("edit", "a.safetensors", "--follow", "b.safetensors", "--out", "d.safetensors")
    led = torch.tensor(run_json("inspect", "d.safetensors")["path"])
    torch.testing.assert_close(led, torch.tensor(motions[1].info.path))
    for wrong in ("0.2,0.3,0.4", "0.2,0.3 x", "0.2,x"):
        code, out, err = run("edit", "a.safetensors", "--follow", wrong, "--out", "e.safetensors")
        assert (code, out) == (2, "") and err.count("\n") == 1


def test_twice_is_once(motions, run):
    for flags in (["--reverse"] * 2, ["--mirror", "x"] * 2, ["--turn", "90"] * 4):
        assert run("edit", "a.safetensors", *flags, "--out", "c.safetensors")[0] == 0
        assert read_motion("c.safetensors").hash() == motions[0].hash()


def test_compact_says_what_it_kept(motions, run, run_json):
    run("mix", "a.safetensors", "b.safetensors", "--out", "c.safetensors")
    result = run_json("edit", "c.safetensors", "--compact", "1", "--out", "d.safetensors")
    assert result["rank"] == 1
    assert 0 < result["energy_kept"] < 1
    assert "of the energy kept" in run("edit", "c.safetensors", "--compact", "1", "--out", "d.safetensors")[1]


def test_inspect(motions, run, run_json):
    facts = run_json("inspect", "a.safetensors")
    assert facts["base"] == "toybox"
    assert facts["frames"] == 4
    assert facts["hash"] == motions[0].hash()
    site = {"channels": 3, "grid": [2, 2], "rank": 2, "parts": 1, "space": [1, 4, 2]}
    assert facts["sites"] == {"a.attn1": site}
    code, out, err = run("inspect", "a.safetensors")
    assert code == 0
    assert "motion 1" in out
    assert err == ""


def test_inspect_by_name(motions, run_json, tmp_path):
    path = tmp_path / "elsewhere" / "motions" / "mine.safetensors"
    write_motion(path, motions[0])
    facts = run_json("inspect", "mine", "--data", "elsewhere")
    assert (facts["hash"], facts["bytes"]) == (motions[0].hash(), path.stat().st_size)


def test_motions_lists_the_library(motions, run, tmp_path, run_json):
    write_motion(tmp_path / "data" / "motions" / "mine.safetensors", motions[0])
    names = {entry["name"]: entry for entry in run_json("motions")["motions"]}
    assert names["mine"]["title"] == "motion 1"
    assert "mine" in run("motions")[1]
    assert run("edit", "mine", "--reverse", "--out", "c.safetensors")[0] == 0
    assert run("motions", "--data", "elsewhere")[0] == 0


BAD = {
    "no command": ("", "COMMAND"),
    "unknown command": ("fly", "fly"),
    "unknown flag": ("edit a.safetensors --fly --out c.safetensors", "--fly"),
    "no --out": ("mix a.safetensors", "--out"),
    "no such file": ("inspect nowhere.safetensors", "nowhere.safetensors"),
    "no such name": ("inspect nobody", "nobody"),
    "no motion": ("inspect text.txt", "not a motion file"),
    "a folder": ("inspect data", "data"),
    "weight": ("mix a.safetensors:heavy --out c.safetensors", "heavy"),
    "NaN weight": ("mix a.safetensors:nan --out c.safetensors", "nan"),
    "no operation": ("edit a.safetensors --out c.safetensors", "at least one operation"),
    "a word for a number": ("edit a.safetensors --speed fast --out c.safetensors", "--speed fast"),
    "one number for two": ("edit a.safetensors --move 1 --out c.safetensors", "X,Y"),
    "out of range": ("edit a.safetensors --speed 99 --out c.safetensors", "-8 to 8"),
    "unknown axis": ("edit a.safetensors --mirror z --out c.safetensors", "x or y"),
    "suffix": ("edit a.safetensors --reverse --out c.pt", ".safetensors"),
    "no folder there": ("edit a.safetensors --reverse --out text.txt/c.safetensors", "text.txt"),
    "rank": ("edit a.safetensors --compact 0 --out c.safetensors", "rank"),
    "measure nothing": ("measure nowhere.mp4 text.txt", "nowhere.mp4"),
    "infinite": ("edit a.safetensors --turn inf --out c.safetensors", "--turn inf"),
}


@pytest.mark.parametrize("line,word", BAD.values(), ids=BAD)
def test_bad_input_is_one_line(motions, tmp_path, line, word, refused):
    (tmp_path / "text.txt").write_text("a text, and long enough to hold what may be taken for a header")
    (tmp_path / "data").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    refused(word, *line.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_values_that_look_like_flags():
    assert joined(["--move", "-0.1,0", "--turn", "-90", "--reverse", "-"]) == [
        "--move=-0.1,0",
        "--turn=-90",
        "--reverse",
        "-",
    ]
    arguments = build_parser().parse_args(joined(["edit", "a", "--move", "-.5,-1", "--out", "b"]))
    assert arguments.operations == [{"op": "move", "x": -0.5, "y": -1}]


def test_operations_of_one_call_are_not_in_the_next(motions, run_json):
    for _ in range(2):
        result = run_json("edit", "a.safetensors", "--reverse", "--out", "c.safetensors")
        assert len(result["lineage"]) == 1


def test_from_the_shell(motions, run):
    def shell(*argv):
        command = [sys.executable, "-m", "motion_studio", *argv]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    good = shell("inspect", "a.safetensors", "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["frames"] == 4
    bad = shell("inspect", "nowhere.safetensors")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1


def test_nobody_reads_on(motions):
    command = [sys.executable, "-m", "motion_studio", "inspect", "a.safetensors"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_help_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for command in [
        "invert",
        "generate",
        "mix",
        "edit",
        "measure",
        "inspect",
        "bases",
        "motions",
        "demo",
        "serve",
    ]:
        assert command in shown


def test_import_takes_the_authors_files_at_their_size(tmp_path, monkeypatch, run, run_json, refused):
    monkeypatch.chdir(tmp_path)
    block = "unet.down_blocks.2.temp_attentions.1.transformer_blocks.0"
    draw = torch.Generator().manual_seed(0)
    space, time = torch.randn(180, 3, generator=draw), torch.randn(3, 32, 1280, generator=draw)
    theirs = {f"{block}.pos_embed": torch.randn(1, 32, 1280, generator=draw)}
    for layer in ("attn1", "attn2"):
        theirs[f"{block}.{layer}.vSpatial"] = torch.einsum("pr,rnc->pnc", space, time)
    torch.save(theirs, "motion_embed.pt")

    result = run_json("import", "motion_embed.pt", "--base", "zeroscope", "--out", "m.safetensors")
    motion = read_motion("m.safetensors")
    assert motion.frames == 24 and motion.info.base == "zeroscope" and motion.info.fps == 8
    assert result["sites"] == 2 and result["kept"] > 0.9999 and result["bytes"] < 4 << 20
    site = motion.sites[f"{block.removeprefix('unet.')}.attn2"]
    assert site.grid == (10, 18)
    torch.testing.assert_close(site.v(), theirs[f"{block}.attn2.vSpatial"][:, :24], atol=0.02, rtol=0.02)
    one = run_json("import", "motion_embed.pt", "--rank", "1", "--out", "one.safetensors")
    assert one["rank"] == read_motion("one.safetensors").rank == 1 and one["kept"] < 0.95
    monkeypatch.setattr("motion_studio.cli.importing.MAX_BYTES", 300_000)  # room for one of them
    small = run_json("import", "motion_embed.pt", "--rank", "3", "--out", "small.safetensors")
    assert all(small[key] == one[key] for key in ("rank", "kept", "kept_moving"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("import", "motion_embed.pt", "--rank", "1", "--out", "one.safetensors")
    assert code == 0 and "the rank kept" in out

    kept = []
    for rank in range(1, 4):  # a larger rank that is asked for never keeps less
        kept.append(
            run_json("import", "motion_embed.pt", "--rank", str(rank), "--out", "k.safetensors")["kept"]
        )
    assert kept == sorted(kept)
    edited = run_json("edit", "m.safetensors", "--reverse", "--out", "back.safetensors")
    assert read_motion("back.safetensors").rank == motion.rank, edited

    refused("zeroscope", "import", "motion_embed.pt", "--base", "toybox", "--out", "x.safetensors")
    refused("has 32 frames, 40", "import", "motion_embed.pt", "--frames", "40", "--out", "x.safetensors")
    refused("--rank 0", "import", "motion_embed.pt", "--rank", "0", "--out", "x.safetensors")
    Path("text.pt").write_text("hello")
    refused("zip format", "import", "text.pt", "--out", "x.safetensors")
    refused("safetensors", "import", "motion_embed.pt", "--out", "x.pt")
    assert not Path("x.safetensors").exists()


def test_a_way_has_the_frames_that_a_trim_left(motions, run_json):
    for follow in ("--along", "--follow"):
        line = ["a.safetensors", "--trim", "0,2", follow, "a.safetensors", "--out", "t.safetensors"]
        assert run_json("edit", *line)["frames"] == 2
