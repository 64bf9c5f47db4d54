"""What the built-in model is trained for: which errors count, at which noise, and what words explain."""

from __future__ import annotations

import pytest
import torch

from motion_studio.toybox.data import LatentPool
from motion_studio.toybox.objective import OBJECT_WEIGHT, explained, loss_of


def test_a_perfect_model_has_no_loss():
    latents, alphas = torch.randn(2, 4, 3, 2, 2), torch.linspace(0.99, 0, 10)

    def perfect(noisy, timestep, ids):
        signal = alphas[timestep].sqrt().view(-1, 1, 1, 1, 1)
        spread = (1 - alphas[timestep]).sqrt().view(-1, 1, 1, 1, 1)
        return signal * (noisy - signal * latents) / spread - spread * latents

    cover = torch.zeros(2, 3, 2, 2)
    loss = loss_of(perfect, latents, torch.zeros(2, 4), cover, alphas, torch.Generator().manual_seed(0))
    assert loss < 1e-4


def test_an_error_at_an_object_counts_more():
    latents, alphas = torch.randn(2, 4, 3, 2, 2), torch.linspace(0.99, 0, 10)

    def loss(cover: float) -> torch.Tensor:
        where = torch.full((2, 3, 2, 2), cover)
        generator = torch.Generator().manual_seed(0)
        return loss_of(lambda noisy, *_: noisy, latents, torch.zeros(2, 4), where, alphas, generator)

    assert 1.2 * loss(0) < loss(1) < (1 + OBJECT_WEIGHT) * loss(0)


def test_drills_are_nothing_but_noise():
    latents, alphas = torch.ones(12, 4, 3, 2, 2), torch.linspace(0.99, 0, 10)
    seen = []

    def model(noisy, timestep, ids):
        seen.append((noisy, timestep))
        return noisy

    args = (latents, torch.zeros(12, 4), torch.zeros(12, 3, 2, 2), alphas)
    loss_of(model, *args, torch.Generator().manual_seed(0), drowned=1)
    assert seen[0][1].tolist() == [9] * 12 and seen[0][0].mean().abs() < 0.5
    loss_of(model, *args, torch.Generator().manual_seed(0), drowned=0.5)
    assert seen[1][1][:6].min() >= 6 and seen[1][1][6:].min() < 6
    loss_of(model, *args, torch.Generator().manual_seed(0))
    levels = seen[2][1]  # one of each twelfth: a quarter lie below .5, a ninth above .9
    assert (levels < 5).sum() in (3, 4) and (levels == 9).sum() in (1, 2)


def test_a_model_that_reads_no_words_explains_nothing(pipe):
    class Deaf(torch.nn.Module):
        unet = pipe.unet

        def forward(self, noisy, timestep, ids):
            return torch.zeros_like(noisy)

    pool = LatentPool(pipe.vae, pipe.tokenizer, 2, 0, "drill")
    pool.add()
    assert explained(Deaf(), pool, torch.linspace(0.99, 0, 10)) == pytest.approx(0, abs=1e-6)


def test_a_model_that_knows_the_clips_explains_all(pipe):
    pool = LatentPool(pipe.vae, pipe.tokenizer, 2, 0, "drill")
    pool.add()
    latents = pool.kept[0].float()

    class Knowing(torch.nn.Module):
        unet = pipe.unet

        def forward(self, noisy, timestep, ids):
            return -latents[:, :, [1, 6, 10, 15]]

    assert explained(Knowing(), pool, torch.linspace(0.99, 0, 10)) == pytest.approx(1)
