"""What the text encoder is taught of which way words go: the truth of the world, and nothing else moves."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from motion_studio.backbones.toybox_build import build
from motion_studio.toybox.motions import bounce, circle, grow, spin, straight, wave, zigzag
from motion_studio.toybox.sample import vocabulary
from motion_studio.toybox.words import TURNING, meaning, teach


def test_words_of_turning_mean_what_the_world_draws():
    rng = np.random.default_rng(0)
    sided = 0
    for _ in range(200):
        move = circle(64, rng)
        x, y, way, grown = meaning(move.words)
        assert grown == 0
        assert way == (-1 if "counterclockwise" in move.words else 1)
        if "from" in move.words:
            step = move.path[1] - move.path[0]
            assert (x, y) @ step / np.linalg.norm(step) > np.cos(np.deg2rad(50)), move.words
            sided += 1
        else:
            assert (x, y) == (0, 0)
    assert sided > 100


def test_a_spin_has_a_way_and_sets_out_nowhere_and_other_words_say_nothing():
    rng = np.random.default_rng(1)
    for _ in range(20):
        move = spin(8, rng)
        assert meaning(move.words) == (0, 0, np.sign(move.angle[-1]), 0)
    for words in ("", "waving", "standing still"):
        assert meaning(words) == (0, 0, 0, 0)


def test_growth_has_a_sign_and_no_other_way():
    rng = np.random.default_rng(3)
    for _ in range(20):
        move = grow(8, rng)
        assert meaning(move.words) == (0, 0, 0, np.sign(move.scale[-1] - move.scale[0]))


def test_words_of_a_way_mean_where_it_ends():
    rng = np.random.default_rng(2)
    for draw in (straight, wave, zigzag, bounce):
        sided = 0
        for _ in range(50):
            move = draw(16, rng)
            x, y, way, grown = meaning(move.words)
            gone = move.path[-1] - move.path[0]
            if draw is not straight:  # the words speak of one axis
                gone = gone * np.abs([x, y])
            if (x, y) != (0, 0):
                assert (x, y) @ gone / np.linalg.norm(gone) > np.cos(np.deg2rad(23)), move.words
                sided += 1
            assert way == grown == 0
        assert sided >= (50 if draw is straight else 10)


@pytest.fixture(scope="module")
def taught():
    pipe = build(vocabulary(), seed=1)
    before = deepcopy(pipe.text_encoder)
    learnt = teach(pipe.text_encoder, pipe.tokenizer, steps=150, captions=600, seed=3)
    return pipe, before, learnt


def _apart(encoder, tokenizer, first: str, second: str) -> float:
    ids = tokenizer([first, second], padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        states = encoder(ids).last_hidden_state
    return (states[0, -1] - states[1, -1]).norm().item()


def test_ways_come_apart_and_other_captions_stay(taught):
    pipe, before, learnt = taught
    assert 0.5 < learnt <= 1
    for name in TURNING:
        ways = [f"a red star {name} {way} on plain blue" for way in ("clockwise", "counterclockwise")]
        assert (
            _apart(pipe.text_encoder, pipe.tokenizer, *ways) > 4 > 2 * _apart(before, pipe.tokenizer, *ways)
        )
    ids = pipe.tokenizer(["a pink bar standing still on red dots"], padding="max_length", return_tensors="pt")
    with torch.no_grad():
        now, then = (encoder(ids.input_ids).last_hidden_state for encoder in (pipe.text_encoder, before))
    assert (now - then).norm(dim=-1).max() < 0.5 * then.norm(dim=-1).mean()
