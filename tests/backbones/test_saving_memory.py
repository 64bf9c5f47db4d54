"""Every way to hold less memory computes the same, and what can be undone is undone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from tiny import TINY

from motion_studio.backbones import memory
from motion_studio.backbones.checkpointing import blocks, checkpointed, kept_for_backward
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.lean import lean
from motion_studio.backbones.memory import (
    bring_back,
    decode_in_pieces,
    is_away,
    send_away,
    store_as_float8,
    weight_bytes,
)
from motion_studio.backbones.registry import load


@pytest.fixture(params=list(TINY))
def backbone(request):
    return TINY[request.param]()


def inputs(backbone):
    generator = torch.Generator().manual_seed(2)
    frames = backbone.latent_frames(backbone.frames)
    shape = (1, backbone.latent_channels, frames, *backbone.latent_size)
    return torch.randn(shape, generator=generator), backbone.encode_text(["a"])


def output(backbone):
    latents, text = inputs(backbone)
    with torch.no_grad():
        return backbone.predict(latents, 500, text)


def learner(backbone):
    latents, _ = inputs(backbone)
    live = LiveEmbedding(
        backbone.sites.values(),
        latents.shape[2],
        "v2",
        2,
        torch.Generator().manual_seed(0),
        backbone.device,
        backbone.processor,
    )
    with torch.no_grad():
        for part in live.parameters():
            part.add_(0.1)
    return live


def gradients(backbone, live):
    for part in live.parameters():
        part.grad = None
    latents, text = inputs(backbone)
    with backbone.playing(live):
        backbone.predict(latents, 500, text).square().mean().backward()
    return [part.grad for part in live.parameters()]


def test_a_lean_model_gives_the_same_gradients_and_keeps_less(backbone):
    live, (latents, text) = learner(backbone), inputs(backbone)
    bare, wanted = output(backbone), gradients(backbone, live)
    with backbone.playing(live):
        kept = kept_for_backward(backbone.denoiser, lambda: backbone.predict(latents, 500, text))
    with lean(backbone.denoiser):
        got = gradients(backbone, live)
        torch.testing.assert_close(output(backbone), bare)
        with backbone.playing(live):
            less = kept_for_backward(backbone.denoiser, lambda: backbone.predict(latents, 500, text))
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4 * float(other.abs().max()), rtol=1e-4)
    unets = "unet" in backbone.pipe.components
    assert less < 0.9 * kept if unets else less == kept  # the others have neither resnets nor activations
    assert torch.equal(output(backbone), bare)
    assert all(torch.equal(one, other) for one, other in zip(gradients(backbone, live), wanted, strict=True))


def test_a_lean_model_is_as_before_after_an_exception(backbone):
    own = [dict(module.__dict__) for module in backbone.denoiser.modules()]
    with pytest.raises(RuntimeError, match="on purpose"), lean(backbone.denoiser):
        assert any("forward" in module.__dict__ for module in backbone.denoiser.modules())
        raise RuntimeError("on purpose")
    assert [dict(module.__dict__) for module in backbone.denoiser.modules()] == own


@pytest.mark.parametrize("norms", ["default", "scale_shift"])
@pytest.mark.parametrize("up", [False, True])
def test_lean_layers_of_every_kind_of_resnet(norms, up):
    torch.manual_seed(0)
    resnet = ResnetBlock2D(
        in_channels=8, out_channels=12, temb_channels=5, groups=4, time_embedding_norm=norms, up=up
    ).requires_grad_(False)
    given, time = torch.randn(2, 8, 6, 4), torch.randn(2, 5)

    def found():
        leaves = given.clone().requires_grad_(), time.clone().requires_grad_()
        output = resnet(*leaves)
        output.square().sum().backward()
        return output, *(leaf.grad for leaf in leaves)

    wanted = found()
    with lean(resnet):
        got = found()
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))


@pytest.mark.parametrize(("what", "most"), [("part", 1.0), ("on", 0.5)])
def test_checkpointing_gives_the_same_gradients_and_keeps_less(backbone, what, most):
    live, (latents, text) = learner(backbone), inputs(backbone)
    bare, wanted = output(backbone), gradients(backbone, live)
    assert any(grad.abs().max() > 0 for grad in wanted)

    def forward():
        return backbone.predict(latents, 500, text)

    with backbone.playing(live):
        kept = kept_for_backward(backbone.denoiser, forward)
        with checkpointed(backbone.denoiser, what):
            less = kept_for_backward(backbone.denoiser, forward)
    assert less < most * kept
    with checkpointed(backbone.denoiser, what):
        got = gradients(backbone, live)
        assert torch.equal(output(backbone), bare)
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))
    assert torch.equal(output(backbone), bare)


def test_without_checkpointing_nothing_is_touched(backbone):
    with checkpointed(backbone.denoiser, "off"):
        assert not any("forward" in part.__dict__ for part in backbone.denoiser.modules())


def test_checkpointing_is_undone_also_after_an_exception(backbone):
    found = list(blocks(backbone.denoiser))
    own = [dict(block.__dict__) for block in found]
    with pytest.raises(RuntimeError, match="on purpose"), checkpointed(backbone.denoiser):
        assert all("forward" in block.__dict__ for block in found)
        raise RuntimeError("on purpose")
    assert found and [dict(block.__dict__) for block in found] == own


def test_text_encoder_and_autoencoder_go_and_come_back(backbone):
    latents, text = inputs(backbone)
    frames = torch.rand(backbone.frames, 3, backbone.height, backbone.width)
    encoded, decoded, size = backbone.encode(frames), backbone.decode(latents), weight_bytes(*backbone.others)
    send_away(backbone)
    assert all(is_away(part) for part in backbone.others)
    assert all(weight.is_meta for part in backbone.others for weight in part.parameters())
    assert weight_bytes(*backbone.others) == size
    backbone._texts.clear()
    assert torch.equal(backbone.encode_text(["a"]), text)
    assert torch.equal(backbone.encode(frames), encoded)
    assert torch.equal(backbone.decode(latents), decoded)
    assert all(weight.is_meta for part in backbone.others for weight in part.parameters())
    bring_back(backbone)
    assert not any(is_away(part) for part in backbone.others)
    assert not any(weight.is_meta for part in backbone.others for weight in part.parameters())
    assert sum(weight.nbytes for part in backbone.others for weight in part.parameters()) == size
    assert torch.equal(backbone.encode(frames), encoded) and torch.equal(backbone.decode(latents), decoded)


def test_float8_weights_still_learn_and_keep_the_hash(backbone):
    bare, live = output(backbone), learner(backbone)
    wanted, size, name = gradients(backbone, live), weight_bytes(backbone.denoiser), backbone.weights_hash
    store_as_float8(backbone)
    assert weight_bytes(backbone.denoiser) < 0.6 * size and backbone.weights_hash == name
    coarse = output(backbone)
    assert not torch.equal(coarse, bare) and (coarse - bare).norm() < 0.2 * bare.norm()
    with checkpointed(backbone.denoiser):
        got = gradients(backbone, live)
    one, other = (torch.cat([grad.flatten() for grad in grads]) for grads in (got, wanted))
    assert torch.cosine_similarity(one, other, dim=0) > 0.8
    stored = [weight for weight in backbone.denoiser.parameters() if weight.dtype == torch.float8_e4m3fn]
    assert stored


def test_what_is_stored_as_float8_already_stays_so(backbone, monkeypatch):
    wanted, stored, store = output(backbone), [], memory._store

    def lacking(layer):
        if len(stored) == 3:
            raise torch.OutOfMemoryError("on purpose")
        stored.append(layer)
        store(layer)

    monkeypatch.setattr(memory, "_store", lacking)
    with pytest.raises(torch.OutOfMemoryError):
        store_as_float8(backbone)
    monkeypatch.setattr(memory, "_store", store)
    store_as_float8(backbone)
    store_as_float8(backbone)
    assert (output(backbone) - wanted).norm() < 0.2 * wanted.norm()


def test_looks_are_learnt_over_float8_weights(backbone):
    store_as_float8(backbone)
    latents, text = inputs(backbone)
    with backbone.spatial_lora(0) as lora, lora.on(True):
        backbone.predict(latents, 500, text).square().mean().backward()
        assert all(part.dtype == torch.float32 and part.grad is not None for part in lora.parameters)


def test_fewer_frames_at_once_decode_the_same(backbone):
    latents, _ = inputs(backbone)
    whole = backbone.decode(latents)
    decode_in_pieces(backbone, True)
    assert torch.allclose(backbone.decode(latents), whole, atol=1e-5)
    decode_in_pieces(backbone, False)
    assert torch.equal(backbone.decode(latents), whole)


def test_a_video_in_tiles_is_nearly_the_same():
    backbone = TINY["wan"]()
    backbone = type(backbone)(replace(backbone.spec, height=96, width=96), backbone.pipe)
    latents, vae = torch.randn(1, 4, 3, 12, 12, generator=torch.Generator().manual_seed(0)), backbone.pipe.vae
    vae.tile_sample_min_height = vae.tile_sample_min_width = 64
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = 48
    whole = backbone.decode(latents)
    decode_in_pieces(backbone, True)
    tiled = backbone.decode(latents)
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)
    # Random weights smooth nothing over.
    assert (tiled - whole).abs().mean() < 0.25 * (whole - whole.mean()).abs().mean()
    decode_in_pieces(backbone, False)
    assert torch.equal(backbone.decode(latents), whole)


def test_only_the_denoiser_is_loaded_to_the_device():
    backbone = load("toybox", "meta")  # a device that needs no hardware, and holds no numbers
    assert backbone.device.type == backbone.denoiser.device.type == "meta"
    assert {part.device.type for part in backbone.others} == {"cpu"}
