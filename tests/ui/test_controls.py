"""The page's own controls in a real browser: what the stage draws, keys, and how much of a clip is chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect

from motion_studio.ui import components
from motion_studio.ui.app import STYLE
from tests.ui.acts import settled

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


def test_a_camera_films_the_mix_is_drawn_undone_and_saved(mixer, studio):
    page = mixer("circle")
    way, camera = page.locator("#mix-stage .track.selected .way"), page.locator("#mix-stage .camera .end")
    before = way.get_attribute("d")
    expect(camera).to_have_count(0)
    page.locator("button.label-wrap >> visible=true", has_text="Camera").click()
    roll = page.get_by_label("number input for Roll").locator("visible=true")
    roll.fill("40")
    roll.press("Enter")
    expect(camera.last).to_have_attribute("transform", re.compile(r"rotate\((40|39\.99)"))
    expect(way).not_to_have_attribute("d", before)
    page.get_by_role("button", name="Save as a new motion").click()
    page.locator("#mix-save").get_by_label("Name").fill("Rolled")
    page.locator("#mix-save").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Rolled” is in your library.")).to_be_visible()
    rolled = studio.library.load("rolled").info
    assert rolled.lineage[-1]["operation"]["roll"] == 40 and rolled.camera[-1][3] == pytest.approx(
        0.698, abs=1e-3
    )
    page.get_by_role("button", name="Undo").click()
    expect(way).to_have_attribute("d", before)
    expect(roll).to_have_value("0")
    studio.library.delete("rolled")


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


def test_each_card_that_is_clicked_in_haste_is_laid_and_a_full_desk_says_so(mixer):
    page = mixer()
    cards = [page.locator(f"#mix-shelf [data-name={name}]") for name in ("circle", "wave", "wave")]
    for card in cards + cards:
        card.click()
    expect(page.locator("#mix-timeline .row")).to_have_count(6)
    expect(page.locator("#mix-timeline .row.selected")).to_contain_text("Wave")
    expect(page.locator("#mix-stage .track")).to_have_count(6)
    cards[0].click()
    expect(page.get_by_text("6 tracks are laid; no more fit here.")).to_be_visible()
    expect(page.locator("#mix-timeline .row")).to_have_count(6)


def test_what_is_typed_on_a_knob_is_a_change_by_enter_and_within_its_range(mixer):
    page = mixer("circle")
    speed = page.get_by_label("number input for Speed").locator("visible=true")
    held = "motionStudio.desk.shown(['speed'], [])[0]"
    for typed, heard in (("2.5", 2.5), ("99", 3), ("", 3)):
        speed.fill(typed)
        speed.press("Enter")
        expect(speed).to_have_value(str(heard))
        assert page.evaluate(held) == heard
    for heard in (2.5, 1):  # what changed nothing is nothing to take back
        page.get_by_role("button", name="Undo").click()
        expect(speed).to_have_value(str(heard))


@pytest.fixture
def strip(browser: Browser) -> Iterator[Page]:
    """A page with nothing but the strip of a clip of 20 seconds, of which 2 at most are learnt."""
    with gr.Blocks() as blocks:
        trim = components.trim(longest=2)
        told = gr.JSON(elem_id="told")
        blocks.load(lambda: gr.HTML(film={"seconds": 20}), None, trim)
        trim.input(lambda value: value, trim, told)
    _, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, head=components.head(), css_paths=STYLE, ssr_mode=False
    )
    page = browser.new_page()
    page.goto(url)
    yield page
    page.close()
    blocks.close(verbose=False)


def test_no_more_of_a_clip_is_chosen_than_is_learnt(strip):
    note, window = strip.locator(".trim output"), strip.locator(".trim .window")
    start, end = strip.get_by_role("slider", name="Start"), strip.get_by_role("slider", name="End")
    expect(note).to_have_text("0.00 – 2.00 s (2.0 of 20.0 s are learnt)")
    expect(end).to_have_attribute("aria-valuenow", "2.00")
    expect(end).to_have_attribute("aria-valuemax", "20.00")
    end.press("ArrowRight")
    expect(note).to_have_text("0.05 – 2.05 s (2.0 of 20.0 s are learnt)")
    start.press("ArrowRight")
    expect(note).to_have_text("0.10 – 2.05 s (1.9 of 20.0 s are learnt)")
    for _ in range(2):
        start.press("ArrowLeft")
    expect(note).to_have_text("0.00 – 2.00 s (2.0 of 20.0 s are learnt)")
    strip.locator(".trim .shade").last.click()
    expect(start).to_have_attribute("aria-valuenow", "10.00")
    expect(window).to_be_visible()
    expect(strip.locator("#told")).to_contain_text("12")


def test_control_z_undoes_and_redoes_but_not_while_one_types(mixer):
    page = mixer("circle", "zigzag")
    rows = page.locator("#mix-timeline .row")
    page.get_by_label("Prompt").last.press("Control+z")
    page.wait_for_timeout(1000)
    expect(rows).to_have_count(2)
    page.locator("#mix-timeline input[type=range]").first.press("Control+z")
    expect(rows).to_have_count(1)
    for keys in ("Control+Shift+z", "Control+y"):
        page.locator("#mix-timeline input[type=range]").first.press(keys)
        expect(rows).to_have_count(2)
        page.locator("#mix-timeline input[type=range]").first.press("Control+z")
        expect(rows).to_have_count(1)
    page.get_by_role("button", name="Redo").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Redo").click()
    expect(page.get_by_text("There is nothing to redo.")).to_be_visible()


def test_a_way_is_drawn_by_hand(mixer):
    page = mixer()
    pen, way = page.locator("#mix-stage .pen"), page.locator("#mix-stage .track.selected .way")
    draw, own = pen.get_by_text("Draw its way"), pen.get_by_text("Its own way")
    expect(draw).to_be_hidden()
    page.locator("#mix-shelf [data-name=wave]").click()
    expect(draw).to_be_visible()
    expect(own).to_be_hidden()
    before = way.get_attribute("d")

    draw.click()
    expect(pen).to_contain_text("as fast as it is to go")
    page.keyboard.press("Escape")
    expect(pen).not_to_contain_text("as fast as it is to go", use_inner_text=True)
    draw.click()
    page.locator("#mix-stage").scroll_into_view_if_needed()
    frame = page.locator("#mix-stage .frame").bounding_box()
    at = [
        (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
        for x, y in ((0.2, 0.8), (0.8, 0.2))
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=20)
    expect(page.locator("#mix-stage .ink")).to_have_attribute("d", re.compile("C"))
    page.mouse.up()
    expect(own).to_be_visible()
    expect(pen).not_to_contain_text("as fast as it is to go", use_inner_text=True)
    expect(way).not_to_have_attribute("d", before)
    first = page.locator("#mix-stage .track.selected .first")
    assert float(first.get_attribute("cx")) == pytest.approx(20, abs=2)
    assert float(first.get_attribute("cy")) == pytest.approx(80, abs=2)

    own.click()
    expect(own).to_be_hidden()
    expect(way).to_have_attribute("d", before)
    page.get_by_role("button", name="Undo").click()
    expect(own).to_be_visible()
    assert float(first.get_attribute("cx")) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("part", ["lane", "name"])
def test_a_number_typed_for_a_track_stays_with_it_when_another_is_chosen(mixer, part):
    page = mixer("circle", "zigzag")
    speed = page.locator("#mix-knobs").get_by_label("number input for Speed")
    speed.click()
    settled(page)
    page.keyboard.press("Control+a")
    page.keyboard.type("0.5")
    settled(page)
    page.locator(f"#mix-timeline .{part}").first.click(position={"x": 20, "y": 5})
    rows = page.locator("#mix-timeline .row")
    page.wait_for_timeout(1500)  # for what may answer late
    expect(rows.first).to_have_class(re.compile("selected"))
    expect(speed).to_have_value("1")
    rows.nth(1).locator(".name").click()
    expect(speed).to_have_value("0.5")
