"""The built-in model's architecture: an AnimateDiff pipeline small enough for a laptop's processor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline, AutoencoderTiny, DDIMScheduler, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

MAX_TOKENS = 32
LATENT_CHANNELS = 8
WIDTHS = (48, 96, 128)
TEXT_WIDTH = 96
_START, _END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(words: list[str]) -> CLIPTokenizer:
    """Return a CLIP tokenizer in which each of `words` is one token and other text falls apart into bytes.

    The merges come from byte-pair encoding (Sennrich et al., arXiv 1508.07909) run until every word is whole.
    """
    alphabet = list(bytes_to_unicode().values())
    vocab = alphabet + [letter + "</w>" for letter in alphabet]
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in sorted(set(words))]
    merges: list[tuple[str, str]] = []
    while any(len(piece) > 1 for piece in pieces):
        pairs = Counter(pair for piece in pieces for pair in zip(piece, piece[1:]))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        vocab.append("".join(best))
        pieces = [_merge(piece, best) for piece in pieces]
    ids = {token: i for i, token in enumerate([*vocab, _START, _END])}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=MAX_TOKENS)


def _merge(piece: list[str], pair: tuple[str, str]) -> list[str]:
    merged, i = [], 0
    while i < len(piece):
        if tuple(piece[i : i + 2]) == pair:
            merged.append("".join(pair))
            i += 2
        else:
            merged.append(piece[i])
            i += 1
    return merged


def build_autoencoder() -> AutoencoderTiny:
    """Return the autoencoder: no normalisation layers (they lose small objects' colours), factor 8.

    Its decoder draws twice as fine as its encoder sees: 128 pixels a side from latents of 64.
    """
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        num_encoder_blocks=(0, 3, 3),
        num_decoder_blocks=(3, 3, 1, 1),
        latent_channels=LATENT_CHANNELS,
        scaling_factor=1.0,
    )


def see_time(unet: UNetMotionModel, sharpness: float = 6.0, strength: float = 0.6, seed: int = 5) -> None:
    """Let one head of the lower temporal layers begin by telling each frame its own place in time.

    A word such as "left" can only act together with the frame's index. With small random weights attention is
    even over frames, so that neither index nor word is of any use alone and no gradient shows the way; with
    the index among the features, it does. `sharpness` is the fall of the logits from a frame to the next,
    `strength` the spread of what the head adds to features of about unit spread.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, block in unet.named_modules():
        if "motion_modules" not in name or not name.endswith("transformer_blocks.0"):
            continue
        if name.startswith(("down_blocks.0", "up_blocks.2")):  # no words reach the first, no need in the last
            continue
        heads, size = block.attn2, block.attn2.to_q.out_features // block.attn2.heads
        table = block.pos_embed.pe[0, :16].float()
        table = table - table.mean(0)
        directions = torch.linalg.svd(table, full_matrices=False)[2][: min(12, size)]
        code = table @ directions.T
        gap = code.diff(dim=0).norm(dim=1).mean() ** 2 / 2
        rank = len(directions)
        look, hand = torch.zeros(size, table.shape[1]), torch.zeros(size, table.shape[1])
        look[:rank] = directions * (sharpness / (gap * heads.scale)) ** 0.5
        hand[:rank] = directions / code.std(0)[:, None].clamp_min(0.3)
        spread = torch.randn(table.shape[1], size, generator=generator) * strength / rank**0.5
        spread[:, rank:] *= 0.1
        with torch.no_grad():
            heads.to_q.weight[:size] = look
            heads.to_k.weight[:size] = look
            heads.to_v.weight[:size] = hand
            heads.to_out[0].weight[:, :size] = spread


def build_unet(text_width: int) -> UNetMotionModel:
    """Return the denoiser; spatial attention only where the picture is 8 × 8 and 4 × 4, for speed."""
    return UNetMotionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion", "UpBlockMotion"),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=text_width,
        num_attention_heads=4,
        motion_num_attention_heads=(2, 4, 4),
        motion_max_seq_length=64,
        norm_num_groups=16,
        use_motion_mid_block=True,
    )


def build(words: list[str], seed: int = 0) -> AnimateDiffPipeline:
    """Return the whole pipeline with random weights drawn from `seed`."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(words)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    return AnimateDiffPipeline(
        vae=build_autoencoder(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=build_unet(TEXT_WIDTH),
        motion_adapter=None,
        scheduler=scheduler,
    )


def refill(pipe: AnimateDiffPipeline, folder: Path) -> None:
    """Give a pipeline that `build` made the weights that `export` wrote; RuntimeError if they do not fit.

    Words that it did not know then keep the random vectors that they have now.
    """
    for part in ("unet", "vae", "text_encoder"):
        (file,) = (folder / part).glob("*.safetensors")
        weights = load_file(file)
        if part == "text_encoder":
            (name,) = (key for key in weights if key.endswith("token_embedding.weight"))
            known = CLIPTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
            weights[name] = _by_word(pipe, known, weights[name])
        getattr(pipe, part).load_state_dict(weights)


def _by_word(pipe: AnimateDiffPipeline, known: dict[str, int], vectors: Tensor) -> Tensor:
    """The pipeline's table of word vectors, with those of the words that are known taken from `vectors`."""
    table = pipe.text_encoder.get_input_embeddings().weight.detach().clone()
    for word, index in pipe.tokenizer.get_vocab().items():
        if word in known:
            table[index] = vectors[known[word]]
    return table


def plain_attention(unet: UNetMotionModel) -> None:
    """Use matrix-product attention everywhere: on sequences this short its backward is faster on a CPU."""
    unet.set_attn_processor(AttnProcessor())


@contextmanager
def at_frames(unet: nn.Module, frames: Tensor) -> Iterator[None]:
    """Let the temporal layers take their input for these frames (k,) of a clip, not for its first k."""
    tables = [m for m in unet.modules() if isinstance(m, SinusoidalPositionalEmbedding)]
    whole = [table.pe for table in tables]
    try:
        for table in tables:
            table.pe = table.pe[:, frames]
        yield
    finally:
        for table, pe in zip(tables, whole, strict=True):
            table.pe = pe


def export(pipe: AnimateDiffPipeline, folder: str) -> None:
    """Write a pipeline as half-precision safetensors that `AnimateDiffPipeline.from_pretrained` loads."""
    parts = {
        **pipe.components,
        **{k: deepcopy(pipe.components[k]).half() for k in ("unet", "vae", "text_encoder")},
    }
    parts["vae"].to(memory_format=torch.contiguous_format)  # as files keep it
    AnimateDiffPipeline(**parts).save_pretrained(folder, safe_serialization=True)
