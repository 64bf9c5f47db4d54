"""What makes a training step of the built-in model shorter on the machine at hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from motion_studio.backbones.toybox_build import MAX_TOKENS


def fastest_precision(loss_of: Callable[[], Tensor], model: nn.Module) -> str:
    """Return "bf16" or "no", whichever makes a training step shorter here: bf16 needs a chip that has it.

    A step is to compute the loss of `model` and its gradients.
    """
    times, device = {}, next(model.parameters()).device
    for precision in ("no", "bf16"):
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                loss = loss_of()
            loss.backward()
            loss.item()  # waits for a GPU
            best = min(best, time.perf_counter() - began)
        model.zero_grad(set_to_none=True)
        times[precision] = best
    print(f"seconds a step: {times}", flush=True)
    return min(times, key=times.get)


def replayed(unet: nn.Module, clips: int, frames: int, precision: str) -> None:
    """Let `unet` replay a CUDA graph of itself wherever it is given `clips` clips of `frames` frames.

    A step of a model this small is thousands of short kernels: to launch them takes longer than to run them.
    """
    eager, config, device = unet.forward, unet.config, next(unet.parameters()).device
    side = config.sample_size
    noisy = torch.zeros(clips, config.in_channels, frames, side, side, device=device)
    words = torch.zeros(clips * frames, MAX_TOKENS, config.cross_attention_dim, device=device)
    sample = noisy, torch.zeros(clips, dtype=torch.long, device=device), words
    with torch.autocast(device.type, torch.bfloat16, precision == "bf16", cache_enabled=False):
        torch.cuda.make_graphed_callables(unet, sample, allow_unused_input=True)
    graph = unet.forward

    def forward(noisy: Tensor, timestep: Tensor, words: Tensor):
        return (graph if noisy.shape == sample[0].shape else eager)(noisy, timestep, words)

    unet.forward = forward
