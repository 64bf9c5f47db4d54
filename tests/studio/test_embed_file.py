"""Files of Motion Inversion's authors come in as motions, and nothing in them is run."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from motion_studio.errors import MotionFileError
from motion_studio.studio.embed_file import KEY, read_embed_file
from tests.tiny import tiny_unet3d

GRIDS = {(4, 6), (2, 3)}
BLOCKS = {"down_blocks.2.temp_attentions.1": (2, 3), "up_blocks.1.temp_attentions.0": (4, 6)}
CHANNELS, ROWS, FRAMES = 8, 32, 24


def parameters(rank: int = 2, prefix: str = "") -> dict[str, torch.nn.Parameter]:
    """A file's dict with values of that rank; the rows past the learnt ones hold rubbish."""
    draw = torch.Generator().manual_seed(0)
    found = OrderedDict()
    for block, (height, width) in BLOCKS.items():
        name = f"{prefix}{block}.transformer_blocks.0"
        found[f"{name}.pos_embed"] = torch.randn(1, ROWS, CHANNELS, generator=draw)
        for layer in ("attn1", "attn2"):
            space = torch.randn(height * width, rank, generator=draw)
            time = torch.randn(rank, ROWS, CHANNELS, generator=draw)
            v = torch.einsum("pr,rnc->pnc", space, time)
            v[:, FRAMES:] = 1e6
            found[f"{name}.{layer}.vSpatial"] = v
    return OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in found.items())


def read(path: Path, rank: int = 2):
    return read_embed_file(path, GRIDS, FRAMES, rank, "zeroscope")


@pytest.mark.parametrize("prefix", ["", "unet.", "module.unet."])
def test_every_parameter_arrives_at_its_site(tmp_path, prefix):
    torch.save(parameters(prefix=prefix), tmp_path / "motion_embed.pt")
    motion, kept, moving = read(tmp_path / "motion_embed.pt")
    assert motion.frames == FRAMES and motion.info.base == "zeroscope" and motion.info.base_hash == ""
    assert kept == pytest.approx(1, abs=1e-5) and moving == pytest.approx(1, abs=1e-5)
    given = parameters()
    assert len(motion.sites) == 4
    for name, site in motion.sites.items():
        block, layer = name.rsplit(".", 1)
        assert torch.equal(site.qk, given[f"{block}.pos_embed"][0, :FRAMES].detach())
        assert site.grid == BLOCKS[block.removesuffix(".transformer_blocks.0")]
        torch.testing.assert_close(
            site.v(), given[f"{name}.vSpatial"][:, :FRAMES].detach(), atol=1e-4, rtol=1e-4
        )


def test_a_lower_rank_is_the_nearest_and_says_what_it_kept(tmp_path):
    torch.save(parameters(rank=5), tmp_path / "m.pt")
    shares = []
    for rank in (1, 2, 3, 4, 5):
        motion, kept, _ = read(tmp_path / "m.pt", rank)
        name, site = next(iter(motion.sites.items()))
        v = parameters(rank=5)[f"{name}.vSpatial"][:, :FRAMES].detach()
        _, sizes, _ = torch.linalg.svd(v.flatten(1))
        error = (site.v() - v).square().sum() / v.square().sum()
        best = sizes[rank:].square().sum() / sizes.square().sum()
        assert error.item() == pytest.approx(best.item(), abs=1e-5)
        shares.append(kept)
    assert shares == sorted(shares) and shares[0] < 0.9 and shares[-1] > 0.9999


def test_names_are_those_of_the_adapter():
    sites = tiny_unet3d().sites
    assert all(KEY.fullmatch(f"unet.{name}.vSpatial") for name in sites)
    assert {KEY.fullmatch(f"{name}.vSpatial")["block"] for name in sites} == {
        name.rsplit(".", 1)[0] for name in sites
    }


class Harmful:
    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def _without(part: str) -> dict:
    return {key: tensor for key, tensor in parameters().items() if part not in key}


def _changed(part: str, change) -> dict:
    return {key: change(t.detach()) if part in key else t.detach() for key, t in parameters().items()}


BAD = {
    "a list": ([torch.zeros(2)], "a dict of plain tensors"),
    "empty": ({}, "a dict of plain tensors"),
    "numbers": ({"a": 1.0}, "a dict of plain tensors"),
    "another model": ({"weight": torch.zeros(2, 2)}, "'weight', which no"),
    "a module": (torch.nn.Linear(2, 2), "could run code"),
    "no qk": (_without("pos_embed"), "pos_embed is missing"),
    "half the v": (_without("attn2"), "attn2.vSpatial is missing"),
    "few rows": (_changed("", lambda t: t[:, :10]), "has 10 frames, 24"),
    "flat": (_changed("vSpatial", lambda t: t[0]), "of shape"),
    "whole numbers": (_changed("pos_embed", lambda t: t.long()), "int64"),
    "other places": (_changed("vSpatial", lambda t: t[:5]), "has 5 places"),
    "other channels": (_changed("vSpatial", lambda t: t[..., :4]), "of 4 channels"),
    "not a number": (_changed("attn1", lambda t: t * float("nan")), "no numbers up to"),
    "absurdly large": (_changed("attn1", lambda t: t + 1e30), "no numbers up to"),
    "sparse": (_changed("attn1", lambda t: t.detach().to_sparse()), "plain tensors"),
    "without content": (_changed("attn1", lambda t: t.detach().to("meta")), "plain tensors"),
    "one number, said to be many": (
        _changed("attn1", lambda t: torch.zeros(1).expand(10**7, 32, 1280)),
        "plain tensors",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_refused(tmp_path, kind):
    contents, words = BAD[kind]
    torch.save(contents, tmp_path / "m.pt")
    with pytest.raises(MotionFileError, match=words) as refused:
        read(tmp_path / "m.pt")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_not_run(tmp_path, legacy):
    trace = tmp_path / "trace"
    contents = {**parameters(), "x": Harmful(str(trace))}
    torch.save(contents, tmp_path / "m.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(MotionFileError, match="zip format" if legacy else "could run code"):
        read(tmp_path / "m.pt")
    assert not trace.exists()


def test_broken_files(tmp_path):
    with pytest.raises(MotionFileError, match="no file"):
        read(tmp_path / "none.pt")
    with pytest.raises(MotionFileError, match="no file"):
        read(tmp_path)
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(MotionFileError, match="zip format"):
        read(tmp_path / "text.pt")
    torch.save(parameters(), tmp_path / "m.pt")
    data = (tmp_path / "m.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(MotionFileError, match="zip format"):
        read(tmp_path / "cut.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(MotionFileError, match="damaged"):
        read(tmp_path / "other.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10_000_000)
    with pytest.raises(MotionFileError, match="not compressed"):
        read(tmp_path / "bomb.pt")
