"""The page's own controls in a real browser: what the stage draws, and keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
PUSH = [[0.0, 0.0, 0.03 * n, 0.0] for n in range(16)]


@pytest.fixture
def mixer(opened, studio):
    """Opens the Mix tab, with previews off, over a library that has a push of the camera and a blank."""
    circle = studio.library.load("circle").replace_info(path=None)
    for title, camera in (("Push", PUSH), ("Blank", None)):
        studio.library.save(circle.replace_info(camera=camera), title)

    def open_mixer(*motions: str) -> Page:
        page = opened()
        page.get_by_role("tab", name="Mix").click()
        page.get_by_label("Preview as I let go").uncheck()
        for number, name in enumerate(motions, 1):
            page.locator(f"#mix-shelf [data-name={name}]").click()
            expect(page.locator("#mix-timeline .row")).to_have_count(number)
        return page

    yield open_mixer
    for name in ("push", "blank"):
        studio.library.delete(name)


def test_the_stage_shows_the_picture_as_the_camera_moves_it(mixer):
    page = mixer("push")
    now = page.locator("#mix-stage .camera .now")

    def scale(phase: float) -> str:
        page.evaluate(f"motionStudio.clock.seek({phase})")
        return now.get_attribute("transform").split("scale")[1]

    expect(now).to_have_count(1)
    assert scale(0) == "(1)" and scale(0.9) > "(1.4"
    page.locator("#mix-knobs").get_by_label("Reverse").check()
    expect(page.locator("#mix-stage .camera .end").last).to_have_attribute(
        "transform", re.compile(r"scale\(0\.6")
    )
    assert scale(0.9) < "(0.7"
    expect(page.locator("#mix-stage .hint")).to_be_hidden()


def test_a_motion_with_nothing_to_draw_says_so(mixer):
    page = mixer("blank")
    expect(page.locator("#mix-stage .hint")).to_have_text("Nothing to draw: preview it.")
    expect(page.locator("#mix-stage .camera")).to_have_count(0)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#mix-stage .hint")).to_have_text("Choose a motion below. Its way is drawn here.")


def test_an_arrow_key_on_a_knob_previews_as_letting_go_of_it_does(mixer, studio):
    page = mixer("circle")
    expect(page.locator("#mix-stage .blend")).to_have_count(1)
    page.get_by_label("Preview as I let go").check()
    before = len(studio.jobs.list())
    page.locator("#mix-knobs input[type=range]").first.press("ArrowRight")
    expect(page.locator("text=Done in >> visible=true")).to_be_visible(timeout=120_000)
    assert len(studio.jobs.list()) == before + 1
