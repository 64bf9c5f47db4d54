"""The library on disk: names are never paths, a delete can be undone, starters stay as they are."""

from __future__ import annotations

import os

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.studio.library import Library, check_name, save_reference, slug
from motion_studio.studio.motion_file import write_motion
from motion_studio.video.clip import Clip
from motion_studio.video.files import read_clip, read_recipe


@pytest.fixture
def library(tmp_path, make_motion):
    starters = tmp_path / "starters"
    starters.mkdir()
    write_motion(starters / "circle.safetensors", make_motion(7, title="Circle"))
    return Library(tmp_path / "data", starters)


@pytest.fixture
def clip():
    frames = torch.linspace(0, 1, 4).view(4, 1, 1, 1).expand(4, 3, 16, 16).contiguous()
    return Clip(frames, 8.0)


def test_save_list_load(library, clip, make_motion):
    motion = make_motion()
    entry = library.save(motion, "Café — Wave!", clip, "seen at noon")
    assert (entry.name, entry.title, entry.starter) == ("cafe-wave", "Café — Wave!", False)
    assert entry.info.notes == "seen at noon"
    assert [entry.name for entry in library.motions()] == ["cafe-wave", "circle"]
    assert library.load("cafe-wave").hash() == motion.hash()
    assert read_clip(entry.clip).num_frames == 4
    assert entry.thumbnail.read_bytes()[8:12] == b"WEBP"


def test_a_taken_name_gets_a_number(library, make_motion):
    assert [library.save(make_motion(n), "Circle").name for n in range(2)] == ["circle-2", "circle-3"]
    assert library.load("circle").info.title == "Circle"
    long = [library.save(make_motion(n), "x" * 80).name for n in range(2)]
    assert long == ["x" * 64, "x" * 62 + "-2"]


def test_date_is_given_once(library, make_motion):
    dated = library.save(make_motion(date=""), "A").info.date
    assert dated.startswith("20")
    assert library.save(library.load("a"), "B").info.date == dated


@pytest.mark.parametrize(
    "name",
    ["", "..", "../a", "a/b", "a\\b", "/etc/passwd", "A", "a.b", "-a", "a\0", "a\n", "ü", "x" * 65, None, 3],
)
def test_a_name_is_never_a_path(library, name):
    for act in (check_name, library.load, library.delete, library.restore, library.entry):
        with pytest.raises(InputError, match="not a motion's name"):
            act(name)


def test_slug_gives_names():
    for title in ("Ünïcode Ⅷ", "../../etc", "日本", "", "a" * 200, "--x--"):
        check_name(slug(title))


def test_unknown_name_lists_the_known(library):
    with pytest.raises(InputError, match="known: circle"):
        library.load("wave")


def test_delete_and_restore(library, clip, make_motion):
    library.save(make_motion(1), "Wave", clip)
    library.delete("wave")
    assert [entry.name for entry in library.motions()] == ["circle"]
    assert library.trash() == ["wave"]
    library.save(make_motion(2), "Wave")
    assert library.restore("wave").name == "wave-2"
    assert library.load("wave-2").hash() == make_motion(1).hash()
    assert library.entry("wave-2").clip.is_file()
    assert library.trash() == []
    with pytest.raises(InputError, match="in the trash"):
        library.restore("wave")


def test_restore_gives_the_last_deleted(library, make_motion):
    for seed in (1, 2):
        library.save(make_motion(seed), "Wave")
        library.delete("wave")
    assert library.trash() == ["wave"]
    assert library.load(library.restore("wave").name).hash() == make_motion(2).hash()


def test_starters_stay(library):
    with pytest.raises(InputError, match="starter"):
        library.delete("circle")
    assert library.entry("circle").starter


def test_a_broken_file_is_shown_and_harms_nothing(library, make_motion):
    (library.root / "motions" / "bad.safetensors").write_bytes(b"PK\x03\x04")
    (library.root / "motions" / "Not A Name.safetensors").write_bytes(b"")
    entries = {entry.name: entry for entry in library.motions()}
    assert set(entries) == {"bad", "circle"}
    assert "pickle" in entries["bad"].error
    assert library.find(make_motion(7).hash()).name == "circle"
    assert library.find("00") is None


def test_nothing_is_left_of_a_save_that_fails(library, clip, make_motion):
    with pytest.raises(InputError):
        library.save(make_motion(losses=[float("inf")]), "Wave", clip)
    assert not list((library.root / "motions").iterdir())


def test_a_clip_left_without_its_motion_is_shown_beside_no_other(library, clip, make_motion):
    save_reference(library.root / "motions" / "wave.safetensors", clip)  # and then the power failed
    entry = library.save(make_motion(1), "Wave")
    assert (entry.name, entry.clip) == ("wave-2", None)


def test_files_that_cannot_be_read_are_shown_and_passed_over(library, make_motion):
    motions = library.root / "motions"
    (motions / "nowhere.safetensors").symlink_to(motions / "gone")
    damaged = library.save(make_motion(3), "Damaged").path
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    errors = {entry.name: entry.error for entry in library.motions()}
    assert "no motion file" in errors["nowhere"] and not errors["damaged"]
    assert library.find(make_motion(7).hash()).name == "circle"


def test_renders_carry_their_recipe(library, clip):
    recipe = {"settings": {"prompt": "a red star", "seed": 3}}
    first = library.save_render(clip, recipe)
    second = library.save_render(clip, {})
    assert library.renders() == [second, first]
    assert "a-red-star" in first.name
    assert read_recipe(first) == recipe


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTION_STUDIO_DATA", str(tmp_path / "here"))
    assert Library().root == tmp_path / "here"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_used(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="data folder"):
        Library(tmp_path / "data")


def test_a_file_as_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="data folder"):
        Library(tmp_path / "file")
