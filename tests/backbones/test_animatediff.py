from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from tiny import tiny_backbone, tiny_pipeline

from motion_studio.backbones import registry, spatial_lora, toybox
from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.discrepancy import attention_maps, local_sites, locality
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.pictures import seen
from motion_studio.backbones.registry import BASES, load
from motion_studio.errors import InputError, SettingsError
from motion_studio.toybox.data import PICTURE


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def test_sites_and_their_grids(backbone):
    assert len(backbone.sites) == 14
    assert all("motion_modules" in name for name in backbone.sites)
    grids = [site.grid for site in backbone.sites.values()]
    assert grids[:2] == [(8, 8)] * 2 and grids[-1] == (8, 8) and (4, 4) in grids
    assert next(iter(backbone.sites)).startswith("down_blocks.0")
    assert {site.channels for site in backbone.sites.values()} == {8, 16}
    assert not any(module._forward_pre_hooks for module in backbone.unet.modules())


def test_encode_and_decode(backbone):
    frames = torch.rand(4, 3, 32, 32)
    latents = backbone.encode(frames)
    assert latents.shape == (1, 4, 4, 8, 8)
    one = backbone.pipe.vae.encode(2 * frames[2:3] - 1).latents
    assert torch.allclose(latents[:, :, 2], one, atol=1e-5)
    decoded = backbone.decode(latents)
    assert decoded.shape == frames.shape and decoded.min() >= 0 and decoded.max() <= 1
    video = backbone.pipe.decode_latents(latents)[0].transpose(0, 1)
    assert torch.allclose(decoded, (video / 2 + 0.5).clamp(0, 1), atol=1e-6)


def test_a_decoder_that_draws_finer_than_its_encoder_sees():
    pipe = load("toybox").pipe
    fine = AnimateDiffBackbone(BASES["toybox"], pipe)
    frames = torch.rand(2, 3, fine.height, fine.width)
    latents = fine.encode(frames)
    assert fine.latent_size == tuple(latents.shape[-2:]) == (PICTURE // 8, PICTURE // 8)
    assert fine.decode(latents).shape == frames.shape
    halves = frames.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))
    assert torch.allclose(seen(pipe.vae, frames), halves, atol=1e-6)
    wanted = pipe.vae.encode(2 * halves - 1).latents * pipe.vae.config.scaling_factor
    assert torch.allclose(latents[0].transpose(0, 1), wanted, atol=1e-5)
    assert seen(tiny_backbone().pipe.vae, frames) is frames  # one that draws as it sees


def test_each_prompt_is_encoded_once_and_as_the_pipeline_does(backbone, monkeypatch):
    wanted, negative = backbone.pipe.encode_prompt("red ball", "cpu", 1, True, negative_prompt="")
    got = backbone.encode_text(["", "red ball"])
    assert torch.allclose(got, torch.cat([negative, wanted]), atol=1e-6)
    monkeypatch.setattr(backbone.pipe, "text_encoder", None)
    assert torch.equal(backbone.encode_text(["red ball"])[0], got[1])


def test_prompts_that_are_too_many_to_keep_are_encoded_again(monkeypatch):
    backbone = tiny_backbone()
    wanted = backbone.encode_text(["a", "b", "c"])
    monkeypatch.setattr("motion_studio.backbones.base.KEPT_PROMPTS", 2)
    backbone._texts.clear()
    for first in (0, 1):  # the second time one of the two is known already
        got = backbone.encode_text(["abc"[first], "abc"[first + 1]])
        assert torch.allclose(got, wanted[first : first + 2], atol=1e-6)
    assert len(backbone._texts) == 2


def test_predicting_one_by_one_or_as_a_batch(backbone):
    latents, t = torch.randn(2, 4, 4, 8, 8), torch.tensor([100, 900])
    text = backbone.encode_text(["a", "b"])
    with torch.no_grad():
        both = backbone.predict(latents, t, text)
        second = backbone.predict(latents[1:], 900, text[1:])
    assert torch.allclose(both[1:], second, atol=1e-5)


def test_the_hash_is_of_the_weights_alone():
    one, same, other = tiny_backbone(), tiny_backbone("epsilon"), tiny_backbone(seed=1)
    assert one.weights_hash == same.weights_hash != other.weights_hash
    assert len(one.weights_hash) == 64


def test_the_registry():
    with pytest.raises(SettingsError, match="toybox"):
        registry.load("tyobox")


def test_loading_from_a_folder(tmp_path, backbone):
    spec = registry.BASES["toybox"]
    with pytest.raises(InputError, match="make assets"):
        toybox.load(replace(spec, repo=str(tmp_path / "none")), "cpu")
    pipe = tiny_pipeline()
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        part.half()
    pipe.save_pretrained(tmp_path / "half")
    loaded = toybox.load(replace(spec, repo=str(tmp_path / "half")), "cpu")
    assert isinstance(loaded, AnimateDiffBackbone) and loaded.dtype == torch.float32
    assert loaded.weights_hash == backbone.weights_hash
    assert not loaded.unet.training and not any(part.requires_grad for part in loaded.unet.parameters())


def test_a_lora_leaves_nothing_behind(backbone):
    unet, latents, text = backbone.unet, torch.randn(1, 4, 4, 8, 8), backbone.encode_text(["a"])

    def out():
        with torch.no_grad():
            return backbone.predict(latents, 500, text)

    bare, modules, state = out(), dict(unet.named_modules()), unet.state_dict()
    drawn = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="on purpose"), backbone.spatial_lora(0) as lora:
        assert torch.equal(drawn, torch.get_rng_state())
        named = [name for name, _ in unet.named_parameters() if "lora" in name]
        assert named and not any("motion_modules" in name for name in named)
        with lora.on(True):
            backbone.predict(latents, 500, text).square().mean().backward()
            assert all(part.grad is not None for part in lora.parameters)
            with torch.no_grad():
                for part in lora.parameters:
                    part.add_(0.5)
        with lora.on(False):
            assert not torch.equal(out(), bare)
            assert not any(part.requires_grad for part in unet.parameters())
        assert torch.equal(out(), bare)
        raise RuntimeError("on purpose")
    after = unet.state_dict()
    assert torch.equal(out(), bare) and state.keys() == after.keys()
    assert all(after[name] is tensor or torch.equal(after[name], tensor) for name, tensor in state.items())
    assert all(dict(unet.named_modules())[name] is module for name, module in modules.items())
    assert not any(part.requires_grad for part in unet.parameters())


@torch.no_grad()
def test_attention_maps_are_the_scores_of_diffusers_own_attention(backbone):
    latents, text = torch.randn(1, 4, 4, 8, 8), backbone.encode_text([""])
    seen = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _layer, args, name=name: seen.update({name: args[0]}))
        for name, layer in backbone.layers.items()
    ]
    maps = attention_maps(backbone, latents, text, levels=(0.5,))
    for hook in hooks:
        hook.remove()
    assert maps.keys() == seen.keys() == backbone.sites.keys()
    for name, layer in backbone.layers.items():
        query, key = (layer.head_to_batch_dim(project(seen[name])) for project in (layer.to_q, layer.to_k))
        assert torch.allclose(maps[name], layer.get_attention_scores(query, key).mean(0), atol=1e-5)


def test_locality():
    columns = torch.zeros(8, 8)
    columns[:, 0] = columns[:, -1] = 0.5
    assert locality(torch.eye(8)) == pytest.approx(1)
    assert locality(torch.full((8, 8), 1 / 8)) == pytest.approx(0, abs=1e-6)
    assert locality(columns) < 0
    assert locality(torch.full((2, 2), 0.5)) == 0


def test_local_sites_are_the_middle_one_and_those_above_it():
    columns = torch.zeros(8, 8)
    columns[:, 0] = columns[:, -1] = 0.5
    maps = {"far": columns, "near": torch.eye(8), "even": torch.full((8, 8), 1 / 8)}
    assert local_sites(maps) == ["near", "even"]


def test_a_lora_that_does_not_come_in_leaves_nothing_behind(backbone, monkeypatch):
    names = [name for name, _ in backbone.unet.named_modules()]

    def no_room(model):
        raise torch.OutOfMemoryError("on purpose")

    monkeypatch.setattr(spatial_lora, "SpatialLora", no_room)  # its layers are in the model by then
    with pytest.raises(torch.OutOfMemoryError), backbone.spatial_lora(0):
        pass
    assert [name for name, _ in backbone.unet.named_modules()] == names
    assert not hasattr(backbone.unet, "peft_config")


def test_attention_maps_are_the_bare_models_while_a_clip_is_made(backbone):
    latents, text = torch.randn(1, 4, 4, 8, 8), backbone.encode_text(["a"])
    alone = attention_maps(backbone, latents, text, levels=(0.5,))
    generator = torch.Generator().manual_seed(0)
    live = LiveEmbedding(list(backbone.sites.values()), 4, "v2", 2, generator, "cpu", backbone.processor)
    for site in live.sites.values():
        site.qk.data.normal_(generator=generator)
    inside, go = threading.Event(), threading.Event()

    def making():
        with backbone.playing(live):
            inside.set()
            go.wait(10)

    maker = threading.Thread(target=making)
    maker.start()
    assert inside.wait(10)
    found = []
    learner = threading.Thread(target=lambda: found.append(attention_maps(backbone, latents, text, (0.5,))))
    learner.start()
    learner.join(0.3)  # it waits for its turn
    go.set()
    maker.join(10)
    learner.join(10)
    assert all(torch.equal(found[0][name], attention) for name, attention in alone.items())


def test_a_lora_comes_and_goes_only_between_the_steps_of_others(backbone):
    """It changes the very layers that another job may be computing with."""
    came, leave, gone = threading.Event(), threading.Event(), threading.Event()

    def learn() -> None:
        with backbone.spatial_lora(0):
            came.set()
            leave.wait(30)
        gone.set()

    with backbone.playing(None):
        threading.Thread(target=learn, daemon=True).start()
        assert not came.wait(0.5)
    assert came.wait(30)
    with backbone.playing(None):
        leave.set()
        assert not gone.wait(0.5)
    assert gone.wait(30)
