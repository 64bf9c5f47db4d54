"""The sites of the real models, read off their configurations at full size: no weights, the meta device."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from diffusers import UNet3DConditionModel, UNetMotionModel

from motion_studio.backbones.registry import BASES
from motion_studio.backbones.sites import find_sites, late_sites
from motion_studio.motion.arithmetic import blend
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.settings import preset, preset_names
from motion_studio.studio.motion_file import read_motion, write_motion

WIDTHS = (320, 640, 1280, 1280)


def motion_unet(mid_block: bool) -> UNetMotionModel:
    """Stable Diffusion 1.5's UNet with an adapter's motion modules."""
    return UNetMotionModel(
        block_out_channels=WIDTHS,
        layers_per_block=2,
        cross_attention_dim=768,
        num_attention_heads=8,
        motion_num_attention_heads=8,
        motion_max_seq_length=32,
        use_motion_mid_block=mid_block,
    )


def unet3d() -> UNet3DConditionModel:
    return UNet3DConditionModel(
        block_out_channels=WIDTHS, layers_per_block=2, cross_attention_dim=1024, attention_head_dim=64
    )


# Level by level, in the order of a forward pass: sites, their channels, and the places of each.
ANIMATEDIFF = {
    "down_blocks.0": (4, 320, 64 * 64),
    "down_blocks.1": (4, 640, 32 * 32),
    "down_blocks.2": (4, 1280, 16 * 16),
    "down_blocks.3": (4, 1280, 8 * 8),
    "up_blocks.0": (6, 1280, 8 * 8),
    "up_blocks.1": (6, 1280, 16 * 16),
    "up_blocks.2": (6, 640, 32 * 32),
    "up_blocks.3": (6, 320, 64 * 64),
}
ANIMATELCM = {**ANIMATEDIFF, "mid_block": (2, 1280, 8 * 8)}


def unet3d_table(height: int, width: int) -> dict[str, tuple[int, int, int]]:
    # No attention at the narrowest level but in the middle; eight heads of 64 channels at the entrance.
    return {
        "transformer_in": (2, 512, height * width),
        "down_blocks.0": (4, 320, height * width),
        "down_blocks.1": (4, 640, height * width // 4),
        "down_blocks.2": (4, 1280, height * width // 16),
        "mid_block": (2, 1280, height * width // 64),
        "up_blocks.1": (6, 1280, height * width // 16),
        "up_blocks.2": (6, 640, height * width // 4),
        "up_blocks.3": (6, 320, height * width),
    }


@pytest.mark.parametrize(
    ("name", "build", "table", "total"),
    [
        ("animatediff", lambda: motion_unet(mid_block=False), ANIMATEDIFF, 40),
        ("animatelcm", lambda: motion_unet(mid_block=True), ANIMATELCM, 42),
        ("zeroscope", unet3d, unet3d_table(40, 72), 34),
        ("modelscope", unet3d, unet3d_table(32, 32), 34),
        ("videocrafter2", unet3d, unet3d_table(40, 64), 34),
    ],
)
def test_the_table_of_sites(name, build, table, total):
    spec = BASES[name]
    with torch.device("meta"), torch.no_grad():
        unet = build()
        latents = torch.zeros(1, 4, 2, spec.height // 8, spec.width // 8)
        rows = 2 if isinstance(unet, UNetMotionModel) else 1
        text = torch.zeros(rows, 77, unet.config.cross_attention_dim)
        sites = find_sites(unet, lambda: unet(latents, torch.zeros((), dtype=torch.long), text))
    levels = Counter()
    for site in sites.values():
        level = site.name.partition(".")[0]
        if level.endswith("_blocks"):
            level = ".".join(site.name.split(".")[:2])
        levels[level, site.channels, site.grid[0] * site.grid[1]] += 1
    assert levels == {(level, *rest): count for level, (count, *rest) in table.items()}
    assert len(sites) == total
    assert all(part.device.type == "meta" for part in unet.parameters())


# Sites by (channels, places); a transformer's are all alike.
WHOLE = {
    "animatediff": ANIMATEDIFF,
    "animatelcm": ANIMATELCM,
    "zeroscope": unet3d_table(40, 72),
    "modelscope": unet3d_table(32, 32),
    "videocrafter2": unet3d_table(40, 64),
    "latte": {"temporal_transformer_blocks": (28, 1152, 32 * 32)},
    "wan": {"blocks": (30, 1536, 30 * 52)},
}


@pytest.mark.parametrize("name", list(WHOLE))
def test_a_motion_of_full_size_is_kept_as_it_was_learnt(name, tmp_path):
    rows = {
        f"{level}.{number}": (channels, places)
        for level, (count, channels, places) in WHOLE[name].items()
        for number in range(count)
    }
    frames, path = 21 if name == "wan" else BASES[name].frames, tmp_path / "a.safetensors"
    for settings in map(preset, preset_names()):
        chosen = late_sites(rows) if settings.sites == "late" else list(rows)
        motion = full_size(rows, chosen, frames, settings.rank)
        assert write_motion(path, motion).rank == settings.rank
        back = read_motion(path)
        assert list(back.sites) == sorted(chosen)
        assert path.stat().st_size < 6 << 20
        mixed = blend([(motion, 1.0), (back, -0.5)])
        assert write_motion(path, mixed).rank == 2 * settings.rank


def full_size(rows: dict[str, tuple[int, int]], chosen: list[str], frames: int, rank: int) -> Motion:
    generator, sites = torch.Generator().manual_seed(0), {}
    for name in chosen:
        channels, places = rows[name]
        shapes = (frames, channels), (1, places, rank), (rank, frames, channels)
        parts = (torch.randn(*shape, generator=generator) for shape in shapes)
        sites[name] = SiteEmbedding(*parts, (1, places))
    return Motion(sites)
