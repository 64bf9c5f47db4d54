"""On a device of its own a base makes the same clips and learns the same motions; nothing is left behind.

In a process of its own: torch must hear of the device before its first backward pass, and keeps it for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context

import pytest
import second_device
import torch
from second_device import AFAR
from tiny import TINY, made, settings

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.memory import store_as_float8
from motion_studio.motion.arithmetic import then
from motion_studio.motion.embedding import Motion, MotionInfo
from motion_studio.motion.operations_time import Fade
from motion_studio.settings import InversionSettings
from motion_studio.studio.events import Done
from motion_studio.studio.invert import invert
from motion_studio.studio.roles import Role
from motion_studio.video.clip import Clip

LEARNING = {
    "plain": {},
    "debiased": {"loss": "debiased", "hybrid": True},
    "pure": {"shuffle_looks": True, "noise_levels": 3},
    "replayed": {"replay": True, "loss": "changes", "carry": 1.0, "sites": "late"},
    "checkpointing": {"checkpointing": "on"},
    "checkpointing in part": {"checkpointing": "part", "preview_every": 2},
}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    pytest.importorskip("torch.utils.backend_registration")
    if not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this torch takes no device from Python")
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=second_device.register) as pool:
        yield pool


def random_motion(backbone: Backbone, seed: int, **info) -> Motion:
    frames, generator = backbone.latent_frames(backbone.frames), torch.Generator().manual_seed(seed)
    live = LiveEmbedding(backbone.sites.values(), frames, "v2", 2, generator, "cpu", backbone.processor)
    with torch.no_grad():
        for part in live.parameters():
            part.copy_(torch.randn(part.shape, generator=generator))
    return live.motion(MotionInfo(base=backbone.name, base_hash=backbone.weights_hash, **info))


def moved(name: str, dtype: torch.dtype = torch.float32) -> Backbone:
    """The tiny base of that name on the second device, all of it."""
    base = TINY[name]()
    for part in (base.denoiser, *base.others):
        part.to(dtype)
    base = type(base)(base.spec, base.pipe, device=AFAR)
    for part in base.others:
        part.to(base.device)
    return base


def clips(backbone: Backbone) -> dict[str, torch.Tensor]:
    """A clip of every way to play motions."""
    frames = backbone.latent_frames(backbone.frames)
    n = torch.arange(frames)
    paths = torch.stack([0.3 + 0.1 * n, 0.3 + 0.05 * n], 1), torch.stack([0.8 - 0.1 * n, 0.6 + 0 * n], 1)
    known = {"extent": 0.15, "camera": torch.zeros(frames, 4).tolist()}
    turning = {"sizes": (1 + 0.2 * n).tolist(), "turns": (0.3 * n).tolist()}
    one = random_motion(backbone, 1, path=paths[0].tolist(), **known, **turning)
    other = random_motion(backbone, 2, path=paths[1].tolist(), **known)
    camera = torch.stack([0.1 * n, 0 * n, 0.05 * n, 0.1 * n], 1)
    panned = random_motion(backbone, 3, camera=camera.tolist(), carry=1.0)
    held = settings(sync_until=0.6, carry=1.0, looks="background", guide_until=0.4, play_until=0.8)
    reference = backbone.encode(torch.rand(backbone.frames, 3, backbone.height, backbone.width))
    return {
        "bare": made(backbone, held),
        "object": made(backbone, held, one),
        "version 1": made(backbone, held, one.replace_info(version="v1")),
        "camera": made(backbone, held, panned),
        "camera's part": made(backbone, replace(held, motion_type="camera"), panned),
        "one after another": made(backbone, held, then(one, other, frames // 2, fade=1)),
        "faded": made(backbone, held, Fade(length=2).apply(one)),
        "filmed": made(backbone, replace(held, pan=0.2, zoom=1.3, roll=20), one),
        "filmed bare": made(backbone, replace(held, tilt=0.2)),
        "beside": made(backbone, held, one, beside=[Role("a blue box", other, other.path())]),
        "from a reference's noise": made(backbone, replace(held, noise_prior=0.5), one, reference),
    }


def both_clips(name: str, dtype: torch.dtype) -> tuple[dict[str, torch.Tensor], ...]:
    torch.manual_seed(0)
    here = clips(TINY[name]())
    torch.manual_seed(0)
    with second_device.second_device():
        return here, clips(moved(name, dtype))


def learnt(backbone: Backbone, **changes) -> dict[str, torch.Tensor]:
    """The tensors of a motion after a few steps on a square that moves."""
    frames = torch.full((backbone.frames, 3, backbone.height, backbone.width), 0.2)
    for n, frame in enumerate(frames):
        frame[:, 10:20, 2 + 2 * n : 12 + 2 * n] = torch.tensor([0.9, 0.3, 0.1])[:, None, None]
    given = InversionSettings(**{"steps": 3, "preview_every": 0, "learning_rate": 0.05, **changes})
    *_, last = invert(backbone, Clip(frames, 8.0), given, "a red ball")
    assert isinstance(last, Done)
    return {
        f"{name}.{part}": tensor
        for name, site in last.result.sites.items()
        for part, tensor in site.tensors().items()
    }


def both_learnt(name: str, changes: dict) -> tuple[dict[str, torch.Tensor], ...]:
    here = learnt(TINY[name](), **changes)
    with second_device.second_device():
        return here, learnt(moved(name), **changes)


def both_saving(name: str) -> tuple[torch.Tensor, ...]:
    """A clip with weights stored as float8, decoded frame by frame, on both devices."""
    out = []
    for far in (False, True):
        with second_device.second_device() if far else nullcontext():
            backbone = moved(name) if far else TINY[name]()
            motion = random_motion(backbone, 1)
            store_as_float8(backbone)
            backbone.chunk = 1
            out.append(made(backbone, settings(), motion))
    return tuple(out)


def mixed_up(what: str) -> None:
    with second_device.second_device():
        there = torch.ones(3, device=AFAR)
        if what == "tensors":
            there + torch.ones(3)
        elif what == "generators":
            torch.rand(3, device=AFAR, generator=torch.Generator())
        else:
            torch.ones(3).add_(there)


@pytest.mark.parametrize("what", ["tensors", "generators", "results"])
def test_the_device_refuses_what_is_not_on_it(elsewhere, what):
    with pytest.raises(RuntimeError, match="on afar|not afar"):
        elsewhere.submit(mixed_up, what).result()


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float16, 0.05)])
def test_clips_are_the_same(elsewhere, name, dtype, near):
    here, there = elsewhere.submit(both_clips, name, dtype).result()
    for what, clip in here.items():
        assert type(there[what]) is torch.Tensor  # clips come back to the processor
        assert (there[what] - clip).abs().mean() < near, what
    for what, clip in here.items():
        assert what == "bare" or (clip - here["bare"]).abs().max() > 1e-3, what


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("what", LEARNING)
def test_what_is_learnt_is_the_same(elsewhere, name, what):
    here, there = elsewhere.submit(both_learnt, name, LEARNING[what]).result()
    assert here.keys() == there.keys() and any(tensor.any() for tensor in here.values())
    for part, tensor in here.items():
        assert type(there[part]) is torch.Tensor
        assert torch.allclose(there[part], tensor, atol=2e-2), part


@pytest.mark.parametrize("name", TINY)
def test_what_saves_memory_works_there(elsewhere, name):
    here, there = elsewhere.submit(both_saving, name).result()
    assert torch.allclose(here, there, atol=1e-4)
