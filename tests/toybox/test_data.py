"""What the built-in model is trained on: clips that show what their captions say, and the pool of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motion_studio.backbones.toybox_build import build
from motion_studio.toybox import data
from motion_studio.toybox.data import DRILLS, DROPPED, SHUFFLED, TWO, LatentPool, drill_clip, training_clip
from motion_studio.toybox.probe import obeys, read
from motion_studio.toybox.sample import PAIRED, apart, sample_scene, vocabulary
from motion_studio.toybox.world import mask, render
from motion_studio.video.clip import Clip


@pytest.fixture(scope="module")
def pipe():
    return build(vocabulary(), seed=1)


@pytest.fixture
def captions(monkeypatch):
    """The captions of so many training clips, whose pictures take too long to be drawn for them alone."""

    def read(count: int, kind: str = "any", two: float = TWO) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setattr(data, "render", lambda scene: Clip(torch.zeros(2, 3, 4, 4), 8.0))
            patch.setattr(data, "mask", lambda *_: np.zeros((2, 4, 4), np.float32))
            return [training_clip(seed, kind, two)[1] for seed in range(count)]

    return read


def test_training_clips_are_seeded_and_some_are_without_words(captions):
    frames, text, cover = training_clip(7)
    again, same, where = training_clip(7)
    assert torch.equal(frames, again) and text == same and torch.equal(cover, where)
    assert cover.shape == (16, 16, 16) and cover.min() == 0 and cover.max() == 1
    assert 0.05 < cover.mean() < 0.5
    assert captions(1000).count("") / 1000 == pytest.approx(SHUFFLED + DROPPED, abs=0.03)


def test_some_clips_show_two_objects_and_cover_both(captions):
    texts = captions(120)
    pairs = [seed for seed, text in enumerate(texts) if " and a " in text]
    assert 0.05 < len(pairs) / len(texts) < 0.3
    scene = sample_scene(pairs[0], two=TWO)
    frames, text, cover = training_clip(pairs[0])
    assert text == texts[pairs[0]] and len(scene.things) == 2 and torch.equal(frames, render(scene).frames)
    for index in range(2):
        assert (cover >= torch.from_numpy(mask(scene, 16, index))).all()


@pytest.mark.parametrize(
    ("two", "kind", "least", "most"), [(1.0, "any", 0.7, 1), (0, "any", 0, 0), (1.0, "lesson", 0, 0)]
)
def test_how_many_show_two_can_be_said(captions, two, kind, least, most):
    texts = captions(60, kind, two)
    assert least <= sum(" and a " in text for text in texts) / len(texts) <= most


def test_two_objects_can_be_told_apart():
    pairs = [sample_scene(seed, two=1.0) for seed in range(40)]
    shares = [apart(*scene.things).mean() for scene in pairs]
    assert min(shares) >= 0.25 and np.median(shares) >= 0.75
    alone = [sample_scene(seed) for seed in range(40)]
    for pair, one in zip(pairs, alone, strict=True):  # and single ones are drawn as ever
        assert len(one.things) == 1 and pair.ground.colour == one.ground.colour
        assert pair.things[0].radius == pytest.approx(PAIRED * one.things[0].radius)


def test_lessons_name_what_moves(captions):
    lessons, filmed = (captions(40, kind) for kind in ("lesson", "filmed"))
    assert not any("camera" in text for text in lessons)
    assert sum("camera" in text for text in filmed) > 30  # some words, and some captions, are left out


def test_the_pool_keeps_its_size(pipe):
    pool = LatentPool(pipe.vae, pipe.tokenizer, size=3, seed=0)
    pool.add()
    assert len(pool) == 2
    first = pool.kept[0].clone()
    pool.add()
    latents, ids, cover = pool.batch(2)
    assert len(pool) == 3 and cover.shape == (2, 16, 16, 16)
    assert latents.shape == (2, pipe.unet.config.in_channels, 16, 16, 16) and ids.shape[0] == 2
    kept = [torch.equal(old, new) for old, new in zip(first, pool.kept[0], strict=True)]
    assert kept == [False, True, False]  # the oldest went, its place and the free one were taken


def test_workers_draw_the_same_clips(pipe):
    alone, helped = (LatentPool(pipe.vae, pipe.tokenizer, 4, 5, "lessons", workers=n) for n in (0, 2))
    for _ in range(2):
        alone.add()
        helped.add()
    assert all(torch.equal(a, b) for a, b in zip(alone.kept, helped.kept, strict=True))


def test_drills_cross_the_picture_and_say_where_to():
    for seed in range(5):
        frames, text, cover = drill_clip(seed, "drill")
        assert frames.shape == (16, 3, 64, 64) and " moving " in text and " on plain " in text
        across = torch.arange(16.0)
        x, y = ((cover.sum(dim) * across).sum(1) / cover.sum((1, 2)) for dim in (1, 2))
        assert max(x.max() - x.min(), y.max() - y.min()) > 0.2 * 16
        words = text.split(" moving ")[1].split(" on ")[0].split()
        assert ("right" in words) <= bool(x[-1] > x[0]) and ("left" in words) <= bool(x[-1] < x[0])


def test_turns_do_what_they_say_and_show_it():
    names = set()
    for seed in range(12):
        frames, text, _ = drill_clip(seed, "turn")
        shape, words = text.split()[2], " ".join(text.split()[3:]).split(" on ")[0]
        seen = read(Clip(frames, 8.0))
        assert seen.shape == shape and obeys(words, seen.path, seen.angle, seen.radius), text
        assert text.split(" on ")[1].startswith("plain ")
        names.add(words.split()[0])
    assert names == set(DRILLS["turn"])
