from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from tiny import SPEC, tiny_backbone, tiny_pipeline

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.registry import load
from motion_studio.backbones.sites import late_sites
from motion_studio.errors import Cancelled, SettingsError
from motion_studio.motion.embedding import MotionInfo
from motion_studio.settings import PRESETS, InversionSettings
from motion_studio.studio import invert as module
from motion_studio.studio.events import Done, LossPoint, Preview, Progress
from motion_studio.studio.invert import invert
from motion_studio.video.clip import Clip
from motion_studio.video.measures import follows
from motion_studio.video.reading import read_clip
from motion_studio.video.tracks import see

MOTIONS = PRESETS.parent / "motions"
QUICK = InversionSettings(steps=3, preview_every=0, learning_rate=0.05)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module")
def clip():
    """A bright square that moves to the right."""
    frames = torch.full((4, 3, 32, 32), 0.2)
    for n in range(4):
        frames[n, :, 10:20, 3 + 5 * n : 13 + 5 * n] = torch.tensor([0.9, 0.3, 0.1])[:, None, None]
    return Clip(frames, 8.0)


def bare(backbone):
    latents = torch.linspace(-1, 1, 4 * 4 * 64).view(1, 4, 4, 8, 8)
    with torch.no_grad():
        return backbone.predict(latents, 500, backbone.encode_text(["x"]))


def learnt(*args, **kwargs):
    *_, last = invert(*args, **kwargs)
    assert isinstance(last, Done)
    return last.result


def test_events_and_provenance(backbone, clip):
    settings = InversionSettings(steps=4, preview_every=2)
    before = bare(backbone)
    events = []
    for event in invert(backbone, clip, settings, "a red ball"):
        events.append(event)
        assert torch.equal(bare(backbone), before)  # between two events the model is bare
    assert [event.step for event in events if isinstance(event, LossPoint)] == [1, 2, 3, 4]
    assert [event.step for event in events if isinstance(event, Progress)] == [0, 1, 2, 3, 4]
    previews = [event.clip.frames for event in events if isinstance(event, Preview)]
    assert len(previews) == 2 and not torch.equal(*previews)
    motion = events[-1].result
    info = motion.info
    assert (info.base, info.base_hash, info.version) == ("tiny", backbone.weights_hash, "v2")
    assert (info.prompt, info.fps, info.latent_size) == ("a red ball", 8.0, (8, 8))
    assert InversionSettings.from_json(info.settings) == settings
    assert len(info.losses) == 4 and len(info.path) == 4 and len(info.camera) == 4 and info.date
    assert info.extent == pytest.approx(1.15 * 10 / 32 / math.pi**0.5, abs=0.03)  # a square of 10 pixels
    assert motion.rank == 2 and motion.sites.keys() == backbone.sites.keys()
    assert not any(site.qk.requires_grad for site in motion.sites.values())
    local = info.report["locality"]
    assert local.keys() == backbone.sites.keys() and all(-1 <= figure <= 1 for figure in local.values())


@pytest.mark.parametrize(
    "settings",
    [
        {"version": "v2"},
        {"version": "v1"},
        {"loss": "debiased"},
        {"hybrid": True},
        {"sites": "local", "noise_levels": 1},
        {"sites": "late"},
        {"replay": True},
    ],
)
def test_a_few_steps_lower_the_loss_on_a_fixed_batch(backbone, clip, settings, monkeypatch):
    before, keys = bare(backbone), set(backbone.unet.state_dict())
    fixed = torch.Generator()

    step = module._Learner.step

    def same_draws(learner):
        learner.generator = fixed.manual_seed(0)
        return step(learner)

    monkeypatch.setattr(module._Learner, "step", same_draws)
    chosen = InversionSettings(**{"steps": 6, "preview_every": 0, **settings})
    motion = learnt(backbone, clip, chosen, "a red ball")
    assert motion.info.losses[3] < motion.info.losses[0]
    assert motion.info.version == chosen.version
    assert torch.equal(bare(backbone), before) and set(backbone.unet.state_dict()) == keys
    assert not any(part.requires_grad for part in backbone.unet.parameters())


@pytest.fixture(scope="module")
def quick(backbone, clip):
    """The hash of what the quick settings learn."""
    return learnt(backbone, clip, QUICK).hash()


@pytest.mark.parametrize(
    "change",
    [
        {"hybrid": True},
        {"loss": "debiased"},
        {"loss": "changes"},
        {"noise_bias": 0.5},
        {"noise_levels": 1},
        {"learning_rate": 0.1},
        {"rank": 1},
    ],
    ids=str,
)
def test_each_setting_counts(backbone, clip, quick, change):
    assert learnt(backbone, clip, InversionSettings(**{**QUICK.to_json(), **change})).hash() != quick


def test_the_motion_is_learnt_over_the_looks_that_the_lora_has_learnt(backbone, clip, monkeypatch):
    seen, predict = [], module._Learner._predict

    def noted(learner, latents, *args):
        layers = [layer for layer in backbone.unet.modules() if isinstance(layer, BaseTunerLayer)]
        learning = {part.requires_grad for part in learner.lora.parameters}
        seen.append((latents.shape[2], {layer.disable_adapters for layer in layers}, learning))
        return predict(learner, latents, *args)

    monkeypatch.setattr(module._Learner, "_predict", noted)
    learnt(backbone, clip, InversionSettings(steps=2, preview_every=0, hybrid=True))
    assert seen == [(1, {False}, {True}), (4, {False}, {False})] * 2


def test_the_rate_falls_to_nothing(backbone, clip, monkeypatch):
    rates, step = [], module._Learner.step

    def noted(learner):
        rates.append(learner.optimiser.param_groups[0]["lr"])
        loss = step(learner)
        rates.append(learner.optimiser.param_groups[0]["lr"])
        return loss

    monkeypatch.setattr(module._Learner, "step", noted)
    learnt(backbone, clip, QUICK)
    assert rates[0] == QUICK.learning_rate and rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates == sorted(rates, reverse=True)


def test_late_sites_are_those_of_the_up_blocks_and_nothing_before_them_is_computed_backwards(backbone, clip):
    kept = []
    handles = [
        block.register_forward_hook(lambda _block, _args, out: kept.append(out[0].requires_grad))
        for block in (*backbone.unet.down_blocks, backbone.unet.mid_block)
    ]
    settings = {"steps": 1, "preview_every": 0}
    try:
        late = learnt(backbone, clip, InversionSettings(sites="late", **settings), "")
        assert kept and not any(kept)
        kept.clear()
        learnt(backbone, clip, InversionSettings(**settings), "")
        assert any(kept)
    finally:
        for handle in handles:
            handle.remove()
    assert list(late.sites) == [name for name in backbone.sites if name.startswith("up_blocks.")]
    assert 0 < len(late.sites) < len(backbone.sites)


def test_late_sites_of_a_transformer_are_its_second_half():
    names = [f"blocks.{number}" for number in range(5)]
    assert late_sites(names) == names[2:] and late_sites(["mid.0", "up_blocks.0"]) == ["up_blocks.0"]


def test_a_seed_learns_the_same_again(backbone, clip):
    one, two = (learnt(backbone, clip, QUICK) for _ in range(2))
    other = learnt(backbone, clip, InversionSettings(**{**QUICK.to_json(), "seed": 1}))
    assert one.hash() == two.hash() != other.hash()


def test_shuffled_looks_are_drawn_anew_and_take_no_prompt(backbone, clip, monkeypatch):
    seen, prompts = [], []
    assert backbone.sites  # found once, with a prompt of their own
    encode, encode_text = backbone.encode, backbone.encode_text
    monkeypatch.setattr(backbone, "encode", lambda frames: seen.append(frames) or encode(frames))
    monkeypatch.setattr(backbone, "encode_text", lambda texts: prompts.extend(texts) or encode_text(texts))
    settings = InversionSettings(steps=3, preview_every=0, shuffle_looks=True)
    learnt(backbone, clip, settings, "a red ball")
    assert prompts == [""] and len(seen) == 1 + 3 * settings.noise_levels
    assert any(not torch.equal(frames, seen[1]) for frames in seen[2:])
    learnt(backbone, Clip(torch.rand(4, 3, *clip.frames.shape[2:]), 8.0), settings)  # nothing is seen to move
    assert not torch.equal(seen[-1], seen[-2])


def test_noise_is_carried_along_where_the_camera_moves(backbone, clip):
    carry = InversionSettings(**{**QUICK.to_json(), "carry": 0.5})
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    waves = [0.5 + 0.2 * torch.sin((x - 2 * n) / 3) + 0.2 * torch.cos((y + x - 2 * n) / 4) for n in range(4)]
    panned = Clip(torch.stack(waves)[:, None].expand(-1, 3, -1, -1).clone(), 8.0)
    pan = learnt(backbone, panned, carry)
    assert pan.info.camera[-1][0] > 0.1  # 6 of 32 pixels
    assert pan.hash() != learnt(backbone, panned, QUICK).hash()
    assert learnt(backbone, clip, carry).hash() == learnt(backbone, clip, QUICK).hash()


@torch.no_grad()
def test_the_noise_learnt_from_goes_with_the_camera_and_is_as_much_as_ever(clip):
    backbone = tiny_backbone("epsilon")  # what it is to put out is the noise itself
    pan = torch.zeros(4, 4)
    pan[:, 0] = torch.arange(4) / 8  # a latent cell a frame to the right
    settings = InversionSettings(carry=1.0, noise_levels=64)
    learner = module._Learner(backbone, clip, replace(see(clip), camera=pan), settings, MotionInfo(), None)
    _, noise = learner._predict(learner.latents, learner._carried(None))
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    ahead = torch.stack([noise[:, :, 0, :, :-2].flatten(), noise[:, :, 2, :, 2:].flatten()])
    # The mean of the share that is carried, the root of an even draw: two thirds.
    assert float(torch.corrcoef(ahead)[0, 1]) == pytest.approx(2 / 3, abs=0.08)

    backwards = learner._carried(torch.arange(4).flip(0)).draw(2, 4)  # from the end on, to the left
    assert torch.allclose(backwards[:, :, 1, :, :-1], backwards[:, :, 0, :, 1:])
    assert torch.allclose(backwards[:, :, 3, :, :-3], backwards[:, :, 0, :, 3:])


def test_a_replayed_clip_and_its_motion_are_read_in_the_same_order(backbone, clip, monkeypatch):
    straight = learnt(backbone, clip, QUICK)
    replay = InversionSettings(**{**QUICK.to_json(), "replay": True})
    assert learnt(backbone, clip, replay).hash() != straight.hash()
    # A clip that runs backwards, always read backwards, is the clip itself: only the rows are turned round.
    monkeypatch.setattr(module, "draw_order", lambda frames, generator: torch.arange(frames).flip(0))
    turned = learnt(backbone, Clip(clip.frames.flip(0), clip.fps), replay)
    for name, site in straight.sites.items():
        assert torch.allclose(turned.sites[name].qk.flip(0), site.qk, atol=1e-4)
        assert torch.allclose(turned.sites[name].time.flip(1), site.time, atol=1e-4)


def test_it_ends_once_samples_follow_the_clip(clip, backbone):
    settings = InversionSettings(
        steps=30, learning_rate=0.2, noise_bias=0.5, sites="late", preview_every=4, stop_at=0.8
    )
    reference = read_clip(MOTIONS / "wave.mp4")
    events = list(invert(load("toybox"), reference, settings))
    shown = [event for event in events if isinstance(event, Preview)]
    last = max(event.step for event in events if isinstance(event, LossPoint))
    assert 8 <= last == shown[-1].step < 30
    motion = events[-1].result
    assert len(motion.info.losses) == last
    told = [follows(see(reference), see(event.clip)) for event in shown]
    assert motion.info.report["follows"] == pytest.approx(told[-1], abs=0.05) and min(told[-2:]) > 0.75
    assert any(f"{motion.info.report['follows']:.2f}" in event.text for event in progress(events))

    # Random weights follow nothing; without previews they are looked at all the same, and none is shown.
    hard = InversionSettings(steps=11, preview_every=0, stop_at=0.99)
    events = list(invert(backbone, clip, hard))
    assert not any(isinstance(event, Preview) for event in events)
    assert len(events[-1].result.info.losses) == 11 and events[-1].result.info.report["follows"] < 0.99
    assert "follows" not in learnt(backbone, clip, QUICK).info.report


def progress(events):
    return [event for event in events if isinstance(event, Progress)]


def test_an_other_clip_is_fitted(backbone):
    motion = learnt(backbone, Clip(torch.rand(9, 3, 40, 50), 24.0), QUICK)
    assert motion.frames == 4


def test_gradients_too_small_for_float16_are_learnt_from(clip):
    grads = []
    for kind in (torch.float32, torch.float16):
        pipe = tiny_pipeline()
        with torch.no_grad():
            pipe.unet.conv_out.weight *= 1e-4  # at full size it is the mean over half a million numbers
        backbone = AnimateDiffBackbone(SPEC, pipe.to(kind))
        learner = module._Learner(backbone, clip, see(clip), QUICK, MotionInfo(), None)
        learner.step()
        grads.append(torch.cat([site.qk.grad.flatten() for site in learner.live.sites.values()]))
    assert float(torch.cosine_similarity(*grads, dim=0)) > 0.99
    assert float(grads[1].norm() / grads[0].norm()) == pytest.approx(1, abs=0.05)


def test_learning_that_goes_astray_says_what_to_turn_down(clip):
    backbone = tiny_backbone()
    bias = backbone.unet.conv_out.bias
    with pytest.raises(SettingsError, match="at step 1: .*learning_rate=0.05"):
        with torch.no_grad():
            bias.fill_(float("nan"))
        learnt(backbone, clip, QUICK)


def test_cancel_and_stop(backbone, clip):
    before, cancel, stop = bare(backbone), threading.Event(), threading.Event()
    with pytest.raises(Cancelled):
        for event in invert(backbone, clip, InversionSettings(steps=50, hybrid=True), cancel=cancel):
            if isinstance(event, LossPoint):
                cancel.set()
    assert torch.equal(bare(backbone), before)
    for event in invert(backbone, clip, InversionSettings(steps=50), stop=stop):
        if isinstance(event, LossPoint) and event.step == 2:
            stop.set()
    assert len(event.result.info.losses) == 2


def test_a_job_that_is_dropped_leaves_the_model_bare(backbone, clip):
    before = bare(backbone)
    job = invert(backbone, clip, InversionSettings(steps=50, hybrid=True))
    for _ in range(4):
        next(job)
    assert torch.equal(bare(backbone), before)
    job.close()
    assert torch.equal(bare(backbone), before)
    assert not any("lora" in name for name in backbone.unet.state_dict())


def test_named_sites(backbone, clip):
    names = list(backbone.sites)[2:4]
    motion = learnt(backbone, clip, InversionSettings(steps=1, preview_every=0, sites=tuple(names)))
    assert list(motion.sites) == names
    with pytest.raises(SettingsError, match="nowhere"):
        learnt(backbone, clip, InversionSettings(sites=("nowhere",)))


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample"])
def test_other_prediction_types(clip, prediction_type):
    motion = learnt(tiny_backbone(prediction_type), clip, QUICK)
    assert len(motion.info.losses) == 3
