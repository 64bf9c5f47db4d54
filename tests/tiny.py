"""A whole base model of real classes, small enough to run and learn in milliseconds."""

from __future__ import annotations

import torch
from diffusers import AnimateDiffPipeline, AutoencoderTiny, DDIMScheduler, UNetMotionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.base import BaseSpec

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


def tiny_pipeline(prediction_type: str = "v_prediction", seed: int = 0) -> AnimateDiffPipeline:
    torch.manual_seed(seed)
    letters = [chr(code) for code in range(97, 123)]
    tokens = [*letters, *[f"{letter}</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    text = CLIPTextConfig(
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
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(vocab=vocab, merges=[], model_max_length=12),
        unet=unet,
        motion_adapter=None,
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            prediction_type=prediction_type,
            rescale_betas_zero_snr=prediction_type == "v_prediction",
            timestep_spacing="trailing",
            clip_sample=False,
        ),
    )


def tiny_backbone(prediction_type: str = "v_prediction", seed: int = 0) -> AnimateDiffBackbone:
    return AnimateDiffBackbone(SPEC, tiny_pipeline(prediction_type, seed))
