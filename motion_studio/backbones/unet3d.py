"""Adapter over UNet3DConditionModel: ModelScope (arXiv 2308.06571) and what was made from or like it."""

from __future__ import annotations

from diffusers import TextToVideoSDPipeline, UNet3DConditionModel

from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.unet import UNetBackbone, loading


class UNet3DBackbone(UNetBackbone):
    """Any TextToVideoSDPipeline, its parts frozen and in evaluation mode.

    Its sites are `transformer_in` and `temp_attentions`, both attentions of each; frames have no position.
    """


def load(spec: BaseSpec, device: str) -> UNet3DBackbone:
    """The pipeline of `spec`, its UNet from elsewhere if `spec.parts` says so and on `device`.

    Raises OSError when its files cannot be had.
    """
    parts = {}
    if source := spec.parts.get("unet"):
        parts["unet"] = UNet3DConditionModel.from_pretrained(source, **loading(source, device))
    how = loading(spec.repo, device)
    pipe = TextToVideoSDPipeline.from_pretrained(spec.repo, revision=spec.revision, **parts, **how)
    return UNet3DBackbone(spec, pipe, device)
