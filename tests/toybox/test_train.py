"""The built-in model's parts: words, loss, and a training run that goes on where it stopped."""

from __future__ import annotations

import csv
import sys

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
from motion_studio.toybox.sample import caption, sample_scene, vocabulary
from motion_studio.toybox.train import main


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
