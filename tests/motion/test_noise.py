from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.noise import OUTPUTS, Diffusion, Flow, NoiseProcess, mix_prior

ALPHAS = torch.linspace(0.999, 0.0, 1000)
"""ā from almost clean to pure noise."""
DIFFUSIONS = ["epsilon", "v_prediction", "sample"]


def process(kind: str) -> NoiseProcess:
    return NoiseProcess(Flow(3.0) if kind == "flow_prediction" else Diffusion(ALPHAS), kind)


@pytest.fixture
def clean():
    return torch.randn(2, 4, 6, 3, 3)


@pytest.fixture
def noise():
    return torch.randn(2, 4, 6, 3, 3)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("t", [20, 500, 980, torch.tensor(500)])
def test_clean_and_noise_come_back(kind, t, clean, noise):
    one = process(kind)
    found = one.read(one.noisy(clean, noise, t), one.target(clean, noise, t), t)
    torch.testing.assert_close(found, (clean, noise), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_batch_of_timesteps_is_each_by_itself(kind, clean, noise):
    one, t = process(kind), torch.tensor([100, 700])
    for call in (one.noisy, one.target):
        both = call(clean, noise, t)
        alone = torch.cat([call(clean[i : i + 1], noise[i : i + 1], int(t[i])) for i in range(2)])
        torch.testing.assert_close(both, alone)


@pytest.mark.parametrize("kind", DIFFUSIONS)
def test_the_numbers_of_a_diffusion_are_these_bit_for_bit(kind, clean, noise):
    """A recipe makes the same file again only while these formulas stay as they are."""
    one = NoiseProcess(Diffusion(ALPHAS), kind)
    share = (torch.arange(2) + torch.rand(2)) / 2
    t = (share * 1000).long().clamp(max=999)
    assert torch.equal(one.schedule.times(share), t)
    alpha_bar = ALPHAS[t].view(-1, 1, 1, 1, 1)
    assert torch.equal(one.noisy(clean, noise, t), alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise)
    target = {
        "epsilon": noise,
        "sample": clean,
        "v_prediction": alpha_bar**0.5 * noise - (1 - alpha_bar) ** 0.5 * clean,
    }
    assert torch.equal(one.target(clean, noise, t), target[kind])
    now, then = float(ALPHAS[431]), float(ALPHAS[777])
    signal, spread = now**0.5, (1 - now) ** 0.5
    read = {
        "epsilon": ((clean - spread * noise) / signal, noise),
        "sample": (noise, (clean - signal * noise) / spread),
        "v_prediction": (signal * clean - spread * noise, spread * clean + signal * noise),
    }
    for one_t in (431, torch.tensor(431)):
        found = one.read(clean, noise, one_t)
        assert all(torch.equal(a, b) for a, b in zip(found, read[kind], strict=True))
    moved = then**0.5 * read[kind][0] + (1 - then) ** 0.5 * read[kind][1]
    assert torch.equal(one.moved(clean, noise, 431, 777), moved)


def test_the_line_of_a_flow(clean, noise):
    """x_s = (1-s) x_0 + s ε, and the velocity is what Euler's step moves along."""
    one = process("flow_prediction")
    x, v = one.noisy(clean, noise, 250), one.target(clean, noise, 250)
    torch.testing.assert_close(x, 0.75 * clean + 0.25 * noise)
    assert torch.equal(v, noise - clean)
    other = torch.randn_like(v)
    for to in (0, 100, 600.5, 1000):
        torch.testing.assert_close(one.moved(x, other, 250, to), x + (to / 1000 - 0.25) * other)
    torch.testing.assert_close(one.moved(x, v, 250, 1000), noise)


def test_a_shift_teaches_more_of_the_noise():
    share = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert torch.equal(Flow().times(share), 1000 * share)
    torch.testing.assert_close(Flow(3.0).times(share), torch.tensor([0.0, 500.0, 750.0, 1000.0]))


def test_zero_signal_at_the_last_step(clean, noise):
    """With zero terminal SNR the last step is pure noise, and v alone tells the clean sample."""
    for kind in ("v_prediction", "sample"):
        one = process(kind)
        assert torch.equal(one.noisy(clean, noise, 999), noise)
        torch.testing.assert_close(one.read(noise, one.target(clean, noise, 999), 999), (clean, noise))
    with pytest.raises(InputError, match="signal is 0"):
        process("epsilon").read(noise, noise, 999)
    with pytest.raises(InputError, match="no noise"):
        NoiseProcess(Diffusion(torch.ones(1)), "sample").read(clean, clean, 0)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_output_is_found_for_a_clean_sample(kind, clean, noise):
    one = process(kind)
    x = one.noisy(clean, noise, 431)
    torch.testing.assert_close(one.output(x, clean, 431), one.target(clean, noise, 431), atol=1e-4, rtol=1e-4)
    other = torch.randn_like(clean)
    for t in (431, torch.tensor(431)):
        found, _ = one.read(x, one.output(x, other, t), t)
        torch.testing.assert_close(found, other, atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match="no noise"):
        NoiseProcess(Flow(), "flow_prediction").output(clean, clean, 0)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_there_and_back_with_the_same_direction(kind, clean, noise):
    one = process(kind)
    later = one.moved(one.noisy(clean, noise, 100), one.target(clean, noise, 100), 100, 700)
    torch.testing.assert_close(later, one.noisy(clean, noise, 700), atol=1e-4, rtol=1e-4)
    back = one.moved(later, one.target(clean, noise, 700), 700, 100)
    torch.testing.assert_close(back, one.noisy(clean, noise, 100), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", DIFFUSIONS)
def test_a_diffusion_agrees_with_diffusers(kind, clean, noise):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(prediction_type=kind, clip_sample=False)
    scheduler.set_timesteps(10)
    t = scheduler.timesteps[4]
    ours = NoiseProcess(Diffusion(scheduler.alphas_cumprod), kind).moved(clean, noise, t, t - 100)
    torch.testing.assert_close(ours, scheduler.step(noise, t, clean).prev_sample, atol=1e-4, rtol=1e-4)


def test_a_flow_agrees_with_diffusers(clean, noise):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(10)
    t, later = scheduler.timesteps[4:6]
    one = process("flow_prediction")
    ours = one.moved(clean, noise, t, later)
    torch.testing.assert_close(ours, scheduler.step(noise, t, clean).prev_sample, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.noisy(clean, noise, t), scheduler.scale_noise(clean, t[None], noise))


def test_prior_keeps_the_amount_of_noise():
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
    with pytest.raises(InputError, match=r"\(2, 4, 5, 3, 3\)"):
        mix_prior(clean, noise[:, :, 1:], 0.5)
    with pytest.raises(InputError, match="'score'; epsilon, sample, v_prediction, flow_prediction are"):
        NoiseProcess(Flow(), "score")
    for wrong in (torch.tensor([0.5, 1.1]), torch.tensor([float("nan")])):
        with pytest.raises(InputError, match="0 to 1 is allowed"):
            Diffusion(wrong)
