"""The mixer in a real browser: tracks, knobs, undo, words, renders."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from motion_studio.studio.jobs import Job
from tests.ui.acts import PATIENCE, drag_way, last, lay, settled, tab

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


def test_motions_are_mixed_bent_undone_and_saved(opened, studio):
    page = opened()
    tab(page, "Mix")
    lay(page, "circle", "zigzag")
    way = page.locator("#mix-stage .track.selected .way")
    expect(page.locator("#mix-stage .track")).to_have_count(2)
    before = way.get_attribute("d")
    page.locator("#mix-turn svg").focus()
    page.keyboard.press("PageUp")
    expect(page.locator("#mix-turn output")).to_have_text("90°")
    expect(way).not_to_have_attribute("d", before)
    expect(page.locator("text=Done in >> visible=true")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Undo").click()
    expect(way).to_have_attribute("d", before)
    expect(page.locator("#mix-turn output")).to_have_text("0°")
    drag_way(page, across=40)
    expect(way).not_to_have_attribute("d", before)
    expect(page.locator("#mix-knobs").get_by_label("number input for Down")).to_have_value("0")
    expect(page.locator("#mix-knobs").get_by_label("number input for Across")).not_to_have_value("0")
    together = page.get_by_label("Where tracks differ")
    together.click()
    page.get_by_role("option", name="Tracks meet halfway").click()
    expect(together).to_have_value("Tracks meet halfway")
    page.get_by_role("button", name="Undo").click()
    expect(together).to_have_value("Tracks add up")
    page.get_by_role("button", name="Save as a new motion").click()
    page.locator("#mix-save").get_by_label("Name").fill("Both")
    page.locator("#mix-save").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Both” is in your library.")).to_be_visible()
    assert studio.library.load("both").info.lineage


def test_a_mix_is_begun_with_in_one_click(opened, studio):
    page = opened()
    tab(page, "Mix")
    page.get_by_role("button", name="A mirrored pair").click()
    expect(page.locator("#mix-timeline .row")).to_have_count(2)
    expect(page.locator("#mix-screens").get_by_label("Prompt")).to_have_value("a yellow star on blue dots")
    expect(page.get_by_role("button", name="A mirrored pair")).to_be_hidden()
    expect(page.locator("text=Done in >> visible=true")).to_be_visible(timeout=PATIENCE)
    assert len(last(studio, "preview").result.recipe["mix"]["tracks"]) == 2
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#mix-timeline .row")).to_have_count(0)
    expect(page.get_by_role("button", name="A mirrored pair")).to_be_visible()


def test_a_track_with_words_of_its_own_moves_an_object_of_its_own(opened, reload, studio):
    page = opened()
    tab(page, "Mix")
    lay(page, "circle", "zigzag")
    expect(page.locator("#mix-stage .blend")).to_have_count(1)
    settled(page)
    words = page.get_by_label("What it moves: Zigzag")
    words.fill("a yellow heart on blue dots")
    expect(page.locator("#mix-stage .blend")).to_have_count(2)
    page.get_by_label("What it moves: Circle").click()  # which chooses that track
    expect(page.locator("#mix-timeline .row.selected")).to_contain_text("Circle")
    settled(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#mix-timeline .row")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(words).to_have_value("a yellow heart on blue dots")
    with studio.manager._loaded["toybox"].lock:
        page.locator("#mix-render").click()
        expect(page.locator("#mix-render")).to_be_hidden()
    job = last(studio, "mix")
    assert job.wait(60) and job.state == "done"
    mix = job.result.recipe["mix"]
    assert [track["prompt"] for track in mix["tracks"]] == ["", "a yellow heart on blue dots"]
    page.get_by_role("button", name="Save as a new motion").click()
    page.locator("#mix-save").get_by_label("Name").fill("Both")
    page.locator("#mix-save").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("not one motion")).to_be_visible()
    reload(page)
    tab(page, "Mix")
    expect(page.locator("#mix-stage .blend")).to_have_count(2)
    expect(words).to_have_value("a yellow heart on blue dots")
    words.fill("")
    expect(page.locator("#mix-stage .blend")).to_have_count(1)


def test_undo_takes_back_one_change_though_others_still_settle(opened, studio, monkeypatch):
    generate = studio.generate

    def late(*args, **kwargs) -> Job:
        time.sleep(1.5)
        return generate(*args, **kwargs)

    monkeypatch.setattr(studio, "generate", late)
    page = opened()
    tab(page, "Mix")
    lay(page, "circle", "zigzag")
    expect(page.locator("#mix-stage .track")).to_have_count(2)
    way = page.locator("#mix-stage .track.selected .way")
    before = way.get_attribute("d")
    page.locator("#mix-turn svg").focus()
    page.keyboard.press("PageUp")
    expect(way).not_to_have_attribute("d", before)
    page.get_by_role("button", name="Undo").click()
    expect(way).to_have_attribute("d", before, timeout=PATIENCE)
    expect(page.locator("#mix-stage .track")).to_have_count(2)


def test_a_render_is_ended_by_no_knob_and_comes_back_on_the_mixer(opened, reload, studio):
    page = opened()
    tab(page, "Mix")
    lay(page, "bounce", "wave")
    prompt = page.locator("#mix-screens").get_by_label("Prompt")
    prompt.fill("a cyan heart")
    with studio.manager._loaded["toybox"].lock:  # it waits for its turn on the model meanwhile
        page.locator("#mix-render").click()
        expect(page.locator("#mix-render")).to_be_hidden()
        page.locator("#mix-turn svg").focus()
        page.keyboard.press("PageUp")
        expect(page.locator("#mix-turn output")).to_have_text("90°")
        settled(page)
    job = last(studio, "mix")
    assert job.wait(60) and job.state == "done"
    reload(page)  # the desk is there again
    tab(page, "Mix")
    expect(page.locator("#mix-timeline .row")).to_have_count(2)
    expect(page.locator("#mix-turn output")).to_have_text("90°")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("There is nothing to undo.")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    prompt.fill("something else")
    tab(page, "Generate")
    before = last(studio, "preview")
    page.locator("#restore input[type=file]").set_input_files(job.result.path)
    expect(prompt).to_have_value("a cyan heart", timeout=PATIENCE)
    expect(page.locator("#mix-timeline .row")).to_have_count(2)
    expect(page.locator("#mix-turn output")).to_have_text("0°")
    settled(page)
    assert last(studio, "preview") is before  # none takes the place of what came back
    expect(page.locator("#mix-screens figcaption").last).to_have_text("Render")
    expect(page.locator("#mix-screens").get_by_text("Download the video")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="A mirrored pair").click()
    expect(page.locator("#mix-timeline .row")).to_have_count(2)
    expect(prompt).to_have_value("a cyan heart")  # words of one's own stay
