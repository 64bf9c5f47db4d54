"""A mix is what its tracks say, exactly, and its drawn path is the path of the motion that it builds."""

from __future__ import annotations

import pytest
import torch

from motion_studio.motion.arithmetic import blend, then
from motion_studio.motion.carried import camera_steps
from motion_studio.motion.looks import without_looks
from motion_studio.motion.operations_place import Along, Film, Move, Turn
from motion_studio.motion.operations_time import Delay, Fade, Reverse
from motion_studio.studio.mix import build, edit, preview_paths
from motion_studio.studio.tracks import Mix, Track
from tests.motion.conftest import as_heard
from tests.motion.operation_examples import wave


def same(one, other) -> bool:
    assert one.sites.keys() == other.sites.keys()
    pairs = [zip(as_heard(one.sites[name]), as_heard(other.sites[name]), strict=True) for name in one.sites]
    return all(
        torch.allclose(torch.as_tensor(a), torch.as_tensor(b), atol=1e-5) for two in pairs for a, b in two
    )


def test_a_plain_mix_is_the_weighted_sum(load):
    motion = build(Mix((Track("a", 1.0), Track("b", -0.5))), load)
    assert same(motion, blend([(load("a"), 1.0), (load("b"), -0.5)]))
    assert motion.info.looks == "raw"


def test_tracks_apart_take_each_ground_out_behind_its_own_object(make_motion):
    path, camera = [[0.2, 0.15 * n] for n in range(5)], [[0.0] * 4] * 5
    motions = {
        name: make_motion(seed, path=path, extent=0.2, camera=camera) for seed, name in enumerate("ab")
    }
    a, b = (without_looks(motions[name], "background") for name in "ab")
    assert not same(a, without_looks(motions["a"], "centre"))
    mixed = build(Mix((Track("a", length=3), Track("b", start=3))), motions.get)
    assert same(mixed, then(a, b, 3))
    assert (mixed.info.looks, mixed.info.extent) == ("background", pytest.approx(0.2))
    apart = motions["b"].replace_info(path=[[0.8, 0.15 * n] for n in range(5)])
    both = {"a": motions["a"], "b": apart}.get
    assert build(Mix((Track("a"), Track("b"))), both).info.extent == 0  # several objects are no disc
    assert build(Mix((Track("a"), Track("b")), together="mean"), both).info.extent == pytest.approx(0.2)
    jump = Mix((Track("a", length=3), Track("b", start=3)))
    assert build(jump, both).info.extent == pytest.approx(0.2)
    alone = build(Mix((Track("a"),)), motions.get)
    assert (alone.info.looks, alone.info.extent) == ("raw", 0.2)


def test_tracks_one_after_another_are_then(load):
    a, b = (without_looks(load(name), "centre") for name in "ab")
    mixed = build(Mix((Track("a", length=3), Track("b", start=3))), load)
    assert same(mixed, then(a, b, 3))
    assert mixed.info.looks == "background"
    faded = build(Mix((Track("a", length=4, fade_out=2), Track("b", start=2, fade_in=2))), load)
    assert same(faded, then(a, b, 2, fade=2))


def test_operations_act_in_their_order(load):
    steps = [{"op": "move", "x": 0.2}, {"op": "turn", "degrees": 90}]
    one = build(Mix((Track("a", operations=steps),)), load)
    other = build(Mix((Track("a", operations=steps[::-1]),)), load)
    assert not same(one, other)
    assert same(edit(load("a"), steps), one)
    assert same(edit(load("a"), [{"op": "reverse"}] * 2), load("a"))


def test_a_held_motion_is_not_lost_with_its_looks(load):
    held = edit(load("a"), [{"op": "speed", "factor": 0, "pivot": 4}])
    assert held.info.looks == "background"
    assert held.sites["down.attn1"].v().abs().max() > 0.1


def test_lineage_names_every_parent(load):
    mix = Mix((Track("a", operations=[{"op": "reverse"}]), Track("b", 0.5)))
    motion = build(mix, load)
    parents = {parent for step in motion.info.lineage for parent in step["parents"]}
    assert {load("a").hash(), load("b").hash(), Reverse().apply(load("a")).hash()} <= parents
    assert Mix.from_json(motion.info.settings["mix"]) == mix


def test_the_drawn_path_is_the_built_path(load):
    steps = [
        {"op": "turn", "degrees": 90},
        {"op": "speed", "factor": 0.5},
        {"op": "amplitude", "factor": 1.5},
    ]
    mix = Mix(
        (Track("a", 1.0, operations=steps), Track("b", 0.5, operations=[{"op": "strength", "value": 2.0}]))
    )
    paths, motion = preview_paths(mix, load), build(mix, load)
    assert torch.allclose(torch.tensor(paths["blends"][0]), motion.path(), atol=1e-5)
    windowed = Mix((Track("a", length=3), Track("b", start=2, fade_in=2)))
    assert torch.allclose(
        torch.tensor(preview_paths(windowed, load)["blends"][0]), build(windowed, load).path()
    )
    turned = Turn(90).apply(load("a"))
    alone = preview_paths(Mix((Track("a", operations=steps[:1]),)), load)
    assert torch.allclose(torch.tensor(alone["tracks"][0]["path"]), turned.path(), atol=1e-5)


def test_paths_of_windows_and_of_motions_without_one(load):
    paths = preview_paths(Mix((Track("a", start=1, length=2), Track("still"))), load)
    assert [point is None for point in paths["blends"][0]] == [True, False, False, True, True]
    assert paths["tracks"][0]["weight"] == [0, 1, 1, 0, 0]
    assert paths["tracks"][1]["path"] is None
    assert preview_paths(Mix((Track("still"),)), load)["blends"][0] is None


def test_what_a_camera_films_is_drawn_as_the_edited_mix_has_it(make_motion):
    rows = [[0.05 * n, 0.0, 0.0, 0.02 * n] for n in range(5)]
    motions = {
        "a": make_motion(path=wave(5).tolist(), camera=rows),
        "still": make_motion(path=None, camera=rows),
    }
    mix, film = Mix((Track("a"),)), Film(0.2, -0.1, 1.3, 25)
    drawn = preview_paths(mix, motions.__getitem__, film)
    edited = edit(build(mix, motions.__getitem__), [film.to_json()])
    assert torch.allclose(torch.tensor(drawn["blends"][0]), edited.path(), atol=1e-6)
    assert torch.allclose(torch.tensor(drawn["tracks"][0]["path"]), edited.path(), atol=1e-6)
    assert torch.allclose(torch.tensor(drawn["camera"]), edited.camera(), atol=1e-6)
    silent = preview_paths(Mix((Track("a", start=2, length=1),)), motions.__getitem__, film)["blends"][0]
    assert silent[0] is None and silent[2] is not None and silent[4] is None
    assert preview_paths(Mix((Track("still"),)), motions.__getitem__, film)["blends"][0] is None


def test_the_camera_is_drawn_as_the_built_motion_has_it(make_motion):
    push = [[0.0, 0.0, 0.01 * n * n, 0.0] for n in range(5)]
    motions = {
        "push": make_motion(1, camera=push),
        "still": make_motion(2, camera=[[0.0003] * 4] * 5),
        "unknown": make_motion(3, camera=None),
    }

    def drawn(*tracks, **values):
        return preview_paths(Mix(tracks, **values), motions.get)["camera"]

    assert torch.allclose(torch.tensor(drawn(Track("push"))), torch.tensor(push))
    back = Track("push", operations=[{"op": "reverse"}])
    mirrored = torch.tensor(push).flip(0) - torch.tensor(push[-1])
    assert torch.allclose(torch.tensor(drawn(back)), mirrored)
    assert drawn(Track("still")) is None and drawn(Track("unknown")) is None
    assert drawn(Track("push"), Track("unknown")) is None
    both = Mix((back, Track("still", 0.5)), frames=9, together="sum")
    camera = torch.tensor(preview_paths(both, motions.get)["camera"])
    assert torch.allclose(camera, build(both, motions.get).camera())


@pytest.mark.parametrize("together", ["no", "mean", "sum"])
def test_a_camera_rests_where_its_track_is_silent(make_motion, together):
    push = [[0.1 * n, 0.0, 0.0, 0.0] for n in range(5)]
    motions = {"push": make_motion(1, camera=push), "back": make_motion(2, camera=push)}

    def camera(*tracks):
        mix = Mix(tracks, together=together)
        drawn = torch.tensor(preview_paths(mix, motions.get)["camera"])
        assert torch.allclose(drawn, build(mix, motions.get).camera())
        return [round(step, 4) for step in drawn[:, 0].tolist()]

    assert camera(Track("push", length=3)) == [0, 0.1, 0.2, 0.2, 0.2]
    assert camera(Track("push", start=2)) == [0, 0, 0, 0.1, 0.2]  # held till then, as its object is
    back = Track("back", start=3, operations=[{"op": "mirror", "axis": "x"}])
    assert camera(Track("push", length=3), back) == [0, 0.1, 0.2, 0.2, 0.1]
    faded = Track("push", operations=[{"op": "fade", "length": 3}])
    assert camera(faded) == [0, 0.1, 0.2, 0.2, 0.2]


def test_other_lengths_are_stretched(load):
    mix = Mix((Track("a"), Track("b", operations=[{"op": "trim", "start": 1, "length": 3}])), frames=9)
    assert build(mix, load).frames == 9
    paths = preview_paths(mix, load)
    assert len(paths["blends"][0]) == paths["frames"] == 9
    assert torch.allclose(torch.tensor(paths["blends"][0]), build(mix, load).path(), atol=1e-5)


@pytest.mark.parametrize("law", ["mean", "sum"])
def test_tracks_that_move_one_object_are_moved_to_the_path_of_the_mix(load, law):
    tracks = (Track("a", 1.0), Track("b", 0.5), Track("still"))
    mix = Mix(tracks, together=law)
    motion, way = build(mix, load), torch.tensor(preview_paths(mix, load)["blends"][0])
    assert torch.allclose(motion.path(), way, atol=1e-5)
    bare = [without_looks(load(name), "background") for name in ("a", "b", "still")]
    moved = [Along(way - one.path()).apply(one) if one.path() is not None else one for one in bare]
    assert same(motion, blend([(moved[0], 1.0), (moved[1], 0.5), (moved[2], 1.0)]))
    assert not same(motion, blend([(bare[0], 1.0), (bare[1], 0.5), (bare[2], 1.0)]))
    assert same(build(Mix(tracks), load), blend([(load("a"), 1.0), (load("b"), 0.5), (load("still"), 1.0)]))


def test_a_part_is_moved_as_where_it_is_heard(load):
    mix = Mix((Track("a", length=3), Track("b", start=3)), together="sum")
    motion, way = build(mix, load), torch.tensor(preview_paths(mix, load)["blends"][0])
    first = without_looks(load("a"), "background")
    last = Delay(3).apply(without_looks(load("b"), "background"))
    last = Move(*(way - last.path())[4].tolist()).apply(last)
    assert torch.allclose(way[:3], first.path()[:3]) and torch.allclose(way[3:], last.path()[3:], atol=1e-6)
    assert same(motion, blend([(Fade(length=3).apply(first), 1.0), (Fade(start=3).apply(last), 1.0)]))


@pytest.mark.parametrize("law", ["mean", "sum"])
def test_one_object_changes_nothing_for_one_track(load, law):
    alone = (Track("a", operations=[{"op": "reverse"}]),)
    assert same(build(Mix(alone, together=law), load), build(Mix(alone), load))


def test_a_motion_less_itself_is_nothing_or_where_ways_add_up_still(load):
    tracks = (Track("a"), Track("a", -1.0))
    for together in ("no", "mean"):
        nothing = build(Mix(tracks, together=together), load)
        assert all(site.qk.abs().max() < 1e-5 for site in nothing.sites.values())
        assert all(site.v() is None or site.v().abs().max() < 1e-5 for site in nothing.sites.values())
    still = build(Mix(tracks, together="sum"), load)
    assert torch.allclose(still.path(), load("a").path()[:1].expand(5, 2), atol=1e-5)
    assert any(site.qk.abs().max() > 1e-3 for site in still.sites.values())


def test_where_ways_add_up_a_weight_is_how_far_a_track_goes_and_which_way(load):
    bare = without_looks(load("b"), "background")
    path = bare.path()
    for weight, turned in ((0.25, bare), (-1.0, Turn(180).apply(bare))):
        motion = build(Mix((Track("b", weight),), together="sum"), load)
        way = path[0] + weight * (path - path[0])
        assert torch.allclose(motion.path(), way, atol=1e-5)
        assert same(motion, Along(way - turned.path()).apply(turned))  # played at full
    quiet = build(Mix((Track("b", 0.0),), together="sum"), load)
    assert all(site.qk.abs().max() < 1e-5 for site in quiet.sites.values())
    pair = build(Mix((Track("b", -2.0), Track("still", -1.0)), together="sum"), load)
    turned = Turn(180).apply(bare)
    turned = Along(path[0] - 2 * (path - path[0]) - turned.path()).apply(turned)
    assert same(pair, blend([(turned, 1.0), (without_looks(load("still"), "background"), -0.5)]))


def test_where_ways_add_up_so_do_cameras_with_their_signs(make_motion):
    pan = [[0.1 * n, 0.0, 0.02 * n, 0.0] for n in range(5)]
    way = [[0.3 + 0.1 * n, 0.5] for n in range(5)]  # what stands in the world goes along
    motions = {"a": make_motion(1, camera=[[0.0] * 4] * 5), "pan": make_motion(2, path=way, camera=pan)}
    for weight in (1.0, -1.0, 0.5):
        mix = Mix((Track("a"), Track("pan", weight)), together="sum")
        camera = build(mix, motions.get).camera()
        assert torch.allclose(camera_steps(camera), weight * camera_steps(torch.tensor(pan)), atol=1e-6)
