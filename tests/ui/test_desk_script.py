"""What the page itself does to the mixer's desk: its history, and answers that come late."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from motion_studio.ui import components, mix_desk
from tests.ui.acts import drag_way, lay, tab

pytestmark = pytest.mark.browser

HOLDER = """
const told = [];
let value = EMPTY, titles = { circle: "Circle", wave: "Wave" };
const desk = motionStudio.openDesk({
  read: () => value, write: (now) => (value = now), titles: () => titles, tell: (event) => told.push(event),
  blank: BLANK, most: MOST,
});
const answer = (now) => { value = now; desk.receive(); };
const turns = () => value.tracks.map(({ turn }) => turn);
desk.receive();
"""


@pytest.fixture
def play(browser: Browser) -> Iterator[Callable[[str], Any]]:
    """Runs a script on a desk without tracks, in a page with nothing else, and gives what it returns."""
    page = browser.new_page()
    page.set_content("<p></p>")
    page.add_script_tag(content=f"window.motionStudio = {{}};\n{components.script('desk')}")
    values = {
        "EMPTY": mix_desk.empty(16),
        "BLANK": {**mix_desk.PLACE, **mix_desk.KNOBS},
        "MOST": mix_desk.MAX_TRACKS,
    }
    holder = HOLDER
    for name, value in values.items():
        holder = holder.replace(name, json.dumps(value))
    yield lambda script: page.evaluate(f"() => {{ {holder} {script} }}")
    page.close()


def test_a_card_lays_the_track_that_python_would(play):
    laid = play("desk.add('circle'); desk.add('wave'); return [value, told];")
    assert laid[0].pop("done") == 2
    assert laid[0] == mix_desk.add(mix_desk.add(mix_desk.empty(16), "circle"), "wave")
    assert laid[1][-3:] == ["input", "select", "release"]
    full = play(
        "const fit = []; for (let n = 0; n < 8; n++) fit.push(desk.add('wave')); return [fit, value];"
    )
    assert full[0] == [True] * mix_desk.MAX_TRACKS + [False] * 2
    assert len(full[1]["tracks"]) == mix_desk.MAX_TRACKS


def test_what_was_done_since_an_answer_was_asked_for_is_done_to_it_too(play):
    script = """
    desk.add('circle'); desk.add('wave');
    const asked = structuredClone(value);
    desk.turn('turn', 90); desk.select(0); desk.film('pan', .2); desk.set('together', 'mean');
    asked.tracks[1].x = .3;
    answer(asked);
    return value;
    """
    desk = play(script)
    assert [(track["turn"], track["x"]) for track in desk["tracks"]] == [(0, 0), (90, 0.3)]
    assert desk["selected"] == 0 and desk["film"]["pan"] == 0.2 and desk["together"] == "mean"
    assert desk["done"] == 6
    moved = play(
        script.replace("asked.tracks[1].x = .3;", "asked.tracks.reverse();").replace(
            "return value", "return turns()"
        )
    )
    assert moved == [0, 0]  # what was turned is there no more


def test_a_desk_that_says_nothing_of_what_was_done_takes_the_place_of_all(play):
    replaced = play(
        """
        const { done, ...other } = structuredClone(value);
        desk.add('circle'); desk.turn('speed', .5); desk.release();
        answer({ ...other, tracks: [{ ...value.tracks[0], motion: 'wave', speed: 2 }] });
        const shown = desk.shown(['speed', 'turn'], ['pan']);
        desk.undo();
        return [shown, value.tracks.map(({ motion, speed }) => [motion, speed])];
        """
    )
    assert replaced == [[2, 0, "sum", 0], [["circle", 0.5]]]


def test_a_history_takes_each_change_once_and_lets_the_oldest_go(play):
    assert play("return desk.undo()") is False
    assert play("desk.add('circle'); desk.select(0); desk.release(); desk.undo(); return value.tracks") == []
    back = play(
        """
        desk.add('circle');
        for (let n = 1; n < 60; n++) { desk.turn('turn', n - .5); desk.turn('turn', n); desk.release(); }
        desk.undo();
        const first = turns()[0];
        let steps = 1;
        while (desk.undo()) steps++;
        return [first, steps, turns()[0]];
        """
    )
    assert back == [58, 49, 10]


def test_what_was_undone_comes_back_until_something_else_is_done(play):
    script = """
    desk.add('circle'); desk.turn('turn', 10); desk.release(); desk.turn('turn', 20); desk.release();
    desk.undo(); desk.undo();
    """
    assert play(script + "return [desk.redo(), turns()[0], desk.redo(), turns()[0], desk.redo()]") == [
        True,
        10,
        True,
        20,
        False,
    ]
    assert play(script + "desk.redo(); desk.undo(); desk.undo(); return value.tracks.length") == 0
    assert play(script + "desk.redo(); desk.redo(); desk.undo(); return turns()[0]") == 10
    assert play(script + "desk.turn('turn', 30); desk.release(); return [desk.redo(), turns()[0]]") == [
        False,
        30,
    ]
    unheld = (
        script
        + "desk.turn('turn', 30); desk.undo(); return [turns()[0], desk.redo(), turns()[0], desk.redo()]"
    )
    assert play(unheld) == [0, True, 30, False]
    deleted = "desk.add('circle'); desk.add('wave'); desk.undo(); titles = { circle: 'Circle' };"
    assert play(deleted + "return [desk.redo(), value.tracks.length]") == [False, 1]


def test_what_python_gives_back_as_it_was_is_no_change(play):
    """Its keys come in another order."""
    script = """
    const back = (part) => (part?.constructor !== Object ? part?.map?.(back) ?? part : Object.fromEntries(
      Object.entries(part).reverse().map(([key, value]) => [key, back(value)])));
    desk.add('circle');
    const before = told.length;
    answer(back(value));
    return [told.length - before, desk.undo(), desk.undo()];
    """
    assert play(script) == [0, True, False]


def test_undo_forgets_what_was_deleted_since(play):
    script = """
    desk.add('circle'); desk.add('wave'); desk.turn('turn', 90); desk.release();
    titles = { circle: 'Circle' };
    answer({ ...value, tracks: value.tracks.slice(0, 1) });
    const undone = desk.undo();
    """
    assert play(script + "return [undone, value.tracks.length, desk.undo()]") == [True, 0, False]
    back = script + "titles.wave = 'Wave'; desk.add('wave'); desk.undo(); return value.tracks.length"
    assert play(back) == 0


def test_undoing_begins_with_what_was_left(play):
    """A track that was laid while the page opened lies on it."""
    left = "answer({ ...value, tracks: [{ motion: 'wave' }], done: 0, opened: true });"
    laid = "return [desk.undo(), value.tracks.map(({ motion }) => motion), desk.undo(), 'opened' in value];"
    assert play(left + laid) == [False, ["wave"], False, False]
    assert play("desk.add('circle');" + left + "desk.undo(); desk.redo();" + laid) == [
        True,
        ["wave"],
        False,
        False,
    ]


def test_a_slow_answer_loses_no_knob(opened, studio, monkeypatch):
    page = opened()
    tab(page, "Mix")
    lay(page, "circle", "zigzag")
    expect(page.locator("#mix-stage .track")).to_have_count(2)
    turned, go = mix_desk.turned, threading.Event()

    def late(*args: Any, **values: Any) -> mix_desk.Desk:
        assert go.wait(60)
        return turned(*args, **values)

    monkeypatch.setattr(mix_desk, "turned", late)
    drag_way(page, across=40)
    page.locator("#mix-turn svg").focus()
    page.keyboard.press("PageUp")
    weight = page.get_by_label("Weight: Circle")
    weight.fill("0.5")
    across = page.locator("#mix-knobs").get_by_label("number input for Across")
    expect(across).to_have_value("0")  # the answer is to come still
    go.set()
    expect(across).not_to_have_value("0")
    expect(page.locator("#mix-turn output")).to_have_text("90°")
    expect(weight).to_have_value("0.5")
