from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, LCMScheduler
from tiny import made, settings

from motion_studio.errors import Cancelled, IncompatibleMotion, InputError, SettingsError
from motion_studio.settings import GenerationSettings
from motion_studio.studio.denoise import denoise
from motion_studio.studio.events import Preview, Progress
from motion_studio.studio.generate import _inverted, generate, played, recipe


def test_bare_it_is_what_the_pipeline_makes(backbone):
    noise = torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    for guidance in (1.0, 3.0):
        video = backbone.pipe(
            prompt="a red ball",
            negative_prompt="blue",
            num_frames=4,
            height=32,
            width=32,
            num_inference_steps=3,
            guidance_scale=guidance,
            latents=noise,
            output_type="pt",
        ).frames[0]
        ours = made(backbone, settings(seed=5, guidance=guidance, negative_prompt="blue"))
        assert torch.allclose(ours, video, atol=1e-4)


def test_events(backbone, motion):
    events = list(generate(backbone, settings(steps=4), motion, preview_every=2))
    assert [event.step for event in events if isinstance(event, Progress)] == [0, 1, 2, 3, 4]
    (preview,) = (event for event in events if isinstance(event, Preview))
    assert preview.step == 2 and preview.clip.frames.shape == (4, 3, 32, 32)
    assert events[-1].result.fps == backbone.fps


def test_a_base_shows_no_more_previews_than_it_asks_for(backbone, motion):
    few = type(backbone)(replace(backbone.spec, previews=2), backbone.pipe)
    events = list(generate(few, settings(steps=9), motion, preview_every=1))
    assert [event.step for event in events if isinstance(event, Preview)] == [3, 6]
    assert not any(isinstance(event, Preview) for event in generate(few, settings(), motion))


@pytest.mark.parametrize("kind", [EulerAncestralDiscreteScheduler, LCMScheduler])
def test_noise_between_steps_is_the_seeds(backbone, motion, monkeypatch, kind):
    monkeypatch.setattr(backbone.pipe, "scheduler", kind.from_config(backbone.pipe.scheduler.config))
    fresh = type(backbone)(backbone.spec, backbone.pipe)
    one, two, other = (made(fresh, settings(steps=4, seed=seed), motion) for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_each_setting_counts_and_a_seed_repeats(backbone, motion):
    same = made(backbone, settings(), motion)
    assert torch.equal(same, made(backbone, settings(), motion))
    for change in (
        {"seed": 1},
        {"prompt": "blue"},
        {"negative_prompt": "blue"},
        {"guidance": 5.0},
        {"guide_until": 0.4},
        {"play_until": 0.4},
        {"strength": 0.3},
        {"looks": "raw"},
        {"looks": "difference"},
        {"motion_type": "camera"},
        {"pan": 0.3},
        {"tilt": -0.3},
        {"zoom": 1.5},
        {"roll": 30.0},
        {"steps": 2},
    ):
        assert not torch.equal(same, made(backbone, settings(**change), motion)), change
    assert torch.equal(same, made(backbone, settings(looks="centre", motion_type="object"), motion))
    assert torch.equal(made(backbone, settings()), made(backbone, settings()))


def test_without_strength_the_motion_is_gone(backbone, motion):
    assert torch.allclose(made(backbone, settings(strength=0), motion), made(backbone, settings()), atol=1e-4)


def test_a_motion_plays_until_its_end(backbone, motion):
    bare, whole = made(backbone, settings()), made(backbone, settings(), motion)
    assert torch.equal(made(backbone, settings(play_until=0.0), motion), bare)
    first, both = (made(backbone, settings(play_until=end), motion) for end in (0.34, 0.67))
    assert not any(torch.equal(a, b) for a, b in ((first, both), (first, bare), (both, whole)))
    assert torch.equal(made(backbone, settings(play_until=0.4), motion), first)  # one step of three


def test_guidance_leads_to_the_motion_too_until_its_end(backbone, motion):
    noise = torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    text, scheduler = backbone.encode_text(["blue", "a red ball"]), backbone.scheduler(3)
    wanted, ready = noise * scheduler.init_noise_sigma, played(backbone, settings(), motion)
    for step, t in enumerate(scheduler.timesteps):
        with torch.no_grad(), backbone.playing(ready if step else None):
            negative = backbone.predict(wanted, t, text[:1])
        with torch.no_grad(), backbone.playing(ready):
            positive = backbone.predict(wanted, t, text[1:])
        output = negative + 2.0 * (positive - negative)
        wanted = scheduler.step(output, t, wanted).prev_sample
    *_, (_, latents, _) = denoise(backbone, ready, noise, text, settings(guide_until=0.34))
    assert torch.allclose(latents, wanted, atol=1e-4)
    alone = made(backbone, settings(guidance=1.0), motion)
    assert torch.equal(made(backbone, settings(guidance=1.0, guide_until=1.0), motion), alone)
    assert torch.equal(made(backbone, settings(guide_until=1.0)), made(backbone, settings()))


def test_other_lengths(backbone, motion):
    assert made(backbone, settings(frames=6), motion).shape == (6, 3, 32, 32)
    with pytest.raises(SettingsError, match="16 at most"):
        made(backbone, settings(frames=17))


def test_the_noise_prior(backbone, motion):
    with pytest.raises(InputError, match="reference"):
        made(backbone, settings(noise_prior=0.5), motion)
    latents = backbone.encode(torch.rand(4, 3, 32, 32))
    fresh = made(backbone, settings(), motion, latents)
    prior = made(backbone, settings(noise_prior=0.5), motion, latents)
    assert not torch.equal(fresh, prior)
    whole, again = (made(backbone, settings(noise_prior=1.0, seed=seed), motion, latents) for seed in (0, 1))
    assert torch.equal(whole, again)  # nothing of the noise is fresh
    with pytest.raises(InputError, match="one shape"):
        made(backbone, settings(noise_prior=0.5, frames=6), motion, latents)


def test_inverted_noise_makes_the_clip_again(backbone):
    latents = 0.3 * torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    steps = 16
    job = _inverted(backbone, latents, steps, None)
    try:
        while True:
            next(job)
    except StopIteration as end:
        noise = end.value
    text = backbone.encode_text(["", ""])
    *_, (_, again, _) = denoise(backbone, {}, noise, text, settings(guidance=1.0, steps=steps))
    chance = denoise(backbone, {}, torch.randn_like(noise), text, settings(guidance=1.0, steps=steps))
    *_, (_, other, _) = chance
    assert (again - latents).square().mean() < 0.2 * (other - latents).square().mean()


def test_cancelling_ends_within_a_step(backbone, motion):
    cancel, steps = threading.Event(), []
    with pytest.raises(Cancelled):
        for event in generate(backbone, settings(steps=50), motion, cancel=cancel):
            steps.append(event.step)
            if event.step == 2:
                cancel.set()
    assert steps == [0, 1, 2]


def test_a_dropped_clip_leaves_the_model_bare(backbone, motion):
    processors = backbone.unet.attn_processors
    job = generate(backbone, settings(steps=50), motion)
    for _ in range(3):
        next(job)
        assert backbone.unet.attn_processors == processors
    job.close()


def test_a_motion_of_another_base_is_refused(backbone, motion):
    other = motion.replace_info(base_hash="f" * 64)
    with pytest.raises(IncompatibleMotion, match="ffffffff"):
        made(backbone, settings(), other)


def test_camera_plays_no_value_embedding(backbone, motion):
    ready = played(backbone, settings(motion_type="camera"), motion)
    assert all(processor.dense is None for processor in ready.values())
    assert all(processor.dense is not None for processor in played(backbone, settings(), motion).values())


def test_camera_of_a_first_version_leaves_the_values_alone(backbone, motion):
    sites = {name: replace(site, space=None, time=None) for name, site in motion.sites.items()}
    first = replace(motion, sites=sites).replace_info(version="v1")
    whole, camera = (made(backbone, settings(motion_type=kind), first) for kind in ("hybrid", "camera"))
    assert not torch.equal(whole, camera)
    assert torch.equal(
        camera, made(backbone, settings(motion_type="hybrid"), first.replace_info(version="v2"))
    )


def test_the_recipe_is_json(backbone, motion):
    written = json.loads(json.dumps(recipe(backbone, settings(), motion)))
    assert GenerationSettings.from_json(written["settings"]) == settings()
    assert written["base_hash"] == backbone.weights_hash and written["motion"]["hash"] == motion.hash()
    assert "motion" not in recipe(backbone, settings())
