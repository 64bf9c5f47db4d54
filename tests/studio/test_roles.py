"""Objects with words of their own: each in its place, by its own prompt and motion; the rest as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import made, random_motion, settings

from motion_studio.errors import InputError, SettingsError
from motion_studio.motion.operations_place import Film
from motion_studio.motion.regions import regions
from motion_studio.studio.along import shared_ground
from motion_studio.studio.denoise import Drawn, denoise
from motion_studio.studio.mix import build, cast, preview_paths
from motion_studio.studio.render import Recipe, render
from motion_studio.studio.roles import Role, shares
from motion_studio.studio.tracks import LONGEST, Mix, Track

SHAPE = (1, 4, 4, 8, 8)


@pytest.fixture(scope="module")
def motions(backbone):
    left, right = ([[x, 0.2 + 0.2 * n] for n in range(4)] for x in (0.25, 0.75))
    pan = [[0.1 * n, 0.0, 0.0, 0.0] for n in range(4)]
    object_ = {"extent": 0.15, "camera": [[0.0] * 4] * 4}
    return {
        "left": random_motion(backbone, 1, path=left, **object_),
        "right": random_motion(backbone, 2, path=right, **object_),
        "pan": random_motion(backbone, 3, camera=pan),
    }


def role(motions, path=None) -> Role:
    right = motions["right"]
    return Role("a blue box", right, right.path() if path is None else path)


def test_a_role_draws_its_place_and_leaves_the_rest(backbone, motions):
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    texts = [backbone.encode_text(["", prompt]) for prompt in ("a red ball", "a blue box")]
    ready = [backbone.processors(motions[name]) for name in ("left", "right")]
    (share,) = shares([role(motions)], motions["left"], SHAPE)

    def drawn(*beside: Drawn) -> torch.Tensor:
        *_, (_, latents, _) = denoise(backbone, ready[0], noise, texts[0], settings(steps=1), beside=beside)
        return latents

    changed = (drawn(Drawn(ready[1], texts[1], share)) - drawn()).abs().sum(1)[0] > 1e-6
    assert torch.equal(changed, share > 1e-6) and 0 < changed.float().mean() < 0.8
    two, other = (
        made(backbone, settings(), motions["left"], beside=[replace(role(motions), prompt=prompt)])
        for prompt in ("a blue box", "a green tree")
    )
    assert not torch.equal(two, made(backbone, settings(), motions["left"])) and not torch.equal(two, other)


def test_what_is_predicted_is_weighted_by_place(backbone, motions):
    given = settings(steps=2)
    one = role(motions)
    (share,) = shares([one], motions["left"], SHAPE)
    objects = [(motions["right"].path(), 0.15), (motions["left"].path(), 0.15)]
    assert torch.equal(share, regions(objects, (8, 8))[0])
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    texts = [backbone.encode_text(["", prompt]) for prompt in ("a red ball", "a blue box")]
    ready = [backbone.processors(motions[name]) for name in ("left", "right")]
    scheduler = backbone.scheduler(2)
    latents = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        outputs = []
        for carried, text in zip(ready, texts, strict=True):
            with torch.no_grad(), backbone.playing(carried):
                negative, positive = backbone.predict(torch.cat([latents] * 2), t, text).chunk(2)
            outputs.append(negative + 2.0 * (positive - negative))
        output = (1 - share) * outputs[0] + share * outputs[1]
        latents = scheduler.step(output, t, latents).prev_sample

    beside = [Drawn(ready[1], texts[1], share)]
    *_, (_, ours, _) = denoise(backbone, ready[0], noise, texts[0], given, beside=beside)
    assert torch.allclose(ours, latents, atol=1e-4)


def test_one_that_is_nowhere_changes_nothing_and_the_model_is_as_before(backbone, motions):
    bare = made(backbone, settings())
    silent = role(motions, torch.full((4, 2), torch.nan))
    alone = made(backbone, settings(), motions["left"])
    assert torch.allclose(made(backbone, settings(), motions["left"], beside=[silent]), alone, atol=1e-5)
    with pytest.raises(SettingsError, match="words of their own"):
        made(backbone, settings(motion_type="camera"), motions["left"], beside=[role(motions)])
    wrong = replace(role(motions), motion=motions["right"].replace_info(base_hash="0" * 64))
    with pytest.raises(InputError):
        made(backbone, settings(), motions["left"], beside=[wrong])
    made(backbone, settings(), None, beside=[role(motions)])  # nothing need move beside it
    assert torch.equal(made(backbone, settings()), bare)


def test_the_shared_ground_leaves_every_object_alone(motions):
    given = settings(sync_until=1.0)
    clean = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    alone = shared_ground(SHAPE, given, motions["left"])(clean)
    both = shared_ground(SHAPE, given, motions["left"], [role(motions)])(clean)
    y, x = 2, 6  # where the right one is in frame 0 of 0.2 + 0.2 n
    assert torch.equal(both[0, :, 0, y, x], clean[0, :, 0, y, x])
    assert not torch.equal(alone[0, :, 0, y, x], clean[0, :, 0, y, x])
    assert torch.allclose(both[0, :, :, 7, 0], alone[0, :, :, 7, 0], atol=1e-5)


def test_a_camera_that_films_takes_the_place_along(motions):
    path = motions["right"].path()
    path[0] = torch.nan
    filmed = role(motions, path).filmed(settings(pan=0.3), motions["right"])
    assert filmed.path[0].isnan().all()
    assert torch.allclose(filmed.path[1:], Film(pan=0.3).apply_path(motions["right"].path())[1:])
    assert torch.equal(role(motions).filmed(settings(), motions["right"]).path, motions["right"].path())


def test_a_mix_is_cast_by_its_tracks_words(motions):
    load = motions.__getitem__
    mix = Mix((Track("right", prompt=" a blue box "), Track("left"), Track("pan", 0.5)))
    assert mix.prompts == ["", "a blue box"]
    first, second = cast(mix, load)
    assert (first.prompt, second.prompt) == ("", "a blue box")
    alone = build(Mix((Track("left"), Track("pan", 0.5))), load)
    assert first.motion.hash() == alone.hash() and torch.equal(first.path, motions["left"].path())
    assert second.motion.hash() == build(Mix((Track("right"),)), load).hash()
    # The camera is that of all tracks, as it is drawn.
    assert first.motion.info.camera != alone.info.camera
    drawn = preview_paths(mix, load)
    assert len(drawn["blends"]) == 2 and len(drawn["tracks"]) == 3
    assert drawn["radii"] == [0.15, 0.15] and preview_paths(Mix((Track("pan"),)), load)["radii"] == [0.0]
    assert torch.allclose(torch.tensor(drawn["blends"][1]), motions["right"].path())
    assert torch.allclose(torch.tensor(drawn["camera"]), first.motion.camera())
    late = Mix((Track("left"), Track("right", start=1, length=2, prompt="a blue box")))
    assert cast(late, load)[1].path.isnan().all(1).tolist() == [True, False, False, True]
    for same in (Mix((Track("left"), Track("right"))), Mix((Track("left", prompt="x"),))):
        (one,) = cast(same, load)
        assert one.motion.hash() == build(same, load).hash()


def test_words_that_cannot_be_are_refused(motions):
    load = motions.__getitem__
    two = Mix((Track("left"), Track("right", prompt="a blue box")))
    with pytest.raises(InputError, match="not one motion"):
        build(two, load)
    with pytest.raises(InputError, match=r"Track 2 \(pan\).*no path"):
        cast(Mix((Track("left"), Track("pan", prompt="a blue box"))), load)
    for wrong in ("x" * (LONGEST + 1), 3, None):
        with pytest.raises(InputError, match="Track 1"):
            Mix.from_json({"tracks": [{"motion": "left", "prompt": wrong}]})
    assert Mix.from_json(two.to_json()) == two
    assert Mix.from_json({"tracks": [{"motion": "left"}]}).tracks[0].prompt == ""  # as before there were any


def test_a_recipe_makes_the_clip_of_a_cast_again(backbone, motions):
    load = motions.__getitem__
    mix = Mix((Track("left"), Track("right", prompt="a blue box")))
    *_, last = render(backbone, settings(), mix, load)
    recipe = Recipe.from_json(last.result.recipe)
    assert recipe.mix == mix and recipe.settings == settings() and set(recipe.motions) == {"left", "right"}
    *_, again = render(backbone, recipe.settings, recipe.mix, load)
    assert torch.equal(again.result.clip.frames, last.result.clip.frames)
    *_, plain = render(backbone, settings(), Mix((Track("left"), Track("right"))), load)
    assert not torch.equal(plain.result.clip.frames, last.result.clip.frames)


def test_where_all_have_words_the_first_ones_draw_the_ground(backbone, motions):
    load = motions.__getitem__
    mix = Mix((Track("left", prompt="a red ball"), Track("right", prompt="a blue box")))
    *_, last = render(backbone, settings(prompt="anything"), mix, load)
    named = Mix((Track("left"), Track("right", prompt="a blue box")))
    *_, other = render(backbone, settings(prompt="a red ball"), named, load)
    assert torch.equal(last.result.clip.frames, other.result.clip.frames)
    assert last.result.recipe["settings"]["prompt"] == "anything"


@pytest.mark.parametrize("frames", [3, 7, 8])
def test_one_that_is_there_for_a_while_is_so_in_a_clip_of_another_length(motions, frames):
    there = torch.tensor([0, 1, 1, 0]).bool()
    path = torch.where(there[:, None], motions["right"].path(), torch.nan)
    (share,) = shares([role(motions, path)], motions["left"], (1, 4, frames, 8, 8))
    seen = share.flatten(1).amax(1) > 0.5
    assert seen.any() and not seen[0] and not seen[-1]
    stretched, _ = role(motions, path).object(frames)
    low, high = motions["right"].path()[there].aminmax(dim=0)
    known = stretched[~stretched.isnan().any(1)]
    assert len(known) == seen.sum() and (known >= low - 1e-6).all() and (known <= high + 1e-6).all()
