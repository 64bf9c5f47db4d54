"""Between a clip and noise, one concept for every family of models.

A model is taught on x_t = signal(t) x_0 + spread(t) ε. A schedule says how much of each there is at a
timestep, an output is what the model is to tell of them; a schedule and an output are a noise process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from motion_studio.errors import InputError

Scale = float | Tensor
"""A factor for all samples, or one for each."""


class Schedule(Protocol):
    """How much signal and how much noise a sample has at a timestep."""

    def times(self, share: Tensor) -> Tensor:
        """The timesteps at shares (B,) from 0 to 1 of those that a model is taught on, least noise first."""

    def level(self, t: float | Tensor) -> tuple[Scale, Scale]:
        """Signal and spread: numbers at one timestep, tensors (B,) at timesteps (B,)."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """√ā_t and √(1-ā_t), ā from a table (T,) of 0 to 1, else InputError (Ho et al., arXiv 2006.11239)."""

    alphas_cumprod: Tensor

    def __post_init__(self) -> None:
        low, high = float(self.alphas_cumprod.min()), float(self.alphas_cumprod.max())
        if not 0 <= low <= high <= 1:
            raise InputError(f"alphas_cumprod go from {low:g} to {high:g}, 0 to 1 is allowed.")

    def times(self, share: Tensor) -> Tensor:
        total = len(self.alphas_cumprod)
        return (share * total).long().clamp(max=total - 1)

    def level(self, t: float | Tensor) -> tuple[Scale, Scale]:
        # One timestep's figures have double precision, as a scheduler's steps have them.
        alpha_bar = self.alphas_cumprod[t] if isinstance(t, Tensor) else float(self.alphas_cumprod[int(t)])
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


@dataclass(frozen=True)
class Flow:
    """1-s and s at timestep `steps`·s: a straight line to noise (Liu et al., arXiv 2209.03003; Lipman et al.,
    arXiv 2210.02747). Taught at s = k u / (1 + (k-1) u), `shift` k, u even (Esser et al., arXiv 2403.03206).
    """

    shift: float = 1.0
    steps: int = 1000

    def times(self, share: Tensor) -> Tensor:
        return self.steps * (self.shift * share / (1 + (self.shift - 1) * share))

    def level(self, t: float | Tensor) -> tuple[Scale, Scale]:
        s = t / self.steps
        return 1 - s, s


@dataclass(frozen=True)
class Output:
    """What a model puts out at x = signal x_0 + spread ε, and how both are read off it again."""

    target: Callable[[Tensor, Tensor, Scale, Scale], Tensor]
    """(x_0, ε, signal, spread) → output"""
    read: Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor]]
    """(x, output, signal, spread) → x_0 and ε"""


def _read_epsilon(x: Tensor, output: Tensor, signal: float, spread: float) -> tuple[Tensor, Tensor]:
    if signal <= 0:
        raise InputError(
            "The signal is 0, pure noise: a prediction of noise says nothing of the clean sample."
        )
    return (x - spread * output) / signal, output


def _read_sample(x: Tensor, output: Tensor, signal: float, spread: float) -> tuple[Tensor, Tensor]:
    if spread <= 0:
        raise InputError("There is no noise: a prediction of the clean sample says nothing of the noise.")
    return output, (x - signal * output) / spread


OUTPUTS: dict[str, Output] = {
    "epsilon": Output(lambda clean, noise, signal, spread: noise, _read_epsilon),
    "sample": Output(lambda clean, noise, signal, spread: clean, _read_sample),
    # Salimans and Ho, arXiv 2202.00512.
    "v_prediction": Output(
        lambda clean, noise, signal, spread: signal * noise - spread * clean,
        lambda x, v, signal, spread: (signal * x - spread * v, spread * x + signal * v),
    ),
    # The velocity of a Flow, dx/ds = ε - x_0.
    "flow_prediction": Output(
        lambda clean, noise, signal, spread: noise - clean,
        lambda x, v, signal, spread: (x - spread * v, x + signal * v),
    ),
}


@dataclass(frozen=True, eq=False)
class NoiseProcess:
    """What a model was taught to undo; `prediction_type` names its output as diffusers does.

    Samples are (B, ...), timesteps one number for all or (B,). Raises InputError for an unknown output.
    """

    schedule: Schedule
    prediction_type: str

    def __post_init__(self) -> None:
        if self.prediction_type not in OUTPUTS:
            known = ", ".join(OUTPUTS)
            raise InputError(f"There is no prediction type {self.prediction_type!r}; {known} are allowed.")

    def noisy(self, clean: Tensor, noise: Tensor, t: float | Tensor) -> Tensor:
        """x_t = signal x_0 + spread ε."""
        signal, spread = self._level(t, clean)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, t: float | Tensor) -> Tensor:
        """What the model should put out at x_t."""
        return OUTPUTS[self.prediction_type].target(clean, noise, *self._level(t, clean))

    def read(self, x: Tensor, output: Tensor, t: float | Tensor) -> tuple[Tensor, Tensor]:
        """The x_0 and ε that an output at x_t means, t one number; InputError where it says nothing."""
        return OUTPUTS[self.prediction_type].read(x, output, *self._level(t, x))

    def output(self, x: Tensor, clean: Tensor, t: float | Tensor) -> Tensor:
        """The output that means this clean sample at x_t, as `read` reads it; InputError without noise."""
        signal, spread = self._level(t, x)
        if spread <= 0:
            raise InputError("There is no noise: the sample is the clean one.")
        return self.target(clean, (x - signal * clean) / spread, t)

    def moved(self, x: Tensor, output: Tensor, t: float | Tensor, to: float | Tensor) -> Tensor:
        """The sample at timestep `to`, x_0 and ε kept, towards less noise or more; raises as `read` does.

        DDIM's step (Song et al., arXiv 2010.02502, equation 12), and Euler's along a flow.
        """
        return self.noisy(*self.read(x, output, t), to)

    def _level(self, t: float | Tensor, like: Tensor) -> tuple[Scale, Scale]:
        if not isinstance(t, Tensor):
            return self.schedule.level(t)
        if t.ndim == 0:
            return self.schedule.level(t.item())
        signal, spread = self.schedule.level(t.cpu())
        shape = (-1, *[1] * (like.ndim - 1))
        return signal.view(shape).to(like), spread.view(shape).to(like)


def mix_prior(inverted: Tensor, noise: Tensor, p: float) -> Tensor:
    """x_T = √p x_T^inv + √(1-p) ε: as much noise as before, a share p of it from the clip.

    Raises InputError for a p outside of 0 to 1 or different shapes.
    """
    if not 0 <= p <= 1:
        raise InputError(f"p is {p:g}, 0 to 1 is allowed.")
    if inverted.shape != noise.shape:
        raise InputError(
            f"The noise is {tuple(noise.shape)} and the clip's {tuple(inverted.shape)}; one shape is needed."
        )
    return p**0.5 * inverted + (1 - p) ** 0.5 * noise
