"""Noise that remembers a clip: DDIM steps in both directions and the prior made of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from motion_studio.errors import InputError

Prediction = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


def _from_epsilon(sample: Tensor, output: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
    if alpha_bar <= 0:
        raise InputError(
            "alpha_bar is 0, pure noise: a prediction of noise says nothing of the clean sample."
        )
    return (sample - (1 - alpha_bar) ** 0.5 * output) / alpha_bar**0.5, output


def _from_v(sample: Tensor, output: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
    signal, noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    return signal * sample - noise * output, noise * sample + signal * output


def _from_sample(sample: Tensor, output: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
    if alpha_bar >= 1:
        raise InputError(
            "alpha_bar is 1, no noise: a prediction of the clean sample says nothing of the noise."
        )
    return output, (sample - alpha_bar**0.5 * output) / (1 - alpha_bar) ** 0.5


PREDICTIONS: dict[str, Prediction] = {
    "epsilon": _from_epsilon,
    "v_prediction": _from_v,
    "sample": _from_sample,
}


def predicted(
    sample: Tensor, output: Tensor, alpha_bar: float, prediction_type: str
) -> tuple[Tensor, Tensor]:
    """The clean sample x_0 and the noise ε that a model's output means, where sample = √ā x_0 + √(1-ā) ε.

    `prediction_type` is as in diffusers: epsilon, v_prediction (Salimans and Ho, arXiv 2202.00512) or sample.
    Raises InputError for another one, an alpha_bar outside of 0 to 1, and where the output says nothing.
    """
    if prediction_type not in PREDICTIONS:
        known = ", ".join(PREDICTIONS)
        raise InputError(f"There is no prediction type {prediction_type!r}; {known} are allowed.")
    return PREDICTIONS[prediction_type](sample, output, _share("alpha_bar", alpha_bar))


def ddim_step(
    sample: Tensor, output: Tensor, alpha_bar: float, alpha_bar_to: float, prediction_type: str
) -> Tensor:
    """The sample at another noise level, x_0 and ε kept (Song et al., arXiv 2010.02502, equation 12).

    Raises what `predicted` raises.
    """
    clean, noise = predicted(sample, output, alpha_bar, prediction_type)
    alpha_bar_to = _share("alpha_bar_to", alpha_bar_to)
    return alpha_bar_to**0.5 * clean + (1 - alpha_bar_to) ** 0.5 * noise


def ddim_inverse_step(
    sample: Tensor, output: Tensor, alpha_bar: float, alpha_bar_next: float, prediction_type: str
) -> Tensor:
    """The same step towards more noise, which turns a clip into the noise that would make it.

    Raises InputError when `alpha_bar_next` has less noise, and what `predicted` raises.
    """
    if alpha_bar_next > alpha_bar:
        raise InputError(
            f"An inverse step goes from alpha_bar {alpha_bar:g} down, not up to {alpha_bar_next:g}."
        )
    return ddim_step(sample, output, alpha_bar, alpha_bar_next, prediction_type)


def mix_prior(inverted: Tensor, noise: Tensor, p: float) -> Tensor:
    """x_T = √p x_T^inv + √(1-p) ε: as much noise as before, a share p of it from the clip.

    Raises InputError for a p outside of 0 to 1 or different shapes.
    """
    p = _share("p", p)
    if inverted.shape != noise.shape:
        raise InputError(
            f"The noise is {tuple(noise.shape)} and the clip's {tuple(inverted.shape)}; one shape is needed."
        )
    return p**0.5 * inverted + (1 - p) ** 0.5 * noise


def _share(name: str, value: float | Tensor) -> float:
    value = float(value)
    if not 0 <= value <= 1:
        raise InputError(f"{name} is {value:g}, 0 to 1 is allowed.")
    return value
