"""What learning and carrying cost at full size, without a GPU: `python benchmarks/estimate.py`.

Weights are random as in gpu.py, and a step runs on tensors that have shapes and no content. Counted are
what autograd keeps, floating-point operations, and bytes that kernels read and write. A step's time is taken
for the sum over its kernels of the longer of computing and moving on an H100. What is kept, with the weights,
comes out about a GB below what gpu.py measured; docs/results.md says how well times tell ways apart. Of every
base it also works out what the studio counts with when it chooses what saves memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import markdown, save
from gpu import BASES, GB
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from motion_studio.backbones import injection
from motion_studio.backbones.base import Backbone
from motion_studio.backbones.checkpointing import checkpointed
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.lean import lean
from motion_studio.backbones.memory import weight_bytes
from motion_studio.backbones.peaks import learning_bytes, making_bytes
from motion_studio.backbones.random_weights import random_base
from motion_studio.backbones.sites import late_sites
from motion_studio.motion.embedding import Motion, MotionInfo

COMPUTING, MOVING, STARTING = 450e12, 2e12, 5e-6
"""Operations and bytes a second of an H100, half of what it is sold for; the least seconds of a kernel."""
SITES = ("all", "late")
CHECKPOINTING = ("off", "part", "on")
VIEWS = {"alias", "as_strided", "detach", "expand", "permute", "reshape", "select", "slice", "split"}
VIEWS |= {"squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "_unsafe_view"}
NO_KERNEL = VIEWS | {"device", "empty", "layout"}
"""What neither reads nor writes numbers."""
aten = torch.ops.aten
# torch knows how to count the attention of a GPU alone; that of a processor takes the same arguments.
COUNTS = flop_registry | {
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        aten._scaled_dot_product_flash_attention_backward
    ],
}


class Counter(TorchDispatchMode):
    """Counts operations, bytes and seconds of all kernels that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.bytes, self.seconds = 0, 0, 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        kernel = function._overloadpacket
        if kernel.__name__ in NO_KERNEL:
            return output
        count = COUNTS.get(kernel)
        operations = count(*args, **(kwargs or {}), out_val=output) if count else 0
        moved = sum(part.nbytes for part in tree_leaves((args, kwargs, output)) if isinstance(part, Tensor))
        self.operations, self.bytes = self.operations + operations, self.bytes + moved
        self.seconds += max(operations / COMPUTING, moved / MOVING, STARTING)
        return output


def kept_bytes(weights: set[int], forward: Callable[[], Tensor]) -> tuple[int, Tensor]:
    """Return what autograd keeps of what `forward` computes, storages in `weights` aside, and its output."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        # A view of a weight has a storage of its own under this mode.
        whole = tensor if tensor._base is None else tensor._base
        kept.setdefault(whole.untyped_storage()._cdata, whole)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    return sum(part.untyped_storage().nbytes() for name, part in kept.items() if name not in weights), output


def started(backbone: Backbone, sites: str) -> LiveEmbedding:
    """Return a motion at those sites as learning starts with it."""
    names = late_sites(backbone.sites) if sites == "late" else list(backbone.sites)
    chosen, frames = [backbone.sites[name] for name in names], backbone.latent_frames(backbone.frames)
    return LiveEmbedding(chosen, frames, "v2", 2, torch.Generator(), backbone.device, backbone.processor)


def given(backbone: Backbone, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents, timesteps and texts of a batch."""
    frames = backbone.latent_frames(backbone.frames)
    latents = torch.zeros(batch, backbone.latent_channels, frames, *backbone.latent_size)
    return latents, torch.full((batch,), 500), backbone.encode_text([""] * batch)


def making(backbone: Backbone, sites: str, motion: Motion) -> dict[str, Any]:
    """Return what a denoising step that is led to the prompt costs with a motion, against one without."""
    ways = {"bare": None, "with a motion": backbone.processors(motion)}
    seconds = {}
    for name, ready in ways.items():
        with torch.no_grad(), backbone.playing(ready), Counter() as counter:
            backbone.predict(*given(backbone, 2))
        seconds[name] = counter.seconds
    return {"base": backbone.name, "sites": sites, "carrying": seconds["with a motion"] / seconds["bare"]}


def learning(backbone: Backbone, sites: str, checkpointing: str) -> dict[str, Any]:
    """Return the figures of one learning step of one noise level."""
    denoiser, live = backbone.denoiser, started(backbone, sites)
    weights = {part.untyped_storage()._cdata for part in denoiser.parameters()}
    ways = backbone.playing(live), lean(denoiser), checkpointed(denoiser, checkpointing)
    with torch.enable_grad(), ways[0], ways[1], ways[2], Counter() as counter:
        kept, output = kept_bytes(weights, lambda: backbone.predict(*given(backbone, 1)))
        output.square().mean().backward()
    return {
        "base": backbone.name,
        "sites": sites,
        "checkpointing": checkpointing,
        "kept_gb": kept / GB,
        "with_weights_gb": (kept + weight_bytes(denoiser)) / GB,
        "teraflop": counter.operations / 1e12,
        "moved_gb": counter.bytes / GB,
        "seconds": counter.seconds,
    }


def estimated(backbone: Backbone) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row of learning for each choice of sites and checkpointing, and of making for each of sites.

    Times of learning are against the first.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        _ = backbone.sites  # found by a pass
        learns = [learning(backbone, sites, what) for sites in SITES for what in CHECKPOINTING]
    motions = {sites: started(backbone, sites).motion(MotionInfo()) for sites in SITES}  # of real numbers
    with mode:
        makes = [making(backbone, sites, motion) for sites, motion in motions.items()]
    return [row | {"time": row["seconds"] / learns[0]["seconds"]} for row in learns], makes


def memory(backbone: Backbone) -> dict[str, Any]:
    """Return what the studio counts with when it chooses what saves memory, beside the denoiser's weights."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        learns = {what: learning_bytes(backbone, what) / GB for what in CHECKPOINTING}
        return {"base": backbone.name, "making_gb": making_bytes(backbone) / GB, "learning_gb": learns}


def tables(learns: list[dict[str, Any]], makes: list[dict[str, Any]]) -> str:
    """Return the rows in Markdown."""
    header = ["base", "sites", "checkpointing", "kept GB", "with weights GB", "TFLOP", "moved GB", "time"]
    figures = {
        "kept_gb": ".1f",
        "with_weights_gb": ".1f",
        "teraflop": ".1f",
        "moved_gb": ".0f",
        "time": ".2f",
    }
    names = ("base", "sites", "checkpointing")
    told = [
        [*(row[name] for name in names), *(f"{row[key]:{how}}" for key, how in figures.items())]
        for row in learns
    ]
    carried = [[row["base"], row["sites"], f"{row['carrying']:.3f}"] for row in makes]
    return (
        f"{markdown(header, told)}\n\n{markdown(['base', 'sites', 'a step with a motion, to bare'], carried)}"
    )


def main() -> None:
    """Print the tables of the bases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", nargs="+", choices=list(BASES), default=["animatediff", "zeroscope"])
    parser.add_argument("--out", type=Path, default=Path("out/estimate"))
    args = parser.parse_args()
    injection.SHORT = 0  # attention as on a GPU, though this is a processor
    learns, makes, memories = [], [], []
    for name, dtype in BASES.items():
        backbone = random_base(name, "cpu", dtype)
        memories.append(memory(backbone))
        if name in args.bases:
            found = estimated(backbone)
            learns, makes = learns + found[0], makes + found[1]
    results = {"torch": torch.__version__, "learning": learns, "making": makes, "memory": memories}
    save(args.out, "estimate", results, tables(learns, makes), [], [])


if __name__ == "__main__":
    main()
