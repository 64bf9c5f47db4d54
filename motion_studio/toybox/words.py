"""Teaches the text encoder what words of turning mean together, before words and picture are bound.

Which way "arcing clockwise from above" sets out is the product of two words, and moves something only
together with the frame's index: a saddle within a saddle, that training on clips did not leave in tens of
thousands of steps. The encoder alone learns such products in a minute, as directions of its states that
nothing has used yet; what moves where they point is then left to drills.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from tqdm import tqdm

from motion_studio.toybox.motions import SIDES, Rng
from motion_studio.toybox.sample import HELD_OUT, caption, pick, sample_scene
from motion_studio.toybox.shapes import COLOURS, GROUNDS, PATTERNS, SHAPES

TURNING = {"arcing": 0.3, "circling": 0.3, "spinning": 0.15}
"""Names of motions that turn, and their shares of the captions; all other captions keep their states."""
STILL = (0.0, 0.0, 0.0)
"""What captions say that are not of turning."""
STRENGTH = 4.0
"""Length of what is added to a state; states are some 7 long."""
_BATCH, _RATE = 64, 2e-3
_TAIL = 5
"""Tokens at a caption's end that know its motion: its last word, three of the ground, and the end's own."""


def turning(name: str, rng: Rng) -> tuple[str, tuple[float, float, float]]:
    """Return a caption of a motion called `name`, and what it says: the way it sets out (x, y; 0, 0 where it
    leaves that open) and the way it turns (1 is clockwise)."""
    way, side = int(rng.choice([-1, 1])), int(rng.integers(len(SIDES)))
    pattern, colour = str(rng.choice(PATTERNS)), str(rng.choice(GROUNDS))
    words = f"a {rng.choice(list(COLOURS))} {rng.choice(SHAPES)} {name}"
    words += " clockwise" if way > 0 else " counterclockwise"
    ground = f"on plain {colour}" if pattern == "plain" else f"on {colour} {pattern}"
    if name == "spinning" or rng.uniform() < 0.2:
        return f"{words} {ground}", (0.0, 0.0, float(way))
    heading = (side + way) * np.pi / 2  # a circle's tangent is a quarter turn on from its radius
    return f"{words} {SIDES[side]} {ground}", (float(np.cos(heading)), float(np.sin(heading)), float(way))


def teach(text: nn.Module, tokenizer, steps: int = 2000, captions: int = 6000, seed: int = 0) -> float:
    """Train a CLIPTextModel, in place, to add what `turning` says along three new axes of its states.

    A minute and a half on a processor.

    Returns:
        The share of the added lengths, squared, that captions kept aside show afterwards.
    """
    rng = np.random.default_rng(seed)
    before = deepcopy(text).eval().requires_grad_(False)
    ids, wanted = _lessons(before, tokenizer, captions, rng)
    aside = max(1, captions // 20)
    optimizer = torch.optim.AdamW(text.parameters(), lr=_RATE, weight_decay=0.0)
    for step in tqdm(range(steps), desc="words", mininterval=5):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 50, (steps - step) / (0.5 * steps))
        some = torch.from_numpy(rng.integers(aside, captions, _BATCH)).to(ids.device)
        mse_loss(text(ids[some]).last_hidden_state, wanted[some]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        first, left = (
            mse_loss(encoder(ids[:aside]).last_hidden_state, wanted[:aside]) for encoder in (before, text)
        )
    return 1 - (left / first).item()


def _kept(rng: Rng) -> str:
    """Return a caption that says of no turning, with its motion or without it."""
    while True:
        scene = sample_scene(int(rng.integers(HELD_OUT)))
        if not scene.things[0].words.startswith(tuple(TURNING)):
            return caption(scene, rng.uniform() < 0.75)


@torch.no_grad()
def _lessons(encoder: nn.Module, tokenizer, captions: int, rng: Rng) -> tuple[Tensor, Tensor]:
    """Return token ids (N, L) of captions, and the states (N, L, C) that `encoder` is to give them."""
    device, width = encoder.device, encoder.config.hidden_size
    axes = torch.from_numpy(np.linalg.qr(rng.normal(size=(width, 3)))[0].T).float().to(device)
    shares = {**TURNING, "": 1 - sum(TURNING.values())}
    drawn = [
        turning(name, rng) if (name := pick(shares, rng)) else (_kept(rng), STILL) for _ in range(captions)
    ]
    texts, meanings = zip(*drawn, strict=True)
    tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").to(device)
    states = torch.cat([encoder(ids).last_hidden_state for ids in tokens.input_ids.split(_BATCH)])
    place = torch.arange(states.shape[1], device=device)
    knows = place >= tokens.attention_mask.sum(1, keepdim=True) - _TAIL
    added = STRENGTH * torch.tensor(meanings, device=device) @ axes
    return tokens.input_ids, states + knows[..., None] * added[:, None]
