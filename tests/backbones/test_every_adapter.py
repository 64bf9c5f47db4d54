"""What is asked of every adapter, over its real classes at tiny size."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from tiny import TINY

from motion_studio.backbones.discrepancy import attention_maps
from motion_studio.backbones.injection import APART, LiveEmbedding
from motion_studio.errors import Cancelled, SettingsError
from motion_studio.motion.arithmetic import blend, resampled, then
from motion_studio.motion.embedding import Motion, MotionInfo
from motion_studio.motion.factors import heard_by, weighted_sum
from motion_studio.motion.operations_time import Fade, Reverse, Strength
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Done, Progress
from motion_studio.studio.generate import generate
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.studio.roles import Role


@pytest.fixture(scope="module", params=list(TINY))
def backbone(request):
    return TINY[request.param]()


def live_embedding(backbone) -> LiveEmbedding:
    generator, frames = torch.Generator().manual_seed(0), backbone.latent_frames(backbone.frames)
    sites, device = backbone.sites.values(), backbone.device
    return LiveEmbedding(sites, frames, "v2", 2, generator, device, backbone.processor)


def some_motion(backbone, seed: int = 1) -> Motion:
    live, generator = live_embedding(backbone), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in live.parameters():
            part.copy_(torch.randn(part.shape, generator=generator))
    return live.motion(MotionInfo(base=backbone.name, base_hash=backbone.weights_hash, version="v2"))


def noise(backbone, size=None):
    frames = backbone.latent_frames(backbone.frames)
    shape = (1, backbone.latent_channels, frames, *(size or backbone.latent_size))
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def output(backbone, size=None):
    with torch.no_grad():
        return backbone.predict(noise(backbone, size), 500, backbone.encode_text(["a"]))


def carried(backbone, motion):
    with backbone.playing(motion):
        return output(backbone)


def test_on_and_off(backbone):
    before, state = output(backbone), {name for name, _ in backbone.denoiser.named_parameters()}
    assert (carried(backbone, some_motion(backbone)) - before).abs().max() > 1e-3
    assert torch.equal(before, output(backbone))
    with pytest.raises(RuntimeError, match="on purpose"), backbone.playing(some_motion(backbone)):
        raise RuntimeError("on purpose")
    broken = backbone.processors(some_motion(backbone))
    broken[list(broken)[-1]] = lambda *_args, **_kwargs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        carried(backbone, broken)
    assert torch.equal(before, output(backbone))
    assert state == {name for name, _ in backbone.denoiser.named_parameters()}


def test_half_a_batch_can_go_without(backbone):
    motion, latents, text = some_motion(backbone), noise(backbone), backbone.encode_text(["", "a"])

    def predicted(latents, text):
        with torch.no_grad():
            return backbone.predict(latents, 500, text)

    bare = predicted(latents, text[:1])
    with backbone.playing(motion):
        with_it = predicted(latents, text[1:])
    with backbone.playing(motion, half=True):
        without, carrying = predicted(torch.cat([latents] * 2), text).chunk(2)
    assert torch.allclose(without, bare, atol=1e-4) and torch.allclose(carrying, with_it, atol=1e-4)
    assert not torch.allclose(bare, with_it, atol=1e-2)
    assert torch.equal(bare, predicted(latents, text[:1]))


def test_gradients_reach_the_embeddings_alone(backbone):
    live = live_embedding(backbone)
    with backbone.playing(live):
        assert torch.allclose(output(backbone), carried(backbone, None), atol=1e-5)
        backbone.predict(noise(backbone), 500, backbone.encode_text(["a"])).square().mean().backward()
    assert not any(site.qk.any() or site.v().any() for site in live.sites.values())  # it starts untouched
    assert all(site.time.grad.abs().max() > 0 for site in live.sites.values())
    assert any(site.qk.grad.abs().max() > 0 for site in live.sites.values())
    parts = list(backbone.denoiser.parameters())
    assert parts and all(part.grad is None and not part.requires_grad for part in parts)


def test_three_steps_lower_the_loss(backbone):
    live, latents, text = live_embedding(backbone), noise(backbone), backbone.encode_text(["a"])
    target = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    optimiser, losses = torch.optim.Adam(live.parameters(), lr=0.05), []
    for _ in range(4):
        with backbone.playing(live):
            loss = (backbone.predict(latents, 500, text) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[3] < losses[2] < losses[1] < losses[0]


def test_a_saved_motion_plays_the_same(backbone, tmp_path):
    written = write_motion(tmp_path / "m.safetensors", some_motion(backbone))
    read = read_motion(tmp_path / "m.safetensors")
    assert torch.equal(carried(backbone, written), carried(backbone, read))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_frame_attends_under_what_it_hears(backbone, version, monkeypatch):
    """At each layer frame m gets what a layer would give it that carries the sum of all m hears."""
    frames = backbone.latent_frames(backbone.frames)
    one, other = (some_motion(backbone, seed).replace_info(version=version) for seed in (1, 4))
    turns = torch.arange(frames) % 2  # parts of frames that are not neighbours
    curves = turns.float(), torch.where(turns > 0, 0.25, 0.5)
    one, other = (
        Motion({name: heard_by(site, curve) for name, site in motion.sites.items()}, motion.info)
        for motion, curve in ((one, curves[0]), (other, curves[1]))
    )
    parts = backbone.processors(blend([(one, 1.0), (other, 1.0)]))
    name = list(parts)[-1]
    seen = {}
    hook = backbone.layers[name].register_forward_pre_hook(
        lambda _layer, args, kwargs: seen.update(args=args, kwargs=kwargs), with_kwargs=True
    )
    output(backbone)
    hook.remove()

    def given(processor):
        layer, kind = backbone.layers[name], backbone.processor
        with torch.no_grad():
            return kind.by_frame(processor(layer, *seen["args"], **seen["kwargs"]), frames)

    near, apart = given(parts[name]), []
    monkeypatch.setattr("motion_studio.backbones.injection.APART", 0.0)
    got = given(backbone.processors(blend([(one, 1.0), (other, 1.0)]))[name])
    assert not torch.allclose(near, got, atol=1e-5)
    for m in range(frames):
        whole = [replace(motion.sites[name], heard=None) for motion in (one, other)]
        heard = weighted_sum(
            [(site, curve[m].expand(frames)) for site, curve in zip(whole, curves, strict=True)]
        )
        apart.append(given(backbone.processor(heard, version))[:, m])
    assert torch.allclose(got, torch.stack(apart, 1), atol=1e-4)


def test_what_all_frames_hear_alike_plays_as_ever(backbone):
    motion, other = some_motion(backbone), some_motion(backbone, seed=4)
    sites = {name: heard_by(site, torch.full((len(site.qk),), 0.5)) for name, site in motion.sites.items()}
    alone, before = carried(backbone, motion), output(backbone)
    half = carried(backbone, Strength(0.5).apply(motion))
    assert torch.allclose(carried(backbone, Motion(sites, motion.info)), half, atol=1e-4)
    early, late = Fade(length=2).apply(motion), Fade(start=2).apply(motion)
    assert torch.allclose(carried(backbone, blend([(early, 1.0), (late, 1.0)])), alone, atol=1e-3)
    muted = blend([(motion, 1.0), (Fade(start=1).apply(other), 0.0)])
    assert torch.allclose(carried(backbone, muted), alone, atol=1e-4)
    for silent in (Fade(length=0).apply(motion), Strength(0).apply(then(motion, other, 2))):
        assert torch.allclose(carried(backbone, silent), before, atol=1e-5)
    assert (half - before).abs().max() > 1e-3
    assert torch.equal(output(backbone), before)


def test_the_less_alike_what_frames_hear_the_less_they_see_of_each_other(backbone):
    one, other = some_motion(backbone), some_motion(backbone, seed=4)
    name, frames = list(one.sites)[-1], one.frames

    def nearness(motion):
        parts = backbone.processors(motion)[name].processors
        return {tuple(part.part.frames.tolist()): part.part.nearness for part in parts}

    early, late = tuple(range(2)), tuple(range(2, frames))
    apart = nearness(then(one, other, 2))
    assert not apart[early][:2].any() and not apart[late][2:].any()
    # Random ones have little in common.
    assert torch.allclose(apart[early][2:], torch.tensor(-APART), atol=0.5)
    assert torch.allclose(apart[late][:2], apart[early][2:][:1], atol=1e-3)
    common = nearness(blend([(some_motion(backbone, seed=5), 3.0), (then(one, other, 2), 1.0)]))
    assert -APART / 2 < common[early][2:].min() < 0
    silence = nearness(Fade(length=2).apply(one))
    assert torch.allclose(silence[early][2:], torch.tensor(-APART))


def test_a_motion_in_parts_is_saved_and_stretched(backbone, tmp_path):
    one, other = some_motion(backbone), some_motion(backbone, seed=4)
    joined = then(one, other, one.frames // 2, fade=1)
    assert (carried(backbone, joined) - carried(backbone, one)).abs().max() > 1e-3
    written = write_motion(tmp_path / "m.safetensors", joined)
    read = read_motion(tmp_path / "m.safetensors")
    assert read.hash() == written.hash() and torch.equal(carried(backbone, written), carried(backbone, read))
    for motion in (resampled(joined, one.frames + 1), Reverse().apply(joined)):
        assert (carried(backbone, motion) - carried(backbone, joined)).abs().max() > 1e-3


def test_mixing(backbone):
    one, other = some_motion(backbone), some_motion(backbone, seed=4)
    alone, mixed = carried(backbone, one), carried(backbone, blend([(one, 1.0), (other, 0.5)]))
    assert (mixed - alone).abs().max() > 1e-3
    cancelled = blend([(one, 1.0), (other, 1.0), (other, -1.0)])
    assert torch.allclose(carried(backbone, cancelled), alone, atol=1e-3)


def test_another_size_than_learnt_at(backbone):
    size = (backbone.latent_size[0] + 2, backbone.latent_size[1] - 2)
    bare, ready = output(backbone, size), backbone.processors(some_motion(backbone), latent_size=size)
    with backbone.playing(ready):
        assert (output(backbone, size) - bare).abs().max() > 1e-3
    assert torch.equal(bare, output(backbone, size))


def lengths(backbone) -> list[int]:
    """The numbers of frames that the base can make, but its own."""
    made = []
    for frames in range(1, backbone.spec.max_frames + 1):
        try:
            backbone.latent_frames(frames)
        except SettingsError:
            continue
        made.append(frames)
    return [frames for frames in made if frames != backbone.frames]


def clip(backbone, motion, cancel=None, **changes):
    settings = GenerationSettings(prompt="a red ball", steps=3, guidance=2.0, **changes)
    yield from generate(backbone, settings, motion, cancel=cancel)


def test_from_a_prompt_to_a_clip_of_any_length(backbone):
    motion = some_motion(backbone)
    for frames in [backbone.frames, *lengths(backbone)[-1:]]:
        *_, done = clip(backbone, motion, frames=frames)
        assert isinstance(done, Done)
        assert done.result.frames.shape == (frames, 3, backbone.height, backbone.width)


def test_an_object_with_words_of_its_own_stands_beside_another(backbone):
    frames = backbone.latent_frames(backbone.frames)
    path = torch.linspace(0.3, 0.7, frames)[:, None].expand(frames, 2)
    motion = some_motion(backbone)
    settings = GenerationSettings("a", steps=2, guidance=2.0, seed=1)

    def made(*beside: Role, **changes) -> torch.Tensor:
        *_, last = generate(backbone, replace(settings, **changes), motion, beside=beside)
        return last.result.frames

    one = Role("b", some_motion(backbone, 2), path)
    alone = made()
    assert not torch.equal(made(one), alone)
    silent = replace(one, path=torch.full((frames, 2), torch.nan))
    assert torch.allclose(made(silent), alone, atol=1e-4)
    for longer in lengths(backbone)[-1:]:
        assert len(made(one, frames=longer)) == longer


def test_cancelling_leaves_the_model_bare(backbone):
    before, cancel = output(backbone), threading.Event()
    events = clip(backbone, some_motion(backbone), cancel)
    for event in events:
        if isinstance(event, Progress) and event.step == 1:
            break
    cancel.set()
    with pytest.raises(Cancelled):
        next(events)
    assert torch.equal(before, output(backbone))


def test_a_lora_on_spatial_attention_leaves_nothing_behind(backbone):
    before, names = output(backbone), list(backbone.denoiser.state_dict())
    with backbone.spatial_lora(0) as lora:
        with lora.on(True):
            backbone.predict(noise(backbone)[:, :, :1], 500, backbone.encode_text(["a"])).sum().backward()
            assert lora.parameters and all(part.grad is not None for part in lora.parameters)
            with torch.no_grad():
                for part in lora.parameters:
                    part.add_(0.5)
        assert torch.equal(before, output(backbone))
        with lora.on(False):
            assert not torch.equal(before, output(backbone))
    assert torch.equal(before, output(backbone)) and names == list(backbone.denoiser.state_dict())


def test_an_attention_map_for_each_site(backbone):
    before = {name: layer.processor for name, layer in backbone.layers.items()}
    maps = attention_maps(backbone, noise(backbone), backbone.encode_text([""]))
    assert all(layer.processor is before[name] for name, layer in backbone.layers.items())
    frames = backbone.latent_frames(backbone.frames)
    assert maps.keys() == backbone.sites.keys()
    for attention in maps.values():
        assert attention.shape == (frames, frames)
        assert torch.allclose(attention.sum(-1), torch.ones(frames), atol=1e-4)
