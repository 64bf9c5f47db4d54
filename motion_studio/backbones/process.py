"""The noise process that a diffusers scheduler stands for."""

from __future__ import annotations

from typing import Any

from motion_studio.errors import InputError
from motion_studio.motion.noise import Diffusion, Flow, NoiseProcess


def process_of(scheduler: Any) -> NoiseProcess:
    """What models under this scheduler were taught; InputError for a prediction that isn't known."""
    config = scheduler.config
    # FlowMatchEulerDiscreteScheduler knows no other prediction, and so names none.
    kind = config.get("prediction_type", "flow_prediction")
    if kind == "flow_prediction":
        shift = config.get("flow_shift", config.get("shift", 1.0))
        return NoiseProcess(Flow(shift, config["num_train_timesteps"]), kind)
    if not hasattr(scheduler, "alphas_cumprod"):
        raise InputError(f"{type(scheduler).__name__} is no scheduler of a model that is supported here")
    return NoiseProcess(Diffusion(scheduler.alphas_cumprod.float()), kind)
