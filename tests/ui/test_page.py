"""The page in a real browser: the first video, learning a motion, mixing, narrow windows, clear errors."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from motion_studio.studio.jobs import Job
from motion_studio.studio.motion_file import write_motion

pytestmark = pytest.mark.browser
PATIENCE = 120_000  # milliseconds; a busy machine is slow
expect.set_options(timeout=30_000)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def lay(page: Page, *motions: str) -> None:
    """Lay motions on tracks of the mixer, one after another."""
    for name in motions:
        page.locator(f"#mix-shelf [data-name={name}]").click()
        expect(page.locator("#mix-timeline .row.selected")).to_contain_text(name.capitalize())


def last(studio, kind: str) -> Job:
    return next(job for job in studio.jobs.list() if job.kind == kind)


def settled(page: Page) -> None:
    """Wait until the browser has kept the mixer's last change."""
    before = None
    while (now := page.evaluate("localStorage['motion-studio-mix']")) != before:
        before = now
        page.wait_for_timeout(2000)


def learn_long(page: Page) -> None:
    """Begin to learn for so many steps that it lasts longer than what is tried meanwhile."""
    page.get_by_role("button", name="More settings").first.click()
    page.get_by_label("number input for Steps").first.fill("300")
    page.keyboard.press("Tab")
    page.locator("#invert-learn").click()


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
    values.fill("0.5, 99")
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
    page.locator("#mix-stage").scroll_into_view_if_needed()
    start = page.locator("#mix-stage .track.selected .first").bounding_box()
    page.mouse.move(start["x"] + 3, start["y"] + 3)
    page.mouse.down()
    page.mouse.move(start["x"] + 43, start["y"] + 3, steps=3)
    page.mouse.up()
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
    page.locator("#restore input[type=file]").set_input_files(job.result.path)
    expect(prompt).to_have_value("a cyan heart", timeout=PATIENCE)
    expect(page.locator("#mix-timeline .row")).to_have_count(2)
    expect(page.locator("#mix-turn output")).to_have_text("0°")


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


def test_a_broken_clip_leaves_no_other_in_its_place(opened, tmp_path):
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


@pytest.mark.parametrize("name", ["Invert", "Generate", "Mix"])
def test_a_narrow_window_needs_no_scrolling_aside(opened, name):
    page = opened(390, 800, dark=True)
    tab(page, name)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
