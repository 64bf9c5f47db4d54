"""UNet3DConditionModel: which of its attentions are temporal, and that our calls are its pipeline's."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_unet3d, tiny_unet3d_pipeline

from motion_studio.backbones.injection import injected
from motion_studio.backbones.unet3d import UNet3DBackbone
from motion_studio.settings import GenerationSettings
from motion_studio.studio.denoise import denoise


@pytest.fixture(scope="module")
def backbone():
    return tiny_unet3d()


class Seen:
    """A processor that notes the features it is given and whether anything else comes with them."""

    def __init__(self, processor):
        self.processor = processor

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        self.shape, self.alone = tuple(hidden_states.shape), encoder_hidden_states is None
        return self.processor(attn, hidden_states, encoder_hidden_states=encoder_hidden_states, **kwargs)


def test_both_attentions_of_each_temporal_block_look_along_time_alone(backbone):
    seen = {name: Seen(layer.processor) for name, layer in backbone.layers.items()}
    with injected(backbone.layers, seen), torch.no_grad():
        backbone.predict(torch.randn(2, 4, 3, 8, 6), 500, backbone.encode_text(["a", "b"]))
    sites = backbone.sites_at((8, 6))
    assert sites.keys() == seen.keys()
    for name, site in sites.items():
        assert seen[name].alone
        assert seen[name].shape == (2 * site.grid[0] * site.grid[1], 3, site.channels)


def test_sites_and_their_grids(backbone):
    names = list(backbone.sites)
    assert len(names) == 10
    assert {name.split(".")[-1] for name in names} == {"attn1", "attn2"}
    assert all(name.startswith("transformer_in.") for name in names[:2])
    assert all(".temp_attentions." in name for name in names[2:])
    # Eight heads of four channels at the entrance, whatever the width of the blocks.
    assert [(site.channels, site.grid) for site in backbone.sites.values()] == (
        [(32, (8, 8))] * 2 + [(8, (8, 8))] * 2 + [(16, (4, 4))] * 2 + [(8, (8, 8))] * 4
    )


def test_frames_in_and_out_of_latents(backbone, monkeypatch):
    frames, vae = torch.rand(5, 3, 32, 32), backbone.pipe.vae
    latents = backbone.encode(frames)
    assert latents.shape == (1, 4, 5, 8, 8)
    with torch.no_grad():
        third = vae.encode(2 * frames[2:3] - 1).latent_dist.mode() * vae.config.scaling_factor
        video = backbone.pipe.decode_latents(latents)[0].transpose(0, 1)
    assert torch.allclose(latents[:, :, 2], third, atol=1e-5)
    whole = backbone.decode(latents)
    assert torch.allclose(whole, (video / 2 + 0.5).clamp(0, 1), atol=1e-5)
    monkeypatch.setattr(backbone, "chunk", 2)
    assert torch.allclose(backbone.decode(latents), whole, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_bare_it_makes_what_the_pipeline_makes(prediction_type):
    backbone = tiny_unet3d(prediction_type)
    noise = torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    wanted = backbone.pipe(
        prompt="a red ball",
        negative_prompt="blue",
        num_frames=4,
        height=32,
        width=32,
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=noise.clone(),
        output_type="latent",
    ).frames
    text = backbone.encode_text(["blue", "a red ball"])
    *_, (_, latents, _) = denoise(backbone, {}, noise, text, GenerationSettings("", guidance=3.0, steps=3))
    assert torch.allclose(latents, wanted, atol=1e-4)


def test_the_weights_hash_is_of_the_unet_alone(backbone):
    pipe = tiny_unet3d_pipeline("v_prediction")
    pipe.text_encoder.requires_grad_(True)
    assert UNet3DBackbone(backbone.spec, pipe).weights_hash == backbone.weights_hash
    assert not any(part.requires_grad for part in pipe.text_encoder.parameters())
