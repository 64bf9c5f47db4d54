"""A studio with starters and a tiny base model in the toybox's place, and its page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, sync_playwright

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.registry import BASES
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.studio.library import save_reference
from motion_studio.studio.motion_file import write_motion
from motion_studio.studio.studio import Studio
from motion_studio.toybox.sample import sample_scene
from motion_studio.toybox.world import render
from motion_studio.ui import shelf
from motion_studio.ui.app import build, launch, shut
from motion_studio.video.files import write_clip
from tests.tiny import tiny_pipeline

STARTERS = {"Circle": "circle", "Zigzag": "zigzag", "Bounce": "bounce", "Wave": "wave"}
CLIPS = ("free", "straight")


def tiny_toybox() -> AnimateDiffBackbone:
    """Random weights under the toybox's name and numbers, at a quarter of its size."""
    return AnimateDiffBackbone(replace(BASES["toybox"], height=32, width=32), tiny_pipeline())


def write_starters(folder: Path, backbone: AnimateDiffBackbone) -> None:
    """Motions with random embeddings, and the true path and clip of a scene of the toybox."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for seed, (title, move) in enumerate(STARTERS.items()):
        scene = sample_scene(seed + 3, backbone.frames, move=move, camera="none")
        sites = {}
        for name, site in backbone.sites.items():
            shapes = {
                "qk": (backbone.frames, site.channels),
                "space": (1, site.grid[0] * site.grid[1], 2),
                "time": (2, backbone.frames, site.channels),
            }
            drawn = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
            sites[name] = SiteEmbedding(**drawn, grid=site.grid)
        info = MotionInfo(
            title=title,
            notes="A test's motion.",
            base=backbone.name,
            base_hash=backbone.weights_hash,
            latent_size=backbone.latent_size,
            path=scene.path().tolist(),
        )
        path = folder / f"{title.lower()}.safetensors"
        save_reference(path, render(scene))
        write_motion(path, Motion(sites, info))


@pytest.fixture(scope="session")
def studio(tmp_path_factory) -> Iterator[Studio]:
    """The studio over a folder of its own, with the shipped clips replaced by two."""
    folder = tmp_path_factory.mktemp("studio")
    backbone = tiny_toybox()
    write_starters(folder / "starters", backbone)
    for seed, name in enumerate(CLIPS):
        write_clip(folder / f"{name}.mp4", render(sample_scene(seed, move=name)))
    made = Studio(folder / "data")
    made.library.starters = folder / "starters"
    made.manager._loaded["toybox"] = backbone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "CLIPS", folder)
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or playwright's own where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def url(studio) -> Iterator[str]:
    """The address of the page."""
    page = build(studio)
    _, address, _ = launch(page, studio, prevent_thread_lock=True, quiet=True, server_port=None)
    yield address
    shut(page, studio)


@pytest.fixture
def faults() -> Iterator[list[str]]:
    """Script errors, and addresses elsewhere that a page asked for; any fails the test."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def opened(browser, url, faults) -> Iterator[Callable[..., Page]]:
    """Opens the page at a size and a colour scheme."""
    contexts = []

    def open_page(width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: faults.append(asked.url) if is_elsewhere(asked.url, url) else None)
        page.goto(url)
        page.get_by_text("Toybox is ready").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def reload(faults) -> Callable[[Page], None]:
    """Reloads a page; what it says on being left is no fault.

    gradio takes down a page's connection before the page is gone: its timers, which still ask, complain.
    """

    def reload_page(page: Page) -> None:
        before = len(faults)
        page.reload(wait_until="commit")
        del faults[before:]
        page.get_by_text("Toybox is ready").wait_for()

    return reload_page


def is_elsewhere(asked: str, home: str) -> bool:
    """Whether an address is not the page's own."""
    return not asked.startswith((home, "data:", "blob:"))
