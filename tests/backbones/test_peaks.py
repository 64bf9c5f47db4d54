"""What computing takes in memory: counted as it comes and goes, and told from a smaller picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import TINY

from motion_studio.backbones.checkpointing import checkpointed
from motion_studio.backbones.lean import lean
from motion_studio.backbones.memory import send_away, store_as_float8
from motion_studio.backbones.peaks import Peak, decoding_bytes, learning_bytes, making_bytes


@pytest.fixture(params=list(TINY))
def backbone(request):
    return TINY[request.param]()


def test_what_lives_at_once_is_counted():
    given = torch.ones(1000)
    with Peak() as peak:
        one = given * 2
        one.add_(1)
        view = one.view(10, 100).t()
        assert peak.most == 4000
        other = torch.cat([one, given])
        assert peak.most == 4000 + 8000
        del one, view
        last = other + 1
        assert peak.most == 8000 + 8000
        del other, last
        _ = given.half()
    assert peak.most == 16000


def test_weights_that_are_widened_for_a_call_are_not_counted():
    given = torch.ones(1000).to(torch.float8_e4m3fn)
    with Peak() as peak:
        _ = given.float()
    assert peak.most == 0


def test_what_is_told_at_its_own_size_is_what_is_taken(backbone):
    latents = torch.zeros(
        1, backbone.latent_channels, backbone.latent_frames(backbone.frames), *backbone.latent_size
    )
    text = backbone.encode_text([""])
    both = latents.expand(2, -1, -1, -1, -1).clone(), backbone.encode_text(["", ""])
    with torch.no_grad(), Peak() as making:
        backbone.predict(both[0], 0, both[1])
    assert making_bytes(backbone) == making.most
    told = [learning_bytes(backbone, what) for what in ("off", "part", "on")]
    for what, bytes_told in zip(("off", "part", "on"), told, strict=True):
        with lean(backbone.denoiser), checkpointed(backbone.denoiser, what), Peak() as learning:
            backbone.predict(latents.requires_grad_(), 0, text).square().mean().backward()
        assert bytes_told == learning.most
    assert told[0] >= told[1] > told[2] > 0
    with Peak() as decoding:
        backbone.decode(latents)
    assert decoding_bytes(backbone)[0] == pytest.approx(decoding.most, rel=0.35)


def test_what_a_larger_size_takes_is_told_from_a_smaller(backbone):
    spec, factor = backbone.spec, backbone.height // backbone.latent_size[0]
    large = type(backbone)(replace(spec, height=16 * factor, width=24 * factor), backbone.pipe)
    shape = (1, large.latent_channels, large.latent_frames(large.frames), 16, 24)
    latents, text = torch.zeros(shape, requires_grad=True), large.encode_text([""])
    with lean(large.denoiser), Peak() as learning:
        large.predict(latents, 0, text).square().mean().backward()
    # Six times the area; at tiny size much of Wan is the prompt's 512 tokens, which do not grow with it.
    assert 0.9 < learning_bytes(large, "off") / learning.most < 2.5
    with Peak() as decoding:
        large.decode(latents.detach())
    assert 0.9 < decoding_bytes(large)[0] / decoding.most < 1.35


def test_pieces_take_less(backbone):
    whole, pieces = decoding_bytes(backbone)
    assert 0 < pieces < whole or "transformer" in backbone.pipe.components


def test_what_is_away_or_stored_as_float8_takes_as_much(backbone):
    making, decoding = making_bytes(backbone), decoding_bytes(backbone)
    store_as_float8(backbone)
    send_away(backbone)
    assert making_bytes(backbone) == pytest.approx(making, rel=0.05)
    assert decoding_bytes(backbone) == decoding
