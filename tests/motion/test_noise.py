from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.noise import PREDICTIONS, ddim_inverse_step, ddim_step, mix_prior, predicted


def outputs(clean, noise, alpha_bar):
    return {
        "epsilon": noise,
        "v_prediction": alpha_bar**0.5 * noise - (1 - alpha_bar) ** 0.5 * clean,
        "sample": clean,
    }


@pytest.fixture
def clean():
    return torch.randn(1, 4, 6, 3, 3)


@pytest.fixture
def noise():
    return torch.randn(1, 4, 6, 3, 3)


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("alpha_bar", [0.02, 0.5, 0.98])
def test_clean_and_noise_come_back(kind, alpha_bar, clean, noise):
    sample = alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise
    found = predicted(sample, outputs(clean, noise, alpha_bar)[kind], alpha_bar, kind)
    torch.testing.assert_close(found, (clean, noise), atol=1e-4, rtol=1e-4)


def test_zero_signal_at_the_last_step(clean, noise):
    """With zero terminal SNR the last step is pure noise, and v alone tells the clean sample."""
    for kind in ("v_prediction", "sample"):
        found = predicted(noise, outputs(clean, noise, 0.0)[kind], 0.0, kind)
        torch.testing.assert_close(found, (clean, noise))
    with pytest.raises(InputError, match="alpha_bar is 0"):
        predicted(noise, noise, 0, "epsilon")
    with pytest.raises(InputError, match="alpha_bar is 1"):
        predicted(clean, clean, 1, "sample")


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_step_lands_on_the_other_level(kind, clean, noise):
    sample = 0.6**0.5 * clean + 0.4**0.5 * noise
    for to in (0.9, 0.2, 0.0, 1.0):
        moved = ddim_step(sample, outputs(clean, noise, 0.6)[kind], 0.6, to, kind)
        torch.testing.assert_close(moved, to**0.5 * clean + (1 - to) ** 0.5 * noise, atol=1e-4, rtol=1e-4)


def test_there_and_back_with_the_same_direction(clean, noise):
    sample = 0.9**0.5 * clean + 0.1**0.5 * noise
    later = ddim_inverse_step(sample, noise, 0.9, 0.3, "epsilon")
    torch.testing.assert_close(ddim_step(later, noise, 0.3, 0.9, "epsilon"), sample, atol=1e-5, rtol=1e-5)


def test_agrees_with_diffusers(clean, noise):
    diffusers = pytest.importorskip("diffusers")
    for kind in PREDICTIONS:
        scheduler = diffusers.DDIMScheduler(prediction_type=kind, clip_sample=False)
        scheduler.set_timesteps(10)
        t = scheduler.timesteps[4]
        before = scheduler.alphas_cumprod[t]
        after = scheduler.alphas_cumprod[t - 100]
        ours = ddim_step(clean, noise, before, after, kind)
        torch.testing.assert_close(ours, scheduler.step(noise, t, clean).prev_sample, atol=1e-4, rtol=1e-4)


def test_prior_keeps_the_amount_of_noise(noise):
    inverted = torch.randn(1, 4, 16, 32, 32)
    fresh = torch.randn_like(inverted)
    assert torch.equal(mix_prior(inverted, fresh, 0), fresh)
    assert torch.equal(mix_prior(inverted, fresh, 1), inverted)
    mixed = mix_prior(inverted, fresh, 0.5)
    assert mixed.std().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(mixed, 0.5**0.5 * (inverted + fresh))


def test_bad_input(clean, noise):
    with pytest.raises(InputError, match="p is 1.5, 0 to 1 is allowed"):
        mix_prior(clean, noise, 1.5)
    with pytest.raises(InputError, match="p is nan"):
        mix_prior(clean, noise, float("nan"))
    with pytest.raises(InputError, match=r"\(1, 4, 5, 3, 3\)"):
        mix_prior(clean, noise[:, :, 1:], 0.5)
    with pytest.raises(InputError, match="'flow'; epsilon, v_prediction, sample are allowed"):
        predicted(clean, noise, 0.5, "flow")
    with pytest.raises(InputError, match="alpha_bar_to is -0.1"):
        ddim_step(clean, noise, 0.5, -0.1, "epsilon")
    with pytest.raises(InputError, match="goes from alpha_bar 0.5 down, not up to 0.6"):
        ddim_inverse_step(clean, noise, 0.5, 0.6, "epsilon")
