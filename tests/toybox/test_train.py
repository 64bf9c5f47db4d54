"""The built-in model's parts: words, loss, and a training run that goes on where it stopped."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import AnimateDiffPipeline
from safetensors.torch import load_file

from motion_studio.backbones.toybox_build import (
    TEXT_WIDTH,
    at_frames,
    build,
    build_tokenizer,
    build_unet,
    export,
    refill,
    see_time,
)
from motion_studio.toybox.course import Course
from motion_studio.toybox.data import LatentPool
from motion_studio.toybox.objective import OBJECT_WEIGHT, explained, loss_of
from motion_studio.toybox.sample import caption, sample_scene, vocabulary
from motion_studio.toybox.train import main

COURSE = Course(
    steps=100, drill_at=20, drill_steps=10, turn_steps=10, lessons_until=50, thin_until=0.8, fall=0.5
)


@pytest.fixture(scope="module")
def pipe():
    return build(vocabulary(), seed=1)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """Each run chooses its precision, which accelerate keeps for the whole process."""
    yield
    AcceleratorState._reset_state()


def test_every_word_of_a_caption_is_one_token():
    tokenizer = build_tokenizer(vocabulary())
    for seed in range(60):
        text = caption(sample_scene(seed))
        assert len(tokenizer.tokenize(text)) == len(text.replace(",", " ,").split()), text


def test_other_words_fall_apart_and_do_not_crash(pipe):
    ids = pipe.tokenizer("a zebra überquert 道 🙂", return_tensors="pt").input_ids
    assert ids.max() < pipe.text_encoder.config.vocab_size
    assert torch.isfinite(pipe.text_encoder(ids).last_hidden_state).all()


def test_a_pipeline_that_knew_fewer_words_hands_on_those_it_knew(tmp_path, pipe):
    old = build([word for word in vocabulary() if word != "above"], seed=2)
    export(old, str(tmp_path))
    new = build(vocabulary(), seed=3)
    fresh = new.text_encoder.get_input_embeddings().weight.detach().clone()
    refill(new, tmp_path)
    before, after = (p.text_encoder.get_input_embeddings().weight for p in (old, new))
    ids = {word: (old.tokenizer.get_vocab()[f"{word}</w>"], new.tokenizer.get_vocab()[f"{word}</w>"])
           for word in ("circling", "red", "below")}  # fmt: skip
    for was, now in ids.values():
        assert torch.equal(before[was].half().float(), after[now])
    above = new.tokenizer.get_vocab()["above</w>"]
    assert torch.equal(after[above], fresh[above])
    text = "a red star circling clockwise from below"
    read = [p.text_encoder(**p.tokenizer(text, return_tensors="pt")).last_hidden_state for p in (old, new)]
    torch.testing.assert_close(*read, rtol=0, atol=0.02)


def test_a_plain_pipeline_makes_a_clip(pipe):
    made = pipe(
        "a red star", num_frames=4, height=64, width=64, num_inference_steps=2, output_type="pt"
    ).frames
    assert made.shape == (1, 4, 3, 64, 64)


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


def test_thinned_clips_stand_at_their_own_times(pipe):
    noisy = torch.randn(1, pipe.unet.config.in_channels, 4, 16, 16)
    words = torch.randn(4, 3, pipe.unet.config.cross_attention_dim)

    @torch.no_grad()
    def made() -> torch.Tensor:
        return pipe.unet(noisy, 500, encoder_hidden_states=words).sample

    bare = made()
    with at_frames(pipe.unet, torch.arange(4)):
        assert torch.equal(made(), bare)
    with at_frames(pipe.unet, torch.tensor([1, 5, 8, 15])):
        assert not torch.allclose(made(), bare)
    with pytest.raises(KeyError), at_frames(pipe.unet, torch.tensor([1, 5, 8, 15])):
        raise KeyError
    assert torch.equal(made(), bare)


def test_the_rate_rises_and_falls():
    plain = replace(COURSE, steps=1000, drill_at=2000, fall=0.3)
    assert plain.rate(0) == 0.02 and plain.rate(400) == 1
    assert plain.rate(999) == pytest.approx(1 / 300)
    assert replace(plain, fall=0.1).rate(850) == 1
    fresh = replace(plain, drill_at=500, drill_steps=100)
    assert fresh.rate(499) == 1 and fresh.rate(500) == 0.02 == fresh.rate(600) < fresh.rate(601)


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


def test_a_new_model_can_tell_frames_apart_where_words_are_read():
    def spread(unet) -> float:
        held = {}
        block = unet.mid_block.motion_modules[0].transformer_blocks[0]
        hook = block.attn2.register_forward_hook(lambda _, __, out: held.update(out=out))
        with torch.no_grad():
            same = torch.randn(1, 8, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(
                -1, -1, 8, -1, -1
            )
            unet(same, 999, encoder_hidden_states=torch.zeros(8, 3, TEXT_WIDTH))
        hook.remove()
        return held["out"].std(1).mean().item()

    torch.manual_seed(0)
    unet = build_unet(TEXT_WIDTH).eval()
    before = spread(unet)
    see_time(unet)
    assert spread(unet) > 4 * before


def test_words_are_drilled_then_taught_then_left_among_the_rest():
    stages = {step: COURSE.stage(step) for step in (0, 19, 20, 25, 30, 39, 40, 49, 50, 80)}
    assert [stage.clips for stage in stages.values()] == ["any"] * 2 + ["drill"] * 2 + ["turns"] * 2 + [
        "lessons"
    ] * 2 + ["any"] * 2
    assert [stages[step].drowned for step in (0, 20, 25, 30, 40, 50)] == [0, 1, 0.5, 0.7, 0.3, 0.2]
    assert set(stages[20].frames) == {2, 4} and 16 in stages[50].frames and stages[80].frames == (16,)
    steps = range(100)
    assert [step for step in steps if COURSE.begins(step)] == [20, 30, 40, 50]
    assert [step for step in steps if COURSE.forgets(step)] == [20, 30]
    assert [step for step in steps if COURSE.teaches(step)] == [20]
    assert [step for step in steps if COURSE.taught(step)] == list(range(21, 100))
    undrilled = replace(COURSE, drill_steps=0)
    assert [step for step in steps if undrilled.teaches(step)] == [20]
    untaught = replace(undrilled, turn_steps=0)
    assert not any(untaught.teaches(step) or untaught.taught(step) for step in steps)


def test_training_goes_on_where_it_stopped(tmp_path, monkeypatch):
    def run(steps: int, *more: str) -> None:
        few = [
            "--autoencoder-steps",
            "2",
            "--decoder-steps",
            "2",
            "--batch",
            "2",
            "--thin-until",
            "0.5",
            "--drill-at",
            "2",
            "--drill-steps",
            "1",
            "--turn-steps",
            "1",
            "--word-steps",
            "2",
            "--word-captions",
            "20",
            "--lessons-until",
            "4",
            "--aside",
            "2",
            "--start-pool",
            "16",
            "--fresh",
            "1",
            "--save-every",
            "2",
            "--precision",
            "no",
        ]
        places = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
        monkeypatch.setattr(sys, "argv", ["train", "--steps", str(steps), *few, *places, *more])
        main()
        AcceleratorState._reset_state()

    run(2)
    assert (tmp_path / "work" / "done").read_text() == "2"
    run(4)
    assert (tmp_path / "work" / "done").read_text() == "4"
    words = (tmp_path / "work" / "words.csv").read_text().splitlines()
    assert words[0] == "step,explained" and len(words) == 3
    assert (tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors").exists()
    assert not list((tmp_path / "out").rglob("*.bin"))
    with (tmp_path / "work" / "autoencoder.csv").open() as file:
        assert next(csv.reader(file)) == ["step", "psnr_db"]

    state = tmp_path / "work" / "state" / "model.safetensors"
    before = load_file(state)
    run(5, "--learning-rate", "0")  # a step that leaves the weights as it finds them
    assert (tmp_path / "work" / "done").read_text() == "5"
    after = load_file(state)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)

    run(6)
    after = load_file(state)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved and not any(name.startswith("text.") for name in moved)  # once taught, it unlearns nothing


def test_training_goes_on_from_another_folder(tmp_path, pipe, monkeypatch):
    scale = pipe.vae.config.scaling_factor
    pipe.vae.register_to_config(scaling_factor=1.25)
    export(pipe, str(tmp_path / "from"))
    pipe.vae.register_to_config(scaling_factor=scale)
    places = [
        "--from",
        str(tmp_path / "from"),
        "--out",
        str(tmp_path / "out"),
        "--work",
        str(tmp_path / "work"),
    ]
    few = [
        "--steps",
        "1",
        "--drill-at",
        "0",
        "--drill-steps",
        "0",
        "--word-steps",
        "0",
        "--batch",
        "2",
        "--start-pool",
        "8",
        "--aside",
        "1",
        "--fresh",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", ["train", *places, *few, "--learning-rate", "0", "--precision", "no"])
    main()
    again = AnimateDiffPipeline.from_pretrained(tmp_path / "out")
    assert again.vae.config.scaling_factor == 1.25  # the one that the denoiser knows
    for part in ("vae", "unet", "text_encoder"):
        ours, theirs = (getattr(p, part).float().state_dict() for p in (pipe, again))
        assert all(torch.allclose(ours[k], theirs[k], atol=2e-3) for k in ours)
    texts = [file.read_text() for file in (tmp_path / "out").rglob("*.json")]
    assert texts and not any(str(tmp_path) in text for text in texts)
