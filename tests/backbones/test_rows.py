"""CUDA's attention takes so many rows at once: many noise levels of a large picture are more."""

from __future__ import annotations

import pytest
import torch
from tiny import TINY, random_motion
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from motion_studio.backbones import injection
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.sites import late_sites

LIMIT = 40
"""Below the rows of two clips' places at the tiny bases' widest layers, above their frames."""


class Cuda(TorchFunctionMode):
    """Refuses what CUDA's kernels would."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is scaled_dot_product_attention and len(args[0] if args else kwargs["query"]) > LIMIT:
            raise RuntimeError("CUDA error: invalid configuration argument")
        return function(*args, **(kwargs or {}))


@pytest.fixture(params=["animatediff", "unet3d", "latte"])
def backbone(request):
    return TINY[request.param]()


def given(backbone, batch):
    shape = (batch, backbone.latent_channels, backbone.frames, *backbone.latent_size)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return latents, 500, backbone.encode_text(["a"] * batch)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("carried", [False, True])
def test_any_number_of_rows_is_predicted(backbone, monkeypatch, carried, half):
    motion = random_motion(backbone, 1) if carried else None
    with torch.no_grad(), backbone.playing(motion, half):
        wanted = backbone.predict(*given(backbone, 4))
        monkeypatch.setattr(injection, "CUDA_ROWS", LIMIT)
        with Cuda():
            assert torch.allclose(backbone.predict(*given(backbone, 4)), wanted, atol=1e-5)


def test_late_sites_are_learnt_from_any_number_of_rows(backbone, monkeypatch):
    monkeypatch.setattr(injection, "SHORT", 0)  # attention as on a GPU
    sites = [backbone.sites[name] for name in late_sites(backbone.sites)]
    live = LiveEmbedding(sites, backbone.frames, "v2", 2, torch.Generator().manual_seed(0), backbone.device)

    def gradients():
        with backbone.playing(live):
            backbone.predict(*given(backbone, 4)).square().mean().backward()
        found = [part.grad.clone() for part in live.parameters()]
        for part in live.parameters():
            part.grad = None
        return found

    wanted = gradients()
    monkeypatch.setattr(injection, "CUDA_ROWS", LIMIT)
    with Cuda():
        got = gradients()
    assert any(grad.any() for grad in wanted)
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max()))


def test_a_layer_takes_its_rows_once_however_often_it_is_taken_up(backbone):
    again = type(backbone)(backbone.spec, backbone.pipe)
    own = [layer.processor.own for layer in again.layers.values()]
    assert own and not any(isinstance(one, injection.RowsProcessor) for one in own)
