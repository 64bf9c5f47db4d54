"""A whole base model of real classes, small enough to run and learn in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLWan,
    AutoencoderTiny,
    DDIMScheduler,
    LattePipeline,
    LatteTransformer3DModel,
    TextToVideoSDPipeline,
    UNet3DConditionModel,
    UNetMotionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.base import Backbone
from motion_studio.backbones.latte import LatteBackbone
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.unet3d import UNet3DBackbone
from motion_studio.backbones.wan import WanBackbone
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.settings import GenerationSettings
from motion_studio.studio.events import Done
from motion_studio.studio.generate import generate

SPEC = BaseSpec(
    name="tiny",
    title="Random weights",
    licence="Apache-2.0",
    frames=4,
    height=32,
    width=32,
    fps=8,
    size_mb=1,
    looks="centre",
    guidance=2.0,
    sample_prompt="a red ball",
    module="none",
    max_frames=16,
)


def tiny_text() -> dict[str, Any]:
    """A text encoder with random weights and a tokenizer of letters."""
    letters = [chr(code) for code in range(97, 123)]
    tokens = [*letters, *[f"{letter}</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    config = CLIPTextConfig(
        vocab_size=len(vocab),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=12,
        bos_token_id=len(vocab) - 2,
        eos_token_id=len(vocab) - 1,
        pad_token_id=len(vocab) - 1,
    )
    return {
        "text_encoder": CLIPTextModel(config),
        "tokenizer": CLIPTokenizer(vocab=vocab, merges=[], model_max_length=12),
    }


def tiny_scheduler(prediction_type: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=prediction_type,
        rescale_betas_zero_snr=prediction_type == "v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )


def tiny_pipeline(prediction_type: str = "v_prediction", seed: int = 0) -> AnimateDiffPipeline:
    torch.manual_seed(seed)
    unet = UNetMotionModel(
        sample_size=8,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "UpBlockMotion"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=16,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        motion_max_seq_length=16,
        norm_num_groups=4,
    )
    return AnimateDiffPipeline(
        vae=AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
        ),
        **tiny_text(),
        unet=unet,
        motion_adapter=None,
        scheduler=tiny_scheduler(prediction_type),
    )


def tiny_backbone(prediction_type: str = "v_prediction", seed: int = 0) -> AnimateDiffBackbone:
    return AnimateDiffBackbone(SPEC, tiny_pipeline(prediction_type, seed))


def random_motion(backbone: Backbone, seed: int, **info: Any) -> Motion:
    """Random embeddings at every site, for `backbone` at its own length and size."""
    generator, frames = torch.Generator().manual_seed(seed), backbone.frames
    sites = {
        site.name: SiteEmbedding(
            torch.randn(frames, site.channels, generator=generator),
            torch.randn(1, site.grid[0] * site.grid[1], 2, generator=generator),
            torch.randn(2, frames, site.channels, generator=generator),
            site.grid,
        )
        for site in backbone.sites.values()
    }
    return Motion(sites, MotionInfo(base=backbone.name, base_hash=backbone.weights_hash, **info))


def tiny_unet3d_pipeline(prediction_type: str = "epsilon", seed: int = 0) -> TextToVideoSDPipeline:
    torch.manual_seed(seed)
    unet = UNet3DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    return TextToVideoSDPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
        ),
        **tiny_text(),
        unet=unet,
        scheduler=tiny_scheduler(prediction_type),
    )


def tiny_unet3d(prediction_type: str = "epsilon", seed: int = 0) -> UNet3DBackbone:
    return UNet3DBackbone(replace(SPEC, name="tiny3d"), tiny_unet3d_pipeline(prediction_type, seed))


def tiny_t5_tokenizer() -> T5Tokenizer:
    letters = [chr(code) for code in range(97, 123)]
    tokens = ["<pad>", "</s>", "<unk>", "▁", *letters]
    return T5Tokenizer(vocab=[(token, -1.0) for token in tokens], extra_ids=0)


def tiny_wan_pipeline(scheduler: Any = None, seed: int = 0) -> WanPipeline:
    torch.manual_seed(seed)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return WanPipeline(
        vae=AutoencoderKLWan(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[2.0, 1.5, 1.0, 0.5],
        ),
        text_encoder=UMT5EncoderModel(UMT5Config(vocab_size=30, **sizes)),
        tokenizer=tiny_t5_tokenizer(),
        transformer=WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=4,
            text_dim=16,
            freq_dim=16,
            ffn_dim=96,
            num_layers=2,
            rope_max_seq_len=32,
        ),
        scheduler=scheduler or UniPCMultistepScheduler(**flow),
    )


def tiny_wan(scheduler: Any = None, seed: int = 0) -> WanBackbone:
    return WanBackbone(replace(SPEC, name="tinywan", frames=9), tiny_wan_pipeline(scheduler, seed))


def tiny_latte_pipeline(prediction_type: str = "epsilon", seed: int = 0) -> LattePipeline:
    torch.manual_seed(seed)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return LattePipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
        ),
        text_encoder=T5EncoderModel(T5Config(vocab_size=30, **sizes)),
        tokenizer=tiny_t5_tokenizer(),
        transformer=LatteTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            cross_attention_dim=16,
            attention_bias=True,
            sample_size=8,
            patch_size=2,
            activation_fn="gelu-approximate",
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            caption_channels=16,
            video_length=4,
        ),
        scheduler=tiny_scheduler(prediction_type),
    )


def tiny_latte(prediction_type: str = "epsilon", seed: int = 0) -> LatteBackbone:
    return LatteBackbone(
        replace(SPEC, name="tinylatte", max_frames=4), tiny_latte_pipeline(prediction_type, seed)
    )


# One of each adapter: what is asked of all of them is in test_every_adapter.py.
TINY: dict[str, Callable[[], Backbone]] = {
    "animatediff": tiny_backbone,
    "unet3d": tiny_unet3d,
    "latte": tiny_latte,
    "wan": tiny_wan,
}


def settings(**changes: Any) -> GenerationSettings:
    """Settings of a few quick steps."""
    return GenerationSettings(**{"prompt": "a red ball", "steps": 3, "guidance": 2.0, **changes})


def made(*args: Any, **kwargs: Any) -> torch.Tensor:
    """The frames that `generate` ends with."""
    *_, last = generate(*args, **kwargs)
    assert isinstance(last, Done)
    return last.result.frames
