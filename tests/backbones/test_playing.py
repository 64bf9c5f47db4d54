from __future__ import annotations

import pytest
import torch
from tiny import tiny_backbone

from motion_studio.backbones.injection import CUDA_ROWS, attention
from motion_studio.errors import IncompatibleMotion
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def some_motion(backbone, scale=1.0, version="v2", frames=None, **info) -> Motion:
    generator = torch.Generator().manual_seed(1)
    frames, sites = frames or backbone.frames, {}
    for site in backbone.sites.values():
        qk = scale * torch.randn(frames, site.channels, generator=generator)
        space = torch.randn(1, site.grid[0] * site.grid[1], 2, generator=generator)
        time_ = scale * torch.randn(2, frames, site.channels, generator=generator)
        v2 = version == "v2"
        sites[site.name] = SiteEmbedding(qk, space if v2 else None, time_ if v2 else None, site.grid)
    fields = {"base": "tiny", "base_hash": backbone.weights_hash, "version": version, **info}
    return Motion(sites, MotionInfo(**fields))


def output(backbone, frames=None, size=None, batch=2):
    generator = torch.Generator().manual_seed(2)
    shape = (batch, backbone.latent_channels, frames or backbone.frames, *(size or backbone.latent_size))
    latents = torch.randn(shape, generator=generator)
    with torch.no_grad():
        return backbone.predict(latents, torch.full((batch,), 500), backbone.encode_text(["a", "b"][:batch]))


def test_bare_output_is_bit_equal_before_and_after(backbone):
    processors, state = dict(backbone.unet.attn_processors), set(backbone.unet.state_dict())
    before = output(backbone)
    with backbone.playing(some_motion(backbone)):
        carried = output(backbone)
        assert set(backbone.unet.state_dict()) == state
    after = output(backbone)
    with pytest.raises(RuntimeError, match="on purpose"), backbone.playing(some_motion(backbone)):
        raise RuntimeError("on purpose")
    assert torch.equal(before, after) and torch.equal(before, output(backbone))
    assert (carried - before).abs().max() > 1e-3
    assert all(backbone.unet.attn_processors[name] is old for name, old in processors.items())


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_motion_of_zeros_changes_nothing(backbone, version):
    before = output(backbone)
    with backbone.playing(some_motion(backbone, scale=0, version=version)):
        assert torch.allclose(output(backbone), before, atol=1e-5)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_equations(backbone, version):
    name, site = list(backbone.sites.items())[-1]
    layer, batch = backbone.layers[name], 2
    motion = some_motion(backbone, version=version)
    embedding = motion.sites[name]
    places = site.grid[0] * site.grid[1]
    features = torch.randn(batch * places, backbone.frames, site.channels)
    with torch.no_grad():
        matched = features + embedding.qk
        v = embedding.v().repeat(batch, 1, 1) if version == "v2" else embedding.qk
        q, k, value = layer.to_q(matched), layer.to_k(matched), layer.to_v(features + v)
        heads = []
        for head in range(layer.heads):
            part = slice(head * q.shape[-1] // layer.heads, (head + 1) * q.shape[-1] // layer.heads)
            scores = q[..., part] @ k[..., part].transpose(1, 2) * layer.scale
            heads.append(scores.softmax(-1) @ value[..., part])
        wanted = layer.to_out[0](torch.cat(heads, -1))
        got = backbone.processors(motion)[name](layer, features)
    assert torch.allclose(got, wanted, atol=1e-5)


def test_a_dense_and_a_factored_value_play_the_same(backbone):
    motion = some_motion(backbone)
    by_frame = {
        name: SiteEmbedding(s.qk, s.space.expand(backbone.frames, -1, -1), s.time, s.grid)
        for name, s in motion.sites.items()
    }
    with backbone.playing(motion):
        one = output(backbone)
    with backbone.playing(Motion(by_frame, motion.info)):
        assert torch.allclose(one, output(backbone), atol=1e-5)


def test_other_lengths_and_sizes(backbone):
    ready = backbone.processors(some_motion(backbone), frames=6, latent_size=(10, 6))
    with backbone.playing(ready):
        assert output(backbone, frames=6, size=(10, 6)).shape[2:] == (6, 10, 6)
    assert backbone.sites_at((10, 6))[next(iter(ready))].grid == (10, 6)
    with backbone.playing(some_motion(backbone, frames=7)):
        output(backbone)


def test_a_motion_of_another_base_is_refused_in_one_line(backbone):
    other = some_motion(backbone, base="other", base_hash="0123456789abcdef")
    with pytest.raises(IncompatibleMotion) as caught, backbone.playing(other):
        pass
    message = str(caught.value)
    assert all(word in message for word in ("other", "01234567", "tiny", backbone.weights_hash[:8]))
    assert "\n" not in message
    site = SiteEmbedding(torch.zeros(4, 3))
    for name in (next(iter(backbone.sites)), "nowhere"):
        with pytest.raises(IncompatibleMotion, match=name), backbone.playing(Motion({name: site})):
            pass


def test_attention_is_the_same_plain_fused_and_in_chunks(monkeypatch):
    query, key, value = torch.randn(3, 10, 5, 8)
    query, near = query[:, :3].requires_grad_(), torch.tensor([0.0, -1, -2, -60, 0])
    given = [(query, key, value, 2), (query, key, value, 2, near)]  # what gradients reach is plain
    plain = [attention(*args) for args in given]
    without = attention(query, key[:, [0, 1, 2, 4]], value[:, [0, 1, 2, 4]], 2, near[[0, 1, 2, 4]])
    assert torch.allclose(plain[1], without, atol=1e-6) and not torch.allclose(*plain, atol=1e-3)
    assert CUDA_ROWS == 65_535
    for rows in (CUDA_ROWS, 3):
        monkeypatch.setattr("motion_studio.backbones.injection.CUDA_ROWS", rows)
        for (_, *rest), wanted in zip(given, plain, strict=True):
            assert torch.allclose(attention(query.detach(), *rest), wanted, atol=1e-6)
