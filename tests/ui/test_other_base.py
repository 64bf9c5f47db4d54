"""The page on a user's own base model, over a data folder in which another one's work lies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from motion_studio.studio.studio import Studio
from motion_studio.studio.tracks import Mix, Track
from motion_studio.ui.app import build, launch, shut
from tests.tiny import tiny_pipeline
from tests.ui.acts import PATIENCE, last, tab

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def theirs(studio, tmp_path_factory) -> Iterator[tuple[Studio, str]]:
    """A studio on a folder's base and its address; a clip with a motion of the toybox lies there."""
    folder = tmp_path_factory.mktemp("bases") / "mine"
    tiny_pipeline(seed=5).save_pretrained(folder)
    asked = studio.base.generation("a pink heart", steps=2, guidance=3.0, seed=7)
    for mix in (Mix((Track("wave"),)), Mix((Track("wave"), Track("circle")))):
        job = studio.generate(asked, mix)
        assert job.wait(60) and not job.error
    made = Studio(studio.library.root, base=str(folder))
    made.library.starters = studio.library.starters
    page = build(made)
    _, address, _ = launch(page, made, prevent_thread_lock=True, quiet=True, server_port=None)
    yield made, address
    shut(page, made)


@pytest.fixture
def page(theirs, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(theirs[1])
    page.get_by_text("mine is ready").wait_for()
    yield page
    context.close()


def cards(page: Page):
    page.get_by_role("button", name="Recent renders").click()
    found = page.locator(".cards [data-name]", has_text="a pink heart")
    expect(found.first).to_be_visible()
    return found


def test_a_clip_of_another_base_is_made_anew_with_this_ones_settings(theirs, page):
    expect(page.locator("#generate-motions [data-name]")).to_have_count(1)  # no motion: none is this base's
    cards(page).last.click()
    expect(page.get_by_text("its motions are for that")).to_be_visible()
    expect(page.get_by_label("Prompt").first).to_have_value("a pink heart")
    expect(page.locator("#generate-motions [data-name='']")).to_have_attribute("aria-pressed", "true")
    page.locator("#generate-start").click()
    expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)
    made, spec = last(theirs[0], "generate").result.recipe["settings"], theirs[0].base
    assert (made["guidance"], made["steps"], made["seed"]) == (spec.guidance, spec.steps, 7)
    assert not last(theirs[0], "generate").result.recipe["motions"]


def test_a_mix_of_another_base_lays_no_track_that_cannot_play(page):
    cards(page).nth(-2).click()
    expect(page.get_by_text("its motions are for that")).to_be_visible()
    expect(page.get_by_role("tab", name="Mix")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#mix-timeline .row")).to_have_count(0)
    expect(page.get_by_text("No motion of this base model yet")).to_be_visible()


def test_a_noise_prior_without_a_motion_is_refused_in_a_line(page):
    page.get_by_role("button", name="More settings").last.click()
    page.get_by_label("number input for Noise prior").fill("0.5")
    page.keyboard.press("Tab")
    page.locator("#generate-start").click()
    expect(page.get_by_text("A noise prior is of the motion's reference clip")).to_be_visible()


def test_a_second_file_can_be_dropped(theirs, studio, page):
    path = studio.library.motions()[0].path
    for times in (1, 2):
        page.locator("#restore input[type=file]").set_input_files(path)
        expect(page.get_by_text("the page works with mine")).to_have_count(times)
    tab(page, "Mix")
    expect(page.get_by_text("No motion of this base model yet")).to_be_visible()
