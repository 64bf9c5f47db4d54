"""The page in a real browser: the first video, learning a motion, narrow windows, clear errors."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect

from motion_studio.studio.motion_file import write_motion
from motion_studio.ui import invert_tab, shelf
from tests.ui.acts import PATIENCE, last, learn_long, tab

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


def test_the_first_video_is_two_clicks_away(opened, studio):
    page = opened()
    page.locator("#generate-motions [data-name=zigzag]").click()
    page.locator("#generate-start").click()
    expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Download the video")).to_be_visible()
    made = last(studio, "generate").result
    assert made.path.is_file() and list(made.recipe["motions"]) == ["zigzag"]
    assert page.locator("#generate-player .screen:not(.blank) canvas").count() == 2


def test_several_values_are_made_side_by_side(opened, studio):
    page = opened()
    page.locator("#generate-motions [data-name=zigzag]").click()
    page.get_by_role("button", name="Try several values").click()
    values = page.get_by_label("Values")
    # Gradio fills it as it unfolds, over what was typed sooner.
    expect(values).to_have_value("0, 0.5, 1, 1.5")
    values.fill("0.5, 99")
    expect(values).to_have_value("0.5, 99")
    page.locator("#sweep-start").click()
    expect(page.get_by_text("allowed is -10")).to_be_visible()
    values.fill("0, 0.5, 1, 1.5")
    page.locator("#sweep-start").click()
    expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)
    assert page.locator("#generate-player .screen:not(.blank) canvas").count() == 5
    assert page.locator("#generate-player figcaption").all_text_contents()[1:3] == [
        "strength 0",
        "strength 0.5",
    ]
    expect(page.get_by_role("button", name="As a picture")).to_be_visible()
    made = last(studio, "sweep").result
    assert made.path.is_file() and len({render.path for render in made.renders}) == 4
    page.locator("#generate-motions [data-name=wave]").click()  # what was made before is put away
    expect(page.get_by_role("button", name="As a picture")).to_be_hidden()
    assert page.locator("#generate-player canvas").count() == 2


def test_a_clip_is_kept_beside_the_next(opened, studio):
    page = opened()
    player = page.locator("#generate-player")
    expect(player.get_by_role("button", name="Keep")).to_be_hidden()  # nothing is made yet
    for motion in ("zigzag", "wave"):
        page.locator(f"#generate-motions [data-name={motion}]").click()
        page.locator("#generate-start").click()
        expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)
        if motion == "zigzag":
            player.get_by_role("button", name="Keep").click()
            expect(player.locator("figure")).to_have_count(2)  # it stands there once
    expect(player.locator("figcaption")).to_have_text(["Reference", "Before", "Result"])
    shown = player.locator("canvas").evaluate_all("all => all.map((one) => one.toDataURL())")
    assert len(set(shown)) == 3
    player.get_by_role("button", name="Let go").click()
    expect(player.locator("figcaption")).to_have_text(["Reference", "Result"])


def test_a_render_brings_its_settings_back(opened, studio):
    page = opened()
    prompt = page.get_by_label("Prompt").first
    prompt.fill("a red square")
    page.locator("#generate-motions [data-name=wave]").click()
    page.locator("#generate-start").click()
    expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)
    prompt.fill("something else")
    page.locator("#generate-motions [data-name=circle]").click()
    page.locator("#restore input[type=file]").set_input_files(last(studio, "generate").result.path)
    expect(prompt).to_have_value("a red square", timeout=PATIENCE)
    expect(page.locator("#generate-motions [data-name=wave]")).to_have_attribute("aria-pressed", "true")


def test_enter_starts_no_second_clip_beside_the_first(opened, studio):
    page = opened()
    prompt = page.get_by_label("Prompt").first
    expect(page.locator("#generate-start")).to_be_visible()
    with studio.manager._loaded["toybox"].lock:  # it waits for its turn on the model meanwhile
        prompt.press("Enter")
        expect(page.locator("#generate-start")).to_be_hidden()
        before = last(studio, "generate")
        prompt.press("Enter")
        expect(page.get_by_text("A clip is being made here already")).to_be_visible()
        assert last(studio, "generate") is before
    expect(page.get_by_text("Done in")).to_be_visible(timeout=PATIENCE)


def test_an_empty_prompt_is_refused_in_a_line(opened):
    page = opened()
    page.get_by_label("Prompt").first.fill(" ")
    page.locator("#generate-start").click()
    expect(page.get_by_text("Please say what the video should show.")).to_be_visible()


def test_a_motion_is_learnt_stopped_saved_and_played(opened, reload, studio):
    page = opened()
    tab(page, "Invert")
    page.locator("#invert-clips [data-name=free]").click()
    expect(page.locator("#invert-trim .strip")).to_be_visible()
    learn_long(page)
    expect(page.get_by_text("Learning the motion")).to_be_visible(timeout=PATIENCE)
    reload(page)  # the job outlives the page, which takes it up again
    tab(page, "Invert")
    page.locator("#invert-keep").click()
    expect(page.locator("#invert-save")).to_be_visible(timeout=PATIENCE)
    page.locator("#invert-save").get_by_role("button", name="Discard").click()
    expect(page.locator("#invert-save")).to_be_hidden()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator("#invert-save")).to_be_visible()
    page.locator("#invert-save").get_by_label("Name").fill("A free way")
    page.get_by_role("button", name="Save to the library").click()
    page.locator("#invert-play").click()
    card = page.locator("#generate-motions [data-name=a-free-way]")
    expect(card).to_have_attribute("aria-pressed", "true")
    entry = studio.library.entry("a-free-way")
    assert entry.clip and 1 <= len(entry.info.losses) < 300


def test_learning_is_cancelled_within_a_step(opened, studio):
    page = opened()
    tab(page, "Invert")
    page.locator("#invert-clips [data-name=free]").click()
    expect(page.locator("#invert-trim .strip")).to_be_visible()
    learn_long(page)
    expect(page.get_by_text("Learning the motion")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Discard").first.click()
    expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=PATIENCE)
    job = last(studio, "invert")
    assert job.state == "cancelled" and len(job.losses) < 300


def test_a_motion_comes_in_as_a_file_goes_and_comes_back(opened, studio, tmp_path):
    page = opened()
    file = tmp_path / "theirs.safetensors"
    write_motion(file, studio.library.load("wave").replace_info(title="A friend's wave"))
    page.locator("#restore input[type=file]").set_input_files(file)
    card = page.locator("#generate-motions [data-name=a-friend-s-wave]")
    expect(card).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    page.get_by_role("button", name="About this motion").click()
    page.get_by_role("button", name="Delete this motion").click()
    expect(card).to_have_count(0)
    expect(page.locator("#mix-shelf [data-name=a-friend-s-wave]")).to_have_count(0)
    page.get_by_role("button", name="Bring back “a-friend-s-wave”").click()
    expect(card).to_have_attribute("aria-pressed", "true")


def test_of_two_clips_clicked_in_haste_the_second_is_learnt(opened, studio, monkeypatch):
    read, picked, go = invert_tab.read_clip, [], threading.Event()

    def late(path, *args):
        assert go.wait(60)
        picked.append(path)
        return read(path, *args)

    monkeypatch.setattr(invert_tab, "read_clip", late)
    page = opened()
    tab(page, "Invert")
    for name in ("free", "straight"):
        page.locator(f"#invert-clips [data-name={name}]").click()
    page.locator("#invert-learn").click()
    expect(page.get_by_text("The clip is still being read")).to_be_visible()
    go.set()
    for _ in range(100):
        page.wait_for_timeout(100)
        if len(picked) > 1:
            break
    page.wait_for_timeout(2000)  # until the page has the answer
    learn_long(page)
    expect(page.get_by_text("Learning the motion")).to_be_visible(timeout=PATIENCE)
    job = last(studio, "invert")
    assert job.title == "Straight"
    job.cancel()


def test_a_broken_clip_leaves_no_other_in_its_place(opened, studio, tmp_path):
    page = opened()
    tab(page, "Invert")
    page.locator("#invert-clips [data-name=free]").click()
    expect(page.locator("#invert-trim .strip")).to_be_visible()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    page.locator("#invert-file input[type=file]").set_input_files(broken)
    expect(page.get_by_text("cannot be read as a video")).to_be_visible(timeout=PATIENCE)
    page.locator("#invert-learn").click()
    expect(page.get_by_text("Please choose a clip first.")).to_be_visible()
    page.locator("#invert-file input[type=file]").set_input_files(shelf.clip_path("straight"))
    expect(page.locator("#invert-trim .strip")).to_be_visible()
    learn_long(page)
    expect(page.get_by_text("Learning the motion")).to_be_visible(timeout=PATIENCE)
    job = last(studio, "invert")
    assert job.title == "Straight"
    job.cancel()


@pytest.mark.parametrize("name", ["Invert", "Generate", "Mix"])
def test_a_narrow_window_needs_no_scrolling_aside(opened, name):
    page = opened(390, 800, dark=True)
    tab(page, name)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
