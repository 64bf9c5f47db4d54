"""A motion's file: exact, the same bytes each time, atomic, and refused in a line when it is not sound."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
import torch

from motion_studio.errors import MotionFileError
from motion_studio.motion.arithmetic import blend, then
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.operations_place import Along
from motion_studio.motion.operations_time import Fade
from motion_studio.studio.motion_file import (
    MAX_BYTES,
    MAX_HEADER,
    MAX_PARTS,
    PICKLES,
    read_info,
    read_motion,
    write_motion,
)

N, C, RANK = 5, 4, 2


@pytest.fixture
def saved(tmp_path, make_motion):
    path = tmp_path / "wave.safetensors"
    write_motion(path, make_motion())
    return path


def rewrite(path, change):
    """Change the header of a motion file in place and write it back with the right length."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_round_trip_is_exact(saved, make_motion):
    motion, back = make_motion(), read_motion(saved)
    assert back.info == motion.info
    assert back.hash() == motion.hash()
    for name, site in motion.sites.items():
        assert torch.equal(back.sites[name].qk, site.qk)
        assert back.sites[name].grid == site.grid
    assert torch.equal(back.sites["mid.attn1"].space, motion.sites["mid.attn1"].space)
    assert back.sites["up.attn1"].space is None
    assert read_info(saved) == motion.info


def test_what_parts_of_the_frames_hear_is_kept(tmp_path, make_motion):
    a, b = make_motion(1), make_motion(2)
    motion, path = then(a, b, 2, fade=1), tmp_path / "a.safetensors"
    write_motion(path, motion)
    back = read_motion(path)
    assert back.hash() == motion.hash() != then(a, b, 2).hash()
    for name, site in motion.sites.items():
        assert len(back.sites[name].voices) == 2
        for mine, theirs in zip(site.voices, back.sites[name].voices, strict=True):
            assert torch.equal(mine.heard, theirs.heard) and mine.rank == theirs.rank
    size = path.stat().st_size
    half = write_motion(path, motion, max_bytes=size - 1)
    assert path.stat().st_size < size and read_motion(path).hash() == half.hash()


def test_many_parts_have_room(tmp_path):
    grid, frames = (8, 8), 16
    shapes = (frames, 1024), (1, 64, 3), (3, frames, 1024)
    parts = []
    for start in range(12):
        motion = Motion({"a": SiteEmbedding(*(torch.randn(*shape) for shape in shapes), grid)})
        moved = Along([(0.01 * start, 0.0)] * frames).apply(motion)
        parts.append(Fade(length=1, start=start).apply(moved))
    motion, path = blend([(part, 1.0) for part in parts]), tmp_path / "a.safetensors"
    written = write_motion(path, motion)
    assert len(read_motion(path).sites["a"].voices) == 12 and written.rank == 3
    assert MAX_BYTES < path.stat().st_size <= MAX_PARTS * MAX_BYTES
    with pytest.raises(MotionFileError, match="0 to 1"):
        write_motion(path, Motion({"a": replace(motion.sites["a"], heard=torch.full((frames,), 2.0))}))
    with pytest.raises(MotionFileError, match="without @"):
        Motion({"a@2": motion.sites["a"]})


@pytest.mark.parametrize("key", ["@1", "@0", "@02", "@x", "@3", "@65", "@", "@-2"])
def test_parts_are_numbered_from_two_without_a_gap(tmp_path, make_motion, key):
    path = tmp_path / "a.safetensors"
    write_motion(path, then(make_motion(1), make_motion(2), 2))

    def rename(header):
        header[f"up.attn1{key}.qk"] = header.pop("up.attn1@2.qk")
        header[f"up.attn1{key}.heard"] = header.pop("up.attn1@2.heard")

    rewrite(path, rename)
    with pytest.raises(MotionFileError) as caught:
        read_motion(path)
    assert "up.attn1" in str(caught.value) and "\n" not in str(caught.value)


def test_same_motion_same_bytes(saved, tmp_path):
    again = tmp_path / "again.safetensors"
    write_motion(again, read_motion(saved))
    assert again.read_bytes() == saved.read_bytes()


def test_the_safetensors_package_reads_it(saved):
    from safetensors import safe_open

    with safe_open(saved, "pt") as file:
        assert "down.attn1.v.space" in file.keys()  # noqa: SIM118
        assert file.get_tensor("down.attn1.v.space").shape == (6, RANK)
        assert file.get_tensor("mid.attn1.v.space").shape == (N, 6, RANK)
        assert file.metadata()["modelspec.title"] == "Wave"
        assert json.loads(file.metadata()["motion.frames"]) == N


def test_large_motion_is_halved(tmp_path, make_motion):
    motion = make_motion()
    full = write_motion(tmp_path / "a.safetensors", motion)
    size = (tmp_path / "a.safetensors").stat().st_size
    half = write_motion(tmp_path / "b.safetensors", motion, max_bytes=size - 1)
    assert torch.equal(full.sites["up.attn1"].qk, motion.sites["up.attn1"].qk)
    assert torch.equal(half.sites["up.attn1"].qk, motion.sites["up.attn1"].qk.half().float())
    assert read_motion(tmp_path / "b.safetensors").hash() == half.hash()


def test_as_large_a_rank_as_fits(tmp_path):
    generator, path = torch.Generator().manual_seed(0), tmp_path / "a.safetensors"
    shapes = (N, 64), (1, 24, 16), (16, N, 64)
    motion = Motion({"a": SiteEmbedding(*(torch.randn(*s, generator=generator) for s in shapes), (4, 6))})
    ranks = []
    for most in range(2_000, 16_000, 200):
        try:
            ranks.append(write_motion(path, motion, max_bytes=most).rank)
        except MotionFileError:
            continue
        assert most - 2 * (24 + N * 64) - 200 < path.stat().st_size <= most or ranks[-1] == 16
    assert set(ranks) == set(range(1, 17)) and ranks == sorted(ranks)


def test_larger_still_is_compacted_and_says_so(tmp_path, make_motion):
    motion = make_motion()
    path = tmp_path / "a.safetensors"
    write_motion(path, motion, max_bytes=1 << 20)
    most = path.stat().st_size
    while (stored := write_motion(path, motion, max_bytes=most)).info.lineage == motion.info.lineage:
        most = path.stat().st_size - 1
    assert path.stat().st_size <= most
    assert stored.info.lineage[-1]["operation"]["op"] == "compact"
    assert 0 < stored.info.lineage[-1]["operation"]["kept"] <= 1
    with pytest.raises(MotionFileError, match="at rank 1"):
        write_motion(path, motion, max_bytes=100)
    assert path.stat().st_size <= most


def test_failed_write_leaves_what_was_there(saved, monkeypatch, make_motion):
    before = saved.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_motion(saved, make_motion(1))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_header_whose_length_begins_as_a_pickle_does_is_read(tmp_path, make_motion):
    path = tmp_path / "a.safetensors"
    write_motion(path, make_motion(notes="x"))
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    motion = make_motion(notes="x" * (1 + 0x10480 - length))
    write_motion(path, motion)
    assert path.read_bytes().startswith(PICKLES)
    assert read_motion(path).hash() == motion.hash()


def test_only_safetensors_names(tmp_path, make_motion):
    with pytest.raises(MotionFileError, match="ends in .safetensors"):
        write_motion(tmp_path / "wave.pt", make_motion())


def test_what_json_cannot_hold_is_not_written(tmp_path, make_motion):
    with pytest.raises(MotionFileError, match="cannot be saved"):
        write_motion(tmp_path / "a.safetensors", make_motion(losses=[float("nan")]))
    assert not list(tmp_path.iterdir())


HEADERS = {
    "unknown field": (lambda h: h["__metadata__"].update({"motion.colour": "1"}), "no motion file has"),
    "unknown tensor": (lambda h: h.update({"x": h.pop("mid.attn1.qk")}), "no motion has: x"),
    "lacks a field": (lambda h: h["__metadata__"].pop("motion.base"), "lacks the header field"),
    "wrong kind": (lambda h: h["__metadata__"].update({"motion.fps": '"fast"'}), "wrong kind"),
    "wrong choice": (lambda h: h["__metadata__"].update({"motion.looks": '"blue"'}), "wrong kind"),
    "carries too much": (lambda h: h["__metadata__"].update({"motion.carry": "1.5"}), "wrong kind"),
    "followed too far": (lambda h: h["__metadata__"].update({"motion.followed": "1.5"}), "wrong kind"),
    "too few sizes": (lambda h: h["__metadata__"].update({"motion.sizes": "[1.0]"}), "size"),
    "too few turns": (lambda h: h["__metadata__"].update({"motion.turns": "[1.0]"}), "turn"),
    "no size at all": (lambda h: h["__metadata__"].update({"motion.sizes": json.dumps([0.0] * N)}), "size"),
    "extends below nothing": (lambda h: h["__metadata__"].update({"motion.extent": "-0.1"}), "wrong kind"),
    "not JSON": (lambda h: h["__metadata__"].update({"motion.fps": "{"}), "not valid JSON"),
    "NaN": (lambda h: h["__metadata__"].update({"motion.losses": "[NaN]"}), "not valid JSON"),
    "other format": (lambda h: h["__metadata__"].update({"motion.format": "2"}), "format 2"),
    "path too short": (lambda h: h["__metadata__"].update({"motion.path": "[[0,0]]"}), "path has 1 rows"),
    "no metadata": (lambda h: h.pop("__metadata__"), "not a motion file"),
    "wrong grid": (lambda h: h["__metadata__"].update({"motion.grids": json.dumps(
        {"down.attn1": [2, 2], "mid.attn1": [2, 3], "up.attn1": None})}), "places"),
    "wrong shape": (lambda h: h["up.attn1.qk"].update({"shape": [C, N]}), "frames"),
    "shape and size": (lambda h: h["up.attn1.qk"].update({"shape": [N, C + 1]}), "not a readable"),
    "a dtype of its own": (lambda h: h["up.attn1.qk"].update({"dtype": "I32"}), "int32"),
    "no offsets": (lambda h: h["up.attn1.qk"].pop("data_offsets"), "without its place"),
}  # fmt: skip


def test_a_file_from_before_noise_was_carried_carries_none(saved):
    later = ("carry", "extent", "sizes", "turns", "followed")
    rewrite(saved, lambda h: [h["__metadata__"].pop(f"motion.{name}") for name in later])
    info = read_info(saved)
    assert (info.carry, info.extent, info.sizes, info.turns, info.followed) == (0, 0, None, None, 1)


@pytest.mark.parametrize("change,line", HEADERS.values(), ids=HEADERS)
def test_unsound_headers(saved, change, line):
    rewrite(saved, change)
    with pytest.raises(MotionFileError, match=line) as caught:
        read_motion(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("extent", "1e400"),
        ("report", '{"x": 1e400}'),
        ("path", json.dumps([[10**40, 0]] * 5)),
        ("sizes", json.dumps([10**300] * 5)),
    ],
)
def test_numbers_that_are_too_large(saved, field, text):
    rewrite(saved, lambda header: header["__metadata__"].update({f"motion.{field}": text}))
    for read in (read_motion, read_info):
        with pytest.raises(MotionFileError, match=r"not a number|not valid JSON"):
            read(saved)


CONTENTS = {
    "missing": (None, "no motion file"),
    "empty": (b"", "empty or cut off"),
    "a zip pickle": (b"PK\x03\x04" + bytes(100), "pickle"),
    "an old pickle": (b"\x80\x02}q\x00." + bytes(100), "pickle"),
    "oversize header": (struct.pack("<Q", MAX_HEADER + 1) + bytes(100), "header claims"),
    "no JSON": (struct.pack("<Q", 8) + b"nonsense", "not valid JSON"),
    "a list": (struct.pack("<Q", 8) + b"[]      ", "not a motion file"),
    "deeply nested": (struct.pack("<Q", 100_000) + b"[" * 100_000, "not valid JSON"),
    "a video": (b"\x00\x00\x00\x20ftypisom" + bytes(100), "header claims"),
}


@pytest.mark.parametrize("content,line", CONTENTS.values(), ids=CONTENTS)
def test_other_files(tmp_path, content, line):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    for read in (read_motion, read_info):
        with pytest.raises(MotionFileError, match=line):
            read(path)


def test_damaged_files(saved):
    data = saved.read_bytes()
    for damaged, line in ((data[:-7], "cut off"), (data[:40], "cut off"), (data + b"\0", "after its end")):
        saved.write_bytes(damaged)
        with pytest.raises(MotionFileError, match=line):
            read_motion(saved)
    saved.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(MotionFileError, match="damaged"):
        read_motion(saved)


def test_values_that_are_not_finite(saved):
    data = saved.read_bytes()
    rewrite(saved, lambda header: header["__metadata__"].pop("modelspec.hash_sha256"))
    data = saved.read_bytes()
    saved.write_bytes(data[:-4] + struct.pack("<f", float("inf")))
    with pytest.raises(MotionFileError, match="not finite"):
        read_motion(saved)
