"""What is Wan's own: tokens of all frames in one attention, latent frames by four, flow matching."""

from __future__ import annotations

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from tiny import tiny_wan, tiny_wan_pipeline

from motion_studio.backbones import wan
from motion_studio.backbones.discrepancy import attention_maps
from motion_studio.backbones.memory import send_away
from motion_studio.backbones.registry import BASES, load
from motion_studio.errors import InputError, SettingsError
from motion_studio.motion.arithmetic import blend
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.noise import Flow
from motion_studio.motion.operations_time import Reverse
from motion_studio.settings import GenerationSettings, InversionSettings
from motion_studio.studio import invert as module
from motion_studio.studio.along import shared_ground
from motion_studio.studio.denoise import denoise
from motion_studio.studio.events import Done, LossPoint, Preview
from motion_studio.studio.generate import _inverted, generate
from motion_studio.studio.invert import invert
from motion_studio.studio.motion_file import read_motion, write_motion
from motion_studio.video.clip import Clip

N, FRAMES = 3, 9


@pytest.fixture(scope="module")
def backbone():
    return tiny_wan()


@pytest.fixture(scope="module")
def clip():
    frames = torch.full((FRAMES, 3, 32, 32), 0.2)
    for n in range(FRAMES):
        frames[n, :, 10:20, 2 + 2 * n : 12 + 2 * n] = torch.tensor([0.9, 0.3, 0.1])[:, None, None]
    return Clip(frames, 8.0)


def some_motion(backbone, frames: int = N, version: str = "v2", scale: float = 1.0) -> Motion:
    generator, sites = torch.Generator().manual_seed(1), {}
    for site in backbone.sites.values():
        qk = scale * torch.randn(frames, site.channels, generator=generator)
        space = torch.randn(1, site.grid[0] * site.grid[1], 2, generator=generator)
        time = scale * torch.randn(2, frames, site.channels, generator=generator)
        valued = (space, time) if version == "v2" else (None, None)
        sites[site.name] = SiteEmbedding(qk, *valued, site.grid)
    info = MotionInfo(base=backbone.name, base_hash=backbone.weights_hash, version=version)
    return Motion(sites, info)


def output(backbone, frames: int = N, text: str = "a"):
    latents = torch.randn(1, 4, frames, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return backbone.predict(latents, 500, backbone.encode_text([text]))


def made(backbone, motion=None, latents=None, **changes):
    settings = GenerationSettings(**{"prompt": "a red ball", "steps": 3, "guidance": 2.0, **changes})
    *_, last = generate(backbone, settings, motion, latents)
    assert isinstance(last, Done)
    return last.result.frames


def test_latent_frames(backbone):
    assert [backbone.latent_frames(frames) for frames in (1, 5, 9, 81)] == [1, 2, 3, 21]
    with pytest.raises(SettingsError, match="frames=6: tinywan makes one and a multiple of 4, as 5 or 9"):
        backbone.latent_frames(6)
    with pytest.raises(SettingsError, match="5 or 9"):
        made(backbone, frames=8)
    frames = torch.rand(FRAMES, 3, 32, 32)
    latents = backbone.encode(frames)
    assert latents.shape == (1, 4, N, 4, 4) and backbone.decode(latents).shape == frames.shape


def test_latents_are_scaled_as_the_pipeline_decodes_them(backbone):
    pipe, noise = backbone.pipe, torch.randn(1, 4, N, 4, 4)
    pipe.set_progress_bar_config(disable=True)
    args = {"prompt": "a red ball", "height": 32, "width": 32, "num_frames": FRAMES}
    args |= {"num_inference_steps": 3, "guidance_scale": 2.0, "output_type": "pt"}
    theirs = pipe(**args, negative_prompt="blue", latents=noise).frames[0]
    text = backbone.encode_text(["blue", "a red ball"])
    *_, (_, latents, clean) = denoise(
        backbone, {}, noise, text, GenerationSettings("", guidance=2.0, steps=3)
    )
    assert torch.allclose(backbone.decode(latents), theirs, atol=1e-4)
    # UniPC's last step is the clean sample that it predicts, at a level that it rounds less.
    assert torch.allclose(clean, latents, atol=0.02)


def test_a_motion_of_zeros_is_the_bare_model(backbone):
    """Rotary embeddings and the norms of queries and keys are as diffusers has them."""
    before = output(backbone)
    for version in ("v1", "v2"):
        with backbone.playing(some_motion(backbone, version=version, scale=0)):
            assert torch.allclose(output(backbone), before, atol=1e-6)
        with backbone.playing(some_motion(backbone, version=version)):
            assert (output(backbone) - before).abs().max() > 1e-3
    assert torch.equal(output(backbone), before)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_equations(backbone, version):
    """With embeddings that are the same everywhere, diffusers' own processor on shifted features agrees."""
    (name, site), *_ = backbone.sites.items()
    layer, places = backbone.layers[name], site.grid[0] * site.grid[1]
    embedding = some_motion(backbone, version=version).sites[name]
    features = torch.randn(2, N * places, site.channels)
    rotary = backbone.denoiser.rope(torch.zeros(1, 4, N, 4, 4))
    per_token = embedding.qk.repeat_interleave(places, 0)
    v = embedding.v().transpose(0, 1).reshape(N * places, -1) if version == "v2" else per_token
    shifted, seen = features + per_token, []
    hook = layer.to_v.register_forward_pre_hook(lambda _layer, args: (seen.append(args[0]) or features + v,))
    with torch.no_grad():
        wanted = layer.processor(layer, shifted, rotary_emb=rotary)
        hook.remove()
        got = wan.WanProcessor(embedding, version)(layer, features, rotary_emb=rotary)
    assert len(seen) == 1 and torch.allclose(got, wanted, atol=1e-5)


def test_text_attention_is_untouched(backbone):
    second = [block.attn2.processor for block in backbone.denoiser.blocks]
    with backbone.playing(some_motion(backbone)):
        assert [block.attn2.processor for block in backbone.denoiser.blocks] == second
        assert not torch.equal(output(backbone, text="a"), output(backbone, text="b"))


def test_a_reversed_and_a_blended_motion_play(backbone):
    motion = some_motion(backbone)
    for other in (Reverse().apply(motion), blend([(motion, 0.5)]), some_motion(backbone, frames=7)):
        assert not torch.equal(made(backbone, other), made(backbone, motion))
    assert made(backbone, motion, frames=13).shape == (13, 3, 32, 32)


def test_from_a_clip_to_a_clip(backbone, clip, tmp_path):
    before = output(backbone)
    settings = InversionSettings(steps=3, preview_every=3, learning_rate=0.05)
    *events, done = invert(backbone, clip, settings, "a red ball")
    losses = [event for event in events if isinstance(event, LossPoint)]
    (preview,) = (event for event in events if isinstance(event, Preview))
    assert len(losses) == 3 and preview.clip.num_frames == FRAMES
    motion = done.result
    assert motion.frames == N and len(motion.info.path) == N and len(motion.info.camera) == N
    assert motion.info.fps == 2.0  # a latent frame stands for four pictures
    write_motion(tmp_path / "m.safetensors", motion)
    read = read_motion(tmp_path / "m.safetensors")
    played = made(backbone, motion)
    assert torch.equal(played, made(backbone, read)) and not torch.equal(played, made(backbone))
    assert torch.equal(output(backbone), before)


def test_learning_lowers_the_loss_on_a_fixed_batch(backbone, clip, monkeypatch):
    fixed = torch.Generator()

    step = module._Learner.step

    def same_draws(learner):
        learner.generator = fixed.manual_seed(0)
        return step(learner)

    monkeypatch.setattr(module._Learner, "step", same_draws)
    local = {"sites": "local", "loss": "debiased"}
    for changes in ({}, {"version": "v1"}, local, {"sites": "late"}, {"hybrid": True}):
        settings = InversionSettings(steps=4, preview_every=0, **changes)
        *_, done = invert(backbone, clip, settings, "a red ball")
        assert done.result.info.losses[3] < done.result.info.losses[0], changes


def test_the_noise_prior_is_the_flow_backwards(backbone):
    latents = torch.randn(1, 4, N, 4, 4, generator=torch.Generator().manual_seed(0))
    job, steps = _inverted(backbone, latents, 20, None), 20
    try:
        while True:
            next(job)
    except StopIteration as end:
        noise = end.value
    text = backbone.encode_text(["", ""])
    *_, (_, again, _) = denoise(backbone, {}, noise, text, GenerationSettings("", guidance=1.0, steps=steps))
    *_, (_, other, _) = denoise(
        backbone, {}, torch.randn_like(noise), text, GenerationSettings("", guidance=1.0, steps=steps)
    )
    assert (again - latents).square().mean() < 0.05 * (other - latents).square().mean()
    reference = backbone.encode(torch.rand(FRAMES, 3, 32, 32))
    motion = some_motion(backbone)
    assert not torch.equal(made(backbone, motion, reference, noise_prior=0.5), made(backbone, motion))
    with pytest.raises(InputError, match="one shape"):
        made(backbone, motion, reference, noise_prior=0.5, frames=5)


def test_latent_frames_share_a_ground(backbone):
    """Under a scheduler of several steps the clean samples that it remembers are the shared ones."""
    pan = [[0.0] * 4, [0.25, 0, 0, 0], [0.5, 0, 0, 0]]
    motion = some_motion(backbone).replace_info(camera=pan, path=[[0.5, 0.5]] * N, extent=0.1)
    shape, on = (1, 4, N, 4, 4), GenerationSettings("", guidance=1.0, steps=4, sync_until=1.0)
    ground = shared_ground(shape, on, motion)
    noise, text = torch.randn(shape), backbone.encode_text(["", ""])
    *_, (_, latents, clean) = denoise(backbone, {}, noise, text, on, None, [ground])
    assert torch.allclose(clean, latents, atol=0.02)  # as without, see above
    *_, (_, _, alone) = denoise(backbone, {}, noise, text, on)
    # One cell a frame to the right: the ground beside the object is the same in both.
    assert torch.allclose(clean[..., 1, 0, :-1], clean[..., 2, 0, 1:], atol=1e-3)
    assert not torch.allclose(alone[..., 1, 0, :-1], alone[..., 2, 0, 1:], atol=0.1)
    assert not torch.equal(made(backbone, motion, sync_until=0.5), made(backbone, motion))


def test_euler_steps_are_ours(backbone):
    """Under diffusers' flow-matching Euler scheduler denoising is the process's own straight steps."""
    other = tiny_wan(FlowMatchEulerDiscreteScheduler(shift=3.0))
    assert other.process.schedule == backbone.process.schedule == Flow(3.0, 1000)
    noise, text = torch.randn(1, 4, N, 4, 4), other.encode_text(["", ""])
    path = list(denoise(other, {}, noise, text, GenerationSettings("", guidance=1.0, steps=4)))
    times = [*other.scheduler(4).timesteps, 0.0]
    x = noise
    for (_, latents, clean), t, later in zip(path, times, times[1:], strict=False):
        with torch.no_grad():
            out = other.predict(x, t, text[1:])
        assert torch.allclose(clean, other.process.read(x, out, t)[0], atol=1e-5)
        x = other.process.moved(x, out, t, later)
        assert torch.allclose(latents, x, atol=1e-4)


def test_attention_maps_are_those_of_the_whole(backbone):
    """The map by frames is the full map over tokens, summed over the keys and averaged over the queries."""
    latents, text = torch.randn(1, 4, N, 4, 4), backbone.encode_text([""])
    name, site = list(backbone.sites.items())[0]
    layer, seen = backbone.layers[name], []
    hook = layer.register_forward_pre_hook(lambda _layer, args: seen.append(args))
    maps = attention_maps(backbone, latents, text, levels=(0.5,))
    hook.remove()
    features, _, _, (cos, sin) = seen[0]
    with torch.no_grad():
        query, key = layer.norm_q(layer.to_q(features)), layer.norm_k(layer.to_k(features))
    turned = []
    for part in (query, key):
        pairs = torch.view_as_complex(part.unflatten(-1, (layer.heads, -1, 2)).contiguous())
        angles = torch.complex(cos[..., ::2].float(), sin[..., ::2].float())
        turned.append(torch.view_as_real(pairs * angles).flatten(-2).transpose(1, 2))
    weights = (turned[0] @ turned[1].transpose(-1, -2) / 12**0.5).softmax(-1).mean((0, 1))
    places = site.grid[0] * site.grid[1]
    wanted = weights.view(N, places, N, places).sum(3).mean(1)
    assert torch.allclose(maps[name], wanted, atol=1e-5)


def test_encoders_kept_away_work_the_same(clip):
    """The autoencoder hands a list of its own from layer to layer, which moving them must leave whole."""
    here, away = tiny_wan(), tiny_wan()
    send_away(away)
    latents = here.encode(clip.frames)
    assert torch.equal(away.encode(clip.frames), latents)
    assert torch.equal(away.decode(latents), here.decode(latents))
    assert torch.equal(away.encode_text(["a red ball"]), here.encode_text(["a red ball"]))


def test_the_autoencoder_keeps_nothing_when_it_fails(backbone, clip):
    vae, calls = backbone.pipe.vae, []

    def fail(*_args):
        calls.append(1)
        if len(calls) > 1:  # in its second turn, which needs what it kept of the first
            raise RuntimeError("on purpose")

    uses = {
        vae.decoder: lambda: backbone.decode(torch.zeros(1, 4, N, 4, 4)),
        vae.encoder: lambda: backbone.encode(clip.frames),
    }
    for part, use in uses.items():
        calls.clear()
        hook = part.register_forward_hook(fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            use()
        hook.remove()
        assert len(calls) == 2
        assert not any(isinstance(kept, torch.Tensor) for kept in (*vae._feat_map, *vae._enc_feat_map))


def test_loading_from_a_folder(tmp_path, backbone):
    tiny_wan_pipeline().save_pretrained(tmp_path / "wan")
    loaded = load(str(tmp_path / "wan"))
    assert isinstance(loaded, wan.WanBackbone) and loaded.dtype == torch.float32
    assert loaded.weights_hash == backbone.weights_hash
    assert torch.allclose(output(loaded, text="red ball"), output(backbone, text="red ball"), atol=1e-5)
    assert not any(part.requires_grad for part in loaded.denoiser.parameters())
    # As on CUDA: the same weights have the same hash, whatever they are computed in.
    half = WanPipeline.from_pretrained(tmp_path / "wan", dtype=torch.bfloat16, use_safetensors=True)
    other = wan.WanBackbone(loaded.spec, half)
    assert other.dtype == torch.bfloat16 and other.weights_hash == backbone.weights_hash
    ready = other.processors(some_motion(backbone), FRAMES, (4, 4))
    with other.playing(ready):
        assert output(other).dtype == torch.float32
    pipe = tiny_wan_pipeline()
    pipe.register_to_config(expand_timesteps=True)
    pipe.save_pretrained(tmp_path / "wan22")
    with pytest.raises(SettingsError, match=r"Wan 2\.1 are supported"):
        load(str(tmp_path / "wan22"))


def test_sites_at_full_size():
    """Wan 2.1 T2V 1.3B: 30 layers of 1536 channels, 30 x 52 places, 21 latent frames."""
    with torch.device("meta"):
        transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=12, attention_head_dim=128, ffn_dim=8960, num_layers=30
        )
    pipe = tiny_wan_pipeline()
    pipe.register_modules(transformer=transformer)
    full = wan.WanBackbone(BASES["wan"], pipe)
    assert full.latent_size == (60, 104) and full.latent_frames(full.frames) == 21
    assert list(full.sites) == [f"blocks.{layer}.attn1" for layer in range(30)]
    assert {(site.channels, site.grid) for site in full.sites.values()} == {(1536, (30, 52))}
