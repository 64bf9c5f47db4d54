"""Teaches the text encoder which way the words of motions go, before words and picture are bound.

Which way "arcing clockwise from above" sets out is the product of two words, and moves something only
together with the frame's index: a saddle within a saddle, that training on clips did not leave in tens of
thousands of steps; "moving left" alone is one that seven thousand did not leave. The encoder alone learns
such meanings in a minute, as directions of its states that nothing has used yet; what moves where they point
is then left to drills.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from tqdm import tqdm

from motion_studio.toybox.motions import DIRECTIONS, SIDES, Rng
from motion_studio.toybox.sample import HELD_OUT, caption, pick, sample_scene

TURNING = ("arcing", "circling", "spinning")
"""Names of motions that turn."""
GROWING = {"growing": 1.0, "shrinking": -1.0}
"""Names of motions that change the size, and which way."""
MOVES = {"circle": 0.4, "spin": 0.1, "grow": 0.1, "straight": 0.2, "": 0.2}
"""Families of the captions' motions (none: any, and any camera), and their shares."""
STRENGTH = 4.0
"""Length of what is added to a state; states are some 7 long."""
_BATCH, _RATE = 64, 2e-3
_TAIL = 5
"""Tokens at a caption's end that know its motion: its last word, three of the ground, and the end's own."""


def meaning(words: str) -> tuple[float, float, float, float]:
    """Return the way a motion sets out (x, y), turns (clockwise 1) and grows; 0: not in the words."""
    if not words.startswith(TURNING):
        towards = words.partition(" ")[2]
        if towards not in DIRECTIONS:
            return 0.0, 0.0, 0.0, GROWING.get(words, 0.0)
        heading = DIRECTIONS.index(towards) * np.pi / 4
        return float(np.cos(heading)), float(np.sin(heading)), 0.0, 0.0
    way = -1 if "counterclockwise" in words else 1
    for number, side in enumerate(SIDES):
        if words.endswith(side):
            heading = (number + way) * np.pi / 2  # a circle's tangent is a quarter turn on from its radius
            return float(np.cos(heading)), float(np.sin(heading)), float(way), 0.0
    return 0.0, 0.0, float(way), 0.0


def teach(text: nn.Module, tokenizer, steps: int = 2000, captions: int = 6000, seed: int = 0) -> float:
    """Train a CLIPTextModel, in place, to add what `meaning` says along four new axes of its states.

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


def _said(rng: Rng) -> tuple[str, tuple[float, float, float, float]]:
    """Draw a caption, of any motion at times without it, and what it says of its way."""
    move, seed = pick(MOVES, rng), int(rng.integers(HELD_OUT))
    scene = sample_scene(seed, move=move, camera="none") if move else sample_scene(seed)
    named = bool(move) or rng.uniform() < 0.75
    return caption(scene, named), meaning(scene.things[0].words if named else "")


@torch.no_grad()
def _lessons(encoder: nn.Module, tokenizer, captions: int, rng: Rng) -> tuple[Tensor, Tensor]:
    """Return token ids (N, L) of captions, and the states (N, L, C) that `encoder` is to give them."""
    device, width = encoder.device, encoder.config.hidden_size
    axes = torch.from_numpy(np.linalg.qr(rng.normal(size=(width, 4)))[0].T).float().to(device)
    texts, meanings = zip(*(_said(rng) for _ in range(captions)), strict=True)
    tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").to(device)
    states = torch.cat([encoder(ids).last_hidden_state for ids in tokens.input_ids.split(_BATCH)])
    place = torch.arange(states.shape[1], device=device)
    knows = place >= tokens.attention_mask.sum(1, keepdim=True) - _TAIL
    added = STRENGTH * torch.tensor(meanings, device=device) @ axes
    return tokens.input_ids, states + knows[..., None] * added[:, None]
