"""Train the built-in model: `python -m motion_studio.toybox.train`. Seeded, resumable, on a CPU or a GPU.

First the autoencoder, then text encoder and denoiser together: v-prediction with zero terminal SNR
(Lin et al., arXiv 2305.08891), most of it at noise levels where looks are decided, text dropped for guidance,
weights averaged. In between the text encoder alone, for which way words go (`words.teach`).
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from dataclasses import fields
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from motion_studio.backbones.pictures import seen
from motion_studio.backbones.toybox_build import (
    at_frames,
    build,
    export,
    plain_attention,
    refill,
    see_time,
)
from motion_studio.toybox.autoencoder import train_autoencoder
from motion_studio.toybox.course import Course, thinned
from motion_studio.toybox.data import TWO, LatentPool, frame_batch
from motion_studio.toybox.objective import Denoiser, explained, loss_of
from motion_studio.toybox.quicker import fastest_precision, replayed
from motion_studio.toybox.sample import vocabulary
from motion_studio.toybox.words import teach

ROOT = Path(__file__).resolve().parents[2]
ON_A_GPU = {
    "batch": 96,
    "fresh": 96,
    "pool": 65536,
    "workers": max(1, (os.cpu_count() or 2) - 2),
    "learning_rate": 8e-4,
}
"""Defaults where there is a GPU: on an H100 a step of 64 clips takes no longer than one of 32, and one core
draws some seventy clips a second."""


def autoencoder(pipe, args: argparse.Namespace, device: torch.device, decoder_only: bool = False) -> None:
    """Load the autoencoder (or its decoder trained once more) of an earlier run, or train it and keep it."""
    name = "decoder" if decoder_only else "autoencoder"
    file = args.work / f"{name}.safetensors"
    # Laid out so, it takes half as long on a processor, and a quarter in float32.
    pipe.vae.to(device, memory_format=torch.channels_last)
    if not file.exists():
        steps = args.decoder_steps if decoder_only else args.autoencoder_steps
        curve = train_autoencoder(pipe.vae, steps, args.seed, device, args.precision, decoder_only)
        save_file({k: v.contiguous() for k, v in pipe.vae.state_dict().items()}, file)
        with (args.work / f"{name}.csv").open("w", newline="") as out:
            csv.writer(out).writerows([("step", "psnr_db"), *curve])
    pipe.vae.load_state_dict(load_file(file))
    pipe.vae.eval().requires_grad_(False)


def unit_spread(pipe, seed: int, device: torch.device) -> None:
    """Set the scale that brings the latents to unit spread, as the noise levels expect."""
    with torch.no_grad():
        frames = torch.cat([frame_batch(seed + k, scenes=16) for k in range(8)]).to(device)
        spread = pipe.vae.encode(seen(pipe.vae, frames) * 2 - 1).latents.std().item()
    pipe.vae.register_to_config(scaling_factor=round(1 / spread, 4))


def train(args: argparse.Namespace) -> None:
    """Train all parts as the arguments say, each from where an earlier run left it; write the pipeline."""
    args.work.mkdir(parents=True, exist_ok=True)
    pipe = build(vocabulary(), args.seed)
    if args.start and not (args.work / "state").exists():
        refill(pipe, args.start)
        for name in ("autoencoder", "decoder"):
            save_file(dict(pipe.vae.state_dict()), args.work / f"{name}.safetensors")
    device = PartialState().device
    torch.backends.cudnn.benchmark = True  # a few fixed sizes, tens of thousands of times
    autoencoder(pipe, args, device)
    if args.start:  # the scale that its denoiser knows
        scale = pipe.vae.load_config(args.start / "vae")["scaling_factor"]
        pipe.vae.register_to_config(scaling_factor=scale)
    else:
        unit_spread(pipe, args.seed, device)
    averaged = denoiser(pipe, args, device)
    autoencoder(pipe, args, device, decoder_only=True)
    _export(pipe, averaged, args.out)


def denoiser(pipe, args: argparse.Namespace, device: torch.device) -> Denoiser:
    """Train text encoder and UNet from the last checkpoint, if any, on; return the averaged weights."""
    plain_attention(pipe.unet)
    model = Denoiser(pipe.text_encoder, pipe.unet).to(device)
    alphas = pipe.scheduler.alphas_cumprod.to(device)
    course = Course(**{field.name: getattr(args, field.name) for field in fields(Course)})
    state, done = args.work / "state", args.work / "done"
    first = int(done.read_text()) if state.exists() else 0
    model.text.requires_grad_(not (args.keep_text or (args.word_steps and course.taught(first))))
    pool = _pool(pipe, args, course, first)
    aside = LatentPool(pipe.vae, pipe.tokenizer, args.aside, args.seed + 1, "drill", args.aside)
    aside.add()
    precision = args.precision or _precision(model, pool.batch(args.batch), alphas)
    accelerator = Accelerator(mixed_precision=precision)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.learning_rate, weight_decay=0.01, betas=(0.9, 0.99), fused=True
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(args.average))
    prepared, optimizer = accelerator.prepare(model, optimizer)
    accelerator.register_for_checkpointing(average)
    if first:
        accelerator.load_state(str(state))
    if device.type == "cuda" and args.keep_text:  # else words would need gradients
        replayed(model.unet, args.batch, 16, precision)
    began, losses = time.time(), []
    for step in tqdm(range(first, args.steps), initial=first, total=args.steps, mininterval=20):
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * course.rate(step)
        stage = course.stage(step)
        if args.word_steps and course.teaches(step):
            teach_words(pipe, args)
        if course.forgets(step):
            if stage.clips == "drill":
                see_time(model.unet)
            optimizer.state.clear()
            average.n_averaged.zero_()
        if step > first and course.begins(step):
            pool = _pool(pipe, args, course, step)
        pool.add()
        generator = torch.Generator(device).manual_seed(args.seed * 7919 + step)
        batch, frames = thinned(pool, args.batch, stage.frames[step % len(stage.frames)], generator)
        with at_frames(model.unet, frames), accelerator.autocast():
            loss = loss_of(prepared, *batch, alphas, generator, stage.drowned)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step > 100:
            average.update_parameters(model)
        losses.append(loss.detach())  # read later: a GPU isn't waited for
        if (step + 1) % 20 == 0:
            row = (step + 1, f"{torch.stack(losses).mean():.5f}", f"{time.time() - began:.0f}")
            _log(args.work / "curve.csv", ("step", "loss", "seconds"), row)
            losses.clear()
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            accelerator.save_state(str(state))
            done.write_text(str(step + 1))
            row = (step + 1, f"{explained(model, aside, alphas):.4f}")
            _log(args.work / "words.csv", ("step", "explained"), row)
            _export(pipe, average.module, args.work / "pipeline")
    return average.module


def _precision(model: Denoiser, batch: tuple[Tensor, ...], alphas: Tensor) -> str:
    generator = torch.Generator(alphas.device)
    return fastest_precision(lambda: loss_of(model, *batch, alphas, generator.manual_seed(0)), model)


def teach_words(pipe, args: argparse.Namespace) -> None:
    """Teach the text encoder which way words go, and say how well; in other steps it would unlearn it."""
    pipe.text_encoder.requires_grad_(True)
    learnt = teach(pipe.text_encoder, pipe.tokenizer, args.word_steps, args.word_captions, args.seed)
    print(f"words of motion: {learnt:.0%} of which way they go is in the text", flush=True)
    pipe.text_encoder.requires_grad_(False)


def _pool(pipe, args: argparse.Namespace, course: Course, step: int) -> LatentPool:
    """Draw the clips that training from `step` on begins with."""
    kind, seed = course.stage(step).clips, args.seed + step
    pool = LatentPool(pipe.vae, pipe.tokenizer, args.pool, seed, kind, args.fresh, args.workers, args.two)
    first = args.start_pool // args.fresh if step < args.steps else 1
    for _ in tqdm(range(max(first, 1)), desc="clips", mininterval=5):
        pool.add()
    return pool


def _log(file: Path, head: tuple[str, ...], row: tuple) -> None:
    new = not file.exists()
    with file.open("a", newline="") as out:
        csv.writer(out).writerows([head, row] if new else [row])


def _export(pipe, averaged: Denoiser, folder: Path) -> None:
    """Write the pipeline with averaged weights."""
    parts = {**pipe.components, "unet": averaged.unet, "text_encoder": averaged.text}
    export(type(pipe)(**parts), str(folder))


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=ROOT / "assets" / "toybox", help="where the pipeline goes"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "toybox", help="checkpoints and curves")
    parser.add_argument("--from", dest="start", type=Path, help="a trained pipeline's folder to begin with")
    parser.add_argument("--steps", type=int, default=6400)
    parser.add_argument(
        "--lessons-until", type=int, default=5000, help="after the drill, steps that stress motions' words"
    )
    parser.add_argument("--drill-at", type=int, default=1000, help="the step before which words are drilled")
    parser.add_argument("--drill-steps", type=int, default=800, help="0 for lessons without a drill")
    parser.add_argument(
        "--turn-steps", type=int, default=800, help="after the drill, steps for words that turn"
    )
    parser.add_argument(
        "--word-steps",
        type=int,
        default=2000,
        help="before the drill, of the text encoder alone; 0: it knows which way words go",
    )
    parser.add_argument("--word-captions", type=int, default=6000, help="which are drawn for it")
    parser.add_argument("--keep-text", action="store_true", help="train the text encoder in no other step")
    parser.add_argument("--aside", type=int, default=64, help="drills kept aside to see what words explain")
    parser.add_argument("--fall", type=float, default=0.5, help="share of steps in which the rate falls")
    parser.add_argument("--thin-until", type=float, default=0.8, help="share of the steps with thinned clips")
    parser.add_argument("--batch", type=int, default=6, help="clips a step")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", choices=("no", "bf16"), help="default: the faster by a short timing")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--autoencoder-steps", type=int, default=2400)
    parser.add_argument("--decoder-steps", type=int, default=1200, help="steps on the decoder alone, last")
    parser.add_argument("--start-pool", type=int, default=1000, help="clips before the first step")
    parser.add_argument("--pool", type=int, default=6000, help="clips kept at most")
    parser.add_argument("--fresh", type=int, default=2, help="new clips a step")
    parser.add_argument("--workers", type=int, default=0, help="processes beside this one that draw clips")
    parser.add_argument("--two", type=float, default=TWO, help="share of clips of any kind with two objects")
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    if torch.cuda.is_available():
        parser.set_defaults(**ON_A_GPU)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
