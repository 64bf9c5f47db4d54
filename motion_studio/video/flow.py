"""Dense optical flow from one frame to the next."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from motion_studio.errors import ClipError
from motion_studio.video.clip import Clip

_SIDE = 256


def flow(clip: Clip) -> Tensor:
    """How far each pixel of a frame has moved in the next one, (F-1, 2, H, W) in pixels, x right and y down.

    DIS flow (Kroeger et al., arXiv 1603.03590) on pictures enlarged to about 256 pixels: its patches of 8
    pixels are too coarse for small ones. Raises ClipError for fewer than 2 frames.
    """
    if clip.num_frames < 2:
        raise ClipError(f"{clip.num_frames} frame: flow needs at least 2")
    scale = max(1, round(_SIDE / max(clip.height, clip.width)))
    size = (clip.width * scale, clip.height * scale)
    pictures = [cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC) for grey in _contrast(clip)]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fields = []
    for first, second in zip(pictures[:-1], pictures[1:], strict=True):
        field = search.calc(first, second, None)
        fields.append(cv2.resize(field, (clip.width, clip.height), interpolation=cv2.INTER_AREA) / scale)
    return torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2).contiguous()


def _contrast(clip: Clip) -> np.ndarray:
    """Grey pictures (F, H, W) uint8 along the direction in which the clip's colours differ most.

    Brightness alone would not see a red thing on an equally bright green ground.
    """
    colours = clip.frames.permute(0, 2, 3, 1).cpu().numpy()
    flat = colours.reshape(-1, 3)
    offset = flat - flat.mean(0)
    _, axes = np.linalg.eigh(offset.T @ offset)
    along = (offset @ axes[:, -1]).reshape(colours.shape[:3])
    low, high = np.quantile(along, (0.002, 0.998))
    # A plain ground must not have its noise blown up to full contrast.
    return np.clip((along - low) / max(high - low, 0.25) * 255, 0, 255).astype(np.uint8)
