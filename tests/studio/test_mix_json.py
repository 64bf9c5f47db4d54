"""Mixes as JSON: kept with what they made, and refused by their track and field where they are unsound."""

from __future__ import annotations

import pytest

from motion_studio.errors import IncompatibleMotion, InputError
from motion_studio.studio.library import Library
from motion_studio.studio.mix import build, preview_paths
from motion_studio.studio.tracks import Mix, Track


@pytest.mark.parametrize("value", [None, 1, "yes", ["mean"]])
def test_together_is_one_of_three(value):
    mix = Mix((Track("a"), Track("b")), together="sum")
    assert Mix.from_json(mix.to_json()) == mix
    assert Mix.from_json({"tracks": [{"motion": "a"}]}).together == "no"
    for before, now in ((True, "mean"), (False, "no")):  # recipes from before there was a choice of laws
        assert Mix.from_json({**mix.to_json(), "together": before}).together == now
    with pytest.raises(InputError, match="no or mean or sum is allowed"):
        Mix.from_json({**mix.to_json(), "together": value})


def test_a_mix_is_saved_and_built_again(tmp_path, load):
    library = Library(tmp_path, tmp_path)
    for name in "ab":
        library.save(load(name), name)
    mix = Mix((Track("a"), Track("b", 0.5, start=2)))
    entry = library.save(build(mix, library.load), "Both")
    assert Mix.from_json(entry.info.settings["mix"]) == mix
    assert build(mix, library.load).hash() == library.load("both").hash()


BAD = {
    "unknown motion": ([{"motion": "a"}, {"motion": "nobody"}], r"Track 2 \(nobody\): There is no motion"),
    "unknown operation": (
        [{"motion": "a", "operations": [{"op": "fly"}]}],
        "Track 1 .a.: There is no operation",
    ),
    "bad parameter": (
        [{"motion": "a", "operations": [{"op": "speed", "factor": 99}]}],
        r"Track 1 \(a\): speed",
    ),
    "another base": ([{"motion": "a"}, {"motion": "wan"}], r"Track 2 \(wan\): The motions differ in base"),
    "no path": (
        [{"motion": "still", "operations": [{"op": "amplitude", "factor": 2}]}],
        "Track 1 .still.: amplitude",
    ),
    "weight": ([{"motion": "a", "weight": "big"}], r"Track 1 \(a\): weight"),
    "NaN": ([{"motion": "a", "weight": float("nan")}], r"Track 1 \(a\): weight"),
    "start": ([{"motion": "a", "start": -1}], r"Track 1 \(a\): start"),
    "field": ([{"motion": "a", "colour": "red"}], "Track 1 must be an object of"),
    "no motion": ([{}], "Track 1 must be"),
    "name": ([{"motion": 3}], "a name is needed"),
    "none": ([], "0 tracks"),
    "many": ([{"motion": "a"}] * 33, "33 tracks"),
    "operations": ([{"motion": "a", "operations": "reverse"}], "list of 32"),
}


@pytest.mark.parametrize("tracks,line", BAD.values(), ids=BAD)
def test_one_bad_track_is_named(load, tracks, line):
    with pytest.raises(InputError, match=line):
        build(Mix.from_json({"tracks": tracks}), load)


def test_the_preview_names_it_too(load):
    for bad in ({"motion": "nobody"}, {"motion": "b", "operations": [{"op": "speed", "factor": 99}]}):
        with pytest.raises(InputError, match="Track 2"):
            preview_paths(Mix.from_json({"tracks": [{"motion": "a"}, bad]}), load)


def test_the_kind_of_error_stays(load):
    with pytest.raises(IncompatibleMotion):
        build(Mix((Track("a"), Track("wan"))), load)


@pytest.mark.parametrize("values", [None, [], {}, {"tracks": {}}, {"tracks": [], "more": 1}])
def test_what_is_no_mix(values):
    with pytest.raises(InputError):
        Mix.from_json(values)
