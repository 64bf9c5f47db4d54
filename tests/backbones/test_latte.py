"""What is Latte's own: temporal blocks of a fixed length, T5 texts without a mask, a learnt variance."""

from __future__ import annotations

import io

import pytest
import sentencepiece
import torch
from diffusers import LatteTransformer3DModel
from tiny import tiny_latte, tiny_latte_pipeline

from motion_studio.backbones.latte import LatteBackbone
from motion_studio.backbones.registry import BASES, load
from motion_studio.errors import SettingsError
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio.denoise import denoise
from motion_studio.studio.events import Done
from motion_studio.studio.generate import generate
from motion_studio.studio.invert import invert
from motion_studio.video.clip import Clip


@pytest.fixture(scope="module")
def backbone():
    return tiny_latte()


def output(backbone):
    latents = torch.randn(1, 4, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return backbone.predict(latents, 500, backbone.encode_text(["a"]))


def test_bare_it_is_what_the_pipeline_makes(backbone):
    pipe, noise = backbone.pipe, torch.randn(1, 4, 4, 8, 8)
    pipe.set_progress_bar_config(disable=True)
    for guidance, prompt in ((1.0, "red ball"), (3.0, "A red ball on blue")):
        args = {"height": 32, "width": 32, "video_length": 4, "num_inference_steps": 3, "output_type": "pt"}
        theirs = pipe(prompt, "", guidance_scale=guidance, latents=noise, **args).frames[0]
        text = backbone.encode_text(["", prompt])
        *_, (_, latents, _) = denoise(
            backbone, {}, noise, text, GenerationSettings("", guidance=guidance, steps=3)
        )
        assert torch.allclose(backbone.decode(latents), theirs, atol=1e-4)


def test_only_its_own_length(backbone):
    assert backbone.latent_frames(4) == 4
    with pytest.raises(SettingsError, match="frames=3: tinylatte makes 4, no more and no fewer"):
        list(generate(backbone, GenerationSettings("a", frames=3)))


def test_a_place_is_where_it_is_on_the_picture(backbone):
    """What is put into the values at one place of the last layer changes that place's patch, and no other."""
    name, site = list(backbone.sites.items())[-1]
    space = torch.zeros(1, 16, 1)
    space[0, 6] = 1.0  # row 1, column 2
    embedding = SiteEmbedding(
        torch.zeros(4, site.channels), space, torch.randn(1, 4, site.channels), site.grid
    )
    before = output(backbone)
    with backbone.playing(Motion({name: embedding})):
        change = (output(backbone) - before).abs().amax((0, 1, 2))
    inside = change[2:4, 4:6].clone()
    change[2:4, 4:6] = 0
    assert site.grid == (4, 4) and inside.min() > 1e-4 and change.max() < 1e-5


def test_from_a_clip_to_a_clip(backbone):
    frames = torch.full((4, 3, 32, 32), 0.2)
    for n in range(4):
        frames[n, :, 10:20, 3 + 5 * n : 13 + 5 * n] = torch.tensor([0.9, 0.3, 0.1])[:, None, None]
    before = output(backbone)
    for changes in (
        {"preview_every": 2},
        {"sites": "local", "version": "v1"},
        {"sites": "late"},
        {"hybrid": True},
    ):
        settings = InversionSettings(**{"steps": 2, "preview_every": 0, "learning_rate": 0.05, **changes})
        *_, done = invert(backbone, Clip(frames, 8.0), settings, "a red ball")
        assert torch.equal(output(backbone), before)
    settings = GenerationSettings("a blue ball", steps=2, noise_prior=0.5)
    *_, made = generate(backbone, settings, done.result, backbone.encode(frames))
    assert isinstance(made, Done) and made.result.frames.shape == (4, 3, 32, 32)
    *_, bare = generate(backbone, settings, None, backbone.encode(frames))
    assert not torch.equal(made.result.frames, bare.result.frames)


def test_loading_from_a_folder(tmp_path, backbone):
    tiny_latte_pipeline().save_pretrained(tmp_path / "latte")
    loaded = load(str(tmp_path / "latte"))
    assert isinstance(loaded, LatteBackbone) and (loaded.frames, loaded.height, loaded.width) == (4, 32, 32)
    assert loaded.dtype == torch.float32 and loaded.weights_hash == backbone.weights_hash
    assert torch.allclose(output(loaded), output(backbone), atol=1e-5)
    assert not any(part.requires_grad for part in loaded.denoiser.parameters())


def test_a_tokenizer_that_comes_as_a_sentencepiece_model_alone(tmp_path):
    """As Latte-1's does: the listing of its repository has no tokenizer.json."""
    tiny_latte_pipeline().save_pretrained(tmp_path)
    folder, model = tmp_path / "tokenizer", io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join("abcdefghijklmnopqrstuvwxyz")]),
        model_writer=model,
        model_type="char",
        vocab_size=30,
        hard_vocab_limit=False,
        **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "minloglevel": 2},
    )
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(model.getvalue())
    loaded = load(str(tmp_path))
    tokens = loaded.pipe.tokenizer("a red ball").input_ids
    assert len(tokens) > 8 and tokens[-1] == 1 and 2 not in tokens  # no letter is unknown
    assert not torch.equal(*loaded.encode_text(["a red ball", "a blue ball"]))


def test_sites_at_full_size():
    """Latte-1: 28 temporal layers of 1152 channels, 32 x 32 places, 16 frames."""
    with torch.device("meta"):
        transformer = LatteTransformer3DModel(
            num_attention_heads=16,
            attention_head_dim=72,
            in_channels=4,
            out_channels=8,
            num_layers=28,
            cross_attention_dim=1152,
            attention_bias=True,
            sample_size=64,
            patch_size=2,
            activation_fn="gelu-approximate",
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            caption_channels=4096,
            video_length=16,
        )
    pipe = tiny_latte_pipeline()
    pipe.register_modules(transformer=transformer)
    # The real autoencoder has four levels, a factor of 8.
    pipe.vae.register_to_config(block_out_channels=(128, 256, 512, 512))
    full = LatteBackbone(BASES["latte"], pipe)
    assert full.latent_size == (64, 64) and full.latent_frames(full.frames) == 16
    assert list(full.sites) == [f"temporal_transformer_blocks.{layer}.attn1" for layer in range(28)]
    assert {(site.channels, site.grid) for site in full.sites.values()} == {(1152, (32, 32))}
