"""The mixer's desk: its knobs make the mix that they show, and a mix gives its knobs back."""

from __future__ import annotations

import pytest

from motion_studio.errors import InputError
from motion_studio.ui import mix_desk

TURNED = {"reverse": True, "speed": 0.5, "mirror_x": True, "turn": 90, "amplitude": 1.2, "x": 0.1, "y": -0.2}


def desk_of(**values):
    desk = mix_desk.add(mix_desk.empty(16), "circle")
    return mix_desk.turned(desk, 0, **values)


def test_knobs_at_rest_do_nothing():
    assert mix_desk.operations(desk_of()["tracks"][0], 16) == []
    assert mix_desk.plain(mix_desk.to_mix(desk_of()))


def test_a_mix_gives_its_desk_back():
    desk = desk_of(**TURNED, weight=-0.5, start=4.0, length=8.0, fade_in=2.0)
    mix = mix_desk.to_mix(desk)
    assert [step["op"] for step in mix.tracks[0].operations] == [
        "reverse",
        "speed",
        "mirror",
        "turn",
        "amplitude",
        "move",
    ]
    assert mix_desk.from_mix(mix, {"circle": "circle"}, 16) == desk
    assert not mix_desk.plain(mix)
    apart = {**desk, "together": "no"}
    assert (mix.together, mix_desk.to_mix(apart).together) == ("sum", "no")
    assert mix_desk.from_mix(mix_desk.to_mix(apart), {"circle": "circle"}, 16) == apart
    filmed = {**desk, "film": {"pan": 0.1, "tilt": 0.0, "zoom": 1.5, "roll": -20.0}}
    assert mix_desk.from_mix(mix_desk.to_mix(filmed), {"circle": "circle"}, 16, filmed["film"]) == filmed


def test_a_drawn_way_takes_the_place_of_its_own(studio):
    drawn = [[0.2, 0.3], [0.4, 0.5], [0.8, 0.5]]
    led = mix_desk.led(desk_of(**TURNED, weight=0.5), 0, drawn, 1.0)
    assert led == desk_of(way=drawn, weight=0.5)  # what bent it is at rest
    assert mix_desk.operations(led["tracks"][0], 16) == [{"op": "follow", "path": drawn}]
    assert mix_desk.from_mix(mix_desk.to_mix(led), {"circle": "circle"}, 16) == led
    assert mix_desk.led(led, 0, None, 1.0) == desk_of(weight=0.5)
    shown = mix_desk.ways(led, studio.library.load)
    (track,), (blend,) = shown["tracks"], shown["blends"]
    assert track["led"] and not mix_desk.ways(desk_of(), studio.library.load)["tracks"][0]["led"]
    for path, size in ((track["path"], 1.0), (blend, 0.5)):  # a sum takes half of the steps
        assert path[0] == pytest.approx(drawn[0])
        assert path[-1][0] - path[0][0] == pytest.approx(size * 0.6)
    bent = mix_desk.turned(led, 0, reverse=True)  # what bends it from now on bends the drawn way
    assert mix_desk.ways(bent, studio.library.load)["blends"][0][0] == pytest.approx(drawn[-1])
    for wrong in ([], [[0.1]], [[0.1, float("nan")]], "x", [["a", "b"]]):
        with pytest.raises(InputError):
            mix_desk.led(desk_of(), 0, wrong, 1.0)
        with pytest.raises(InputError):
            mix_desk.to_mix(desk_of(way=wrong, length=4.0))


@pytest.mark.parametrize(("start", "length"), [(0.0, None), (4.0, None), (0.0, 8.0), (6.0, 5.0)])
def test_a_way_runs_as_long_as_its_bar_and_as_the_camera_sees_it(studio, start, length):
    drawn = [[0.3 + 0.02 * n, 0.3 + 0.01 * n] for n in range(24)]
    film = {"pan": 0.3, "tilt": -0.1, "zoom": 1.4, "roll": 20.0}
    desk = {**desk_of(start=start, length=length), "film": film}
    led = mix_desk.led(desk, 0, drawn, 1.0)
    assert mix_desk.from_mix(mix_desk.to_mix(led), {"circle": "circle"}, 16, film) == led
    shown = mix_desk.ways(led, studio.library.load)["blends"][0]
    end = 16 if length is None else int(start + length)
    heard = shown[int(start) : end]
    assert heard[0] == pytest.approx(drawn[0], abs=0.03) and heard[-1] == pytest.approx(drawn[-1], abs=0.05)
    assert heard[len(heard) // 2] == pytest.approx(drawn[12], abs=0.05)


def test_a_drawn_way_goes_with_its_bar(studio):
    drawn = [[0.2 + 0.05 * n, 0.4] for n in range(12)]
    led = mix_desk.led(desk_of(), 0, drawn, 1.0)
    for start, length in ((4.0, 8.0), (8.0, None), (0.0, 4.0), (0.0, None)):
        led = mix_desk.turned(led, 0, start=start, length=length)  # its bar is moved and stretched
        end = int(start + (length or 16 - start))
        heard = mix_desk.ways(led, studio.library.load)["blends"][0][int(start) : end]
        assert heard[0] == pytest.approx(drawn[0], abs=0.02)
        assert heard[-1] == pytest.approx(drawn[-1], abs=0.03)


def test_words_of_its_own_make_a_track_an_object_of_its_own(studio):
    desk = mix_desk.add(mix_desk.add(mix_desk.empty(16), "circle"), "wave")
    both = mix_desk.turned(desk, 1, prompt="a blue box")
    mix = mix_desk.to_mix(both)
    assert mix.prompts == ["", "a blue box"] and not mix_desk.plain(mix)
    assert mix_desk.from_mix(mix, {"circle": "circle", "wave": "wave"}, 16) == both
    one, two = (mix_desk.ways(each, studio.library.load)["blends"] for each in (desk, both))
    assert len(one) == 1 and len(two) == 2
    drawn = mix_desk.ways(both, studio.library.load)["tracks"]
    for way, track in zip(two, drawn, strict=True):
        assert sum(way, []) == pytest.approx(sum(track["path"], []), abs=1e-5)


def test_a_desk_of_before_lacks_nothing():
    desk = desk_of(weight=-0.5, reverse=True)
    older = {**desk, "tracks": [{k: v for k, v in desk["tracks"][0].items() if k != "prompt"}]}
    assert mix_desk.only(older, ["circle"]) == desk


def test_a_deleted_motion_takes_its_tracks_along():
    second = mix_desk.add(desk_of(), "wave")
    assert mix_desk.only(second, ["circle", "wave"]) == second
    assert mix_desk.only(second, ["circle"]) == {**desk_of(), "selected": 0}  # the one chosen is gone


def test_a_missing_motion_leaves_its_track_out():
    desk = mix_desk.add(desk_of(), "wave")
    restored = mix_desk.from_mix(mix_desk.to_mix(desk), {"wave": "wave-2"}, 16)
    assert [track["motion"] for track in restored["tracks"]] == ["wave-2"]


def test_a_full_desk_says_so():
    desk = mix_desk.empty(16)
    for _ in range(mix_desk.MAX_TRACKS):
        desk = mix_desk.add(desk, "circle")
    with pytest.raises(InputError, match="6 tracks are laid"):
        mix_desk.add(desk, "circle")


def test_ways_are_drawn_for_each_track_and_the_mix(studio):
    desk = mix_desk.add(mix_desk.add(mix_desk.empty(16), "circle"), "wave")
    drawn = mix_desk.ways(desk, studio.library.load)
    assert len(drawn["tracks"]) == 2 and len(drawn["blends"][0]) == 16
    assert mix_desk.ways(mix_desk.empty(16), studio.library.load) is None
    panned = {**desk, "film": {**desk["film"], "pan": 0.3}}
    seen = mix_desk.ways(panned, studio.library.load)
    assert drawn["camera"] is None and seen["camera"][-1] == pytest.approx([-0.3, 0, 0, 0], abs=1e-2)
    for before, after in (
        (drawn["blends"][0], seen["blends"][0]),
        (drawn["tracks"][1]["path"], seen["tracks"][1]["path"]),
    ):
        assert after[0] == pytest.approx(before[0], abs=1e-6)
        assert after[-1] == pytest.approx([before[-1][0] - 0.3, before[-1][1]], abs=1e-6)
