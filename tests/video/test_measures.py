"""`measure` and its parts, on clips whose motion is known."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch
from drawn_clips import CAMERAS, PATHS, backwards, draw

from motion_studio.video.clip import Clip, fit
from motion_studio.video.measures import (
    camera_correlation,
    flow_cosine,
    follows,
    layout_correlation,
    measure,
    motion_fidelity,
    path_correlation,
    size_ratio,
    temporal_consistency,
)
from motion_studio.video.tracks import see, tracks


def test_same_motion_in_other_looks():
    reference = draw(PATHS["wave"], pattern="plain", colour="red")
    figures = measure(reference, draw(PATHS["wave"], pattern="checks", colour="yellow", shape="square"))
    assert figures["path_correlation"] > 0.99
    assert figures["path_size_ratio"] == pytest.approx(1, abs=0.05)
    assert figures["temporal_consistency"] > 0.97
    assert abs(figures["layout_correlation"]) < 0.1


def test_camera_of_another_ground():
    reference = draw(PATHS["straight"], CAMERAS["all"], "clouds")
    figures = measure(reference, draw(PATHS["circle"], CAMERAS["all"], "checks"))
    assert figures["camera_correlation"] > 0.97
    assert figures["camera_size_ratio"] == pytest.approx(1, abs=0.08)
    for part in ("dx", "dy", "zoom", "roll"):
        assert figures[f"camera_{part}_correlation"] > 0.97
    assert figures["flow_cosine"] > 0.5
    assert abs(figures["path_correlation"]) < 0.9


def test_size_of_the_motion_is_told():
    middle = PATHS["circle"].mean(0)
    figures = measure(draw(PATHS["circle"]), draw(middle + 0.5 * (PATHS["circle"] - middle)))
    assert figures["path_correlation"] > 0.99
    assert figures["path_size_ratio"] == pytest.approx(0.5, abs=0.03)
    assert figures["flow_magnitude_ratio"] == pytest.approx(0.5, abs=0.15)


def test_how_an_object_grows_and_turns_is_compared():
    grows, turns = np.linspace(0.08, 0.16, 16), np.linspace(0, 2, 16)
    reference = draw(PATHS["wave"], shape="bar", radius=grows, angle=turns)
    result = draw(
        PATHS["wave"], shape="square", colour="yellow", radius=np.sqrt(0.1 * grows), angle=-0.5 * turns
    )
    figures = measure(reference, result)
    assert figures["growth_correlation"] > 0.97 and figures["turn_correlation"] < -0.97
    assert figures["growth_size_ratio"] == pytest.approx(0.5, abs=0.05)
    assert figures["turn_size_ratio"] == pytest.approx(0.5, abs=0.05)
    round_ = measure(reference, draw(PATHS["wave"]))
    assert [round_[f"{name}_correlation"] for name in ("growth", "turn")] == [0, 0]


def test_reversed_clip_runs_against_itself():
    clip = draw(PATHS["straight"], CAMERAS["pan"], "clouds")
    figures = measure(clip, backwards(clip))
    assert figures["path_correlation"] == pytest.approx(-1, abs=0.01)
    assert figures["camera_correlation"] < -0.95
    assert figures["flow_cosine"] < -0.6
    plain = draw(PATHS["straight"])
    assert motion_fidelity(tracks(plain), tracks(backwards(plain))) < 0.2


def test_whether_a_clip_follows():
    clip = draw(PATHS["straight"], CAMERAS["pan"], "clouds")
    one, other = see(clip), see(draw(PATHS["straight"], CAMERAS["pan"], "checks", colour="yellow"))
    back, held = see(backwards(clip)), see(Clip(clip.frames[:1].expand(16, -1, -1, -1), clip.fps))
    assert follows(one, one) == pytest.approx(1) and follows(one, other) > 0.95
    assert follows(one, back) < -0.95 and follows(held, one) == 0 == follows(one, held)


def test_still_clips_give_numbers():
    still, moving = draw(PATHS["still"], pattern="clouds"), draw(PATHS["wave"], pattern="clouds")
    for pair in ((still, still), (still, moving), (moving, still)):
        figures = measure(*pair)
        assert figures["path_correlation"] == 0
        assert figures["camera_correlation"] == 0
        assert figures["motion_fidelity"] == pytest.approx(0, abs=0.3)
        assert all(math.isfinite(value) for value in figures.values() if isinstance(value, float))
        json.dumps(figures, allow_nan=False)


def test_other_length_and_size_are_fitted():
    clip = draw(PATHS["straight"])
    figures = measure(clip, fit(clip, 24, 128, 128))
    assert figures["path_correlation"] > 0.99
    assert len(figures["result_path"]) == 16


def test_a_long_wide_reference_is_compared_where_and_when_the_result_shows_it():
    def motion(frames):
        time = np.linspace(0, 1, frames)
        wave = np.stack([0.75 - 0.5 * time, 0.5 + 0.15 * np.sin(8 * time)], 1)
        return wave, (time**1.3)[:, None] * (0.2, -0.15, 0.2, -0.4)

    long = draw(*motion(48), "clouds", width=114)
    short = draw(*motion(16), "clouds", colour="yellow")
    figures = measure(long, short)
    assert len(figures["reference_path"]) == len(figures["result_path"]) == 16
    for part in ("path", "camera"):
        assert figures[f"{part}_correlation"] > 0.97
    assert figures["flow_cosine"] > 0.8
    for ratio in ("path_size_ratio", "camera_size_ratio", "flow_magnitude_ratio"):
        assert 0.9 < figures[ratio] < 1.1
    assert figures["layout_correlation"] > 0.97
    assert layout_correlation(long, short) > 0.97


def test_16_frames_take_under_two_seconds():
    reference, result = draw(PATHS["wave"], CAMERAS["all"], "clouds"), draw(PATHS["wave"], pattern="checks")
    measure(reference, result)
    start = time.process_time()
    measure(reference, result)
    assert time.process_time() - start < 2


def test_path_figures():
    a = torch.tensor(PATHS["wave"])
    assert path_correlation(a, a * 3 + 5) == pytest.approx(1)
    assert path_correlation(a, -a) == pytest.approx(-1)
    assert path_correlation(a, torch.zeros_like(a)) == 0
    assert size_ratio(a, 2 * a) == pytest.approx(2)
    assert size_ratio(torch.zeros_like(a), a) == 0
    # A quarter turn keeps each axis's shape but not the pair's direction.
    line = torch.linspace(0, 1, 16)
    across, down = torch.stack([line, 0 * line], 1), torch.stack([0 * line, line], 1)
    assert path_correlation(across, down) == pytest.approx(0)


def test_camera_figures():
    pan, roll = torch.tensor(CAMERAS["pan"]), torch.tensor(CAMERAS["roll"])
    assert camera_correlation(pan, 0.5 * pan) == pytest.approx(1)
    assert camera_correlation(pan, -pan) == pytest.approx(-1)
    assert abs(camera_correlation(pan, roll)) < 0.1
    assert camera_correlation(pan, 0 * pan) == 0


def test_motion_fidelity_forms():
    time_axis = torch.linspace(0, 0.5, 16)[:, None]
    right, down = torch.stack([time_axis, 0 * time_axis], -1), torch.stack([0 * time_axis, time_axis], -1)
    both, still = torch.cat([right, down], 1), torch.zeros(16, 1, 2)
    assert motion_fidelity(right, right) == pytest.approx(1)
    assert motion_fidelity(right, -right) == pytest.approx(-1)
    # Each track of the result has a like one in the reference, but not the other way round.
    assert motion_fidelity(both, right) == pytest.approx(1)
    assert motion_fidelity(both, right, mutual=True) == pytest.approx(0.75)
    assert motion_fidelity(both, torch.cat([right, still], 1)) == pytest.approx(1)
    assert motion_fidelity(right, still) == 0
    assert motion_fidelity(still, still, mutual=True) == 0


def test_flow_cosine_of_still_is_0():
    flow = torch.rand(3, 2, 8, 8)
    assert flow_cosine(flow, 2 * flow) == pytest.approx(1)
    assert flow_cosine(flow, 0 * flow) == 0


def test_flicker_lowers_consistency():
    clip = draw(PATHS["straight"], CAMERAS["pan"], "clouds")
    light = 0.15 * (-1.0) ** torch.arange(16)[:, None, None, None]
    flickering = Clip((clip.frames + light).clamp(0, 1), 8)
    assert temporal_consistency(clip) > 0.97
    assert temporal_consistency(flickering) < temporal_consistency(clip) - 0.1


def test_layout_tells_whether_the_ground_came_along():
    clip = draw(PATHS["straight"], CAMERAS["pan"], "checks", colour="red")
    recoloured = Clip(clip.frames[:, [2, 1, 0]], 8)
    assert layout_correlation(clip, recoloured) > 0.9
    assert abs(layout_correlation(clip, draw(PATHS["straight"], CAMERAS["pan"], "clouds"))) < 0.25
    assert layout_correlation(clip, draw(PATHS["straight"])) == 0
