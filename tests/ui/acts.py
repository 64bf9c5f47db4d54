"""What tests of the page do on it again and again."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from motion_studio.studio.jobs import Job

PATIENCE = 120_000  # milliseconds; a busy machine is slow


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def lay(page: Page, *motions: str) -> None:
    """Lay motions on tracks of the mixer, one after another."""
    for name in motions:
        page.locator(f"#mix-shelf [data-name={name}]").click()
        expect(page.locator("#mix-timeline .row.selected")).to_contain_text(name.capitalize())


def drag_way(page: Page, across: int) -> None:
    """Drag the chosen track's way on the stage by so many pixels."""
    page.locator("#mix-stage").scroll_into_view_if_needed()
    start = page.locator("#mix-stage .track.selected .first").bounding_box()
    page.mouse.move(start["x"] + 3, start["y"] + 3)
    page.mouse.down()
    page.mouse.move(start["x"] + 3 + across, start["y"] + 3, steps=3)
    page.mouse.up()


def last(studio, kind: str) -> Job:
    return next(job for job in studio.jobs.list() if job.kind == kind)


def settled(page: Page) -> None:
    """Wait until the browser has kept the mixer's last change."""
    before = None
    while (now := page.evaluate("localStorage['motion-studio-mix-toybox']")) != before:
        before = now
        page.wait_for_timeout(2000)


def learn_long(page: Page) -> None:
    """Begin to learn for so many steps that it lasts longer than what is tried meanwhile."""
    page.get_by_role("button", name="More settings").first.click()
    page.get_by_label("number input for Steps").first.fill("300")
    page.keyboard.press("Tab")
    page.locator("#invert-learn").click()
