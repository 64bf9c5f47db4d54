"""The order in which the built-in model learns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motion_studio.toybox.course import Course

COURSE = Course(
    steps=100, drill_at=20, drill_steps=10, turn_steps=10, lessons_until=50, thin_until=0.8, fall=0.5
)


def test_the_rate_rises_and_falls():
    plain = replace(COURSE, steps=1000, drill_at=2000, fall=0.3)
    assert plain.rate(0) == 0.02 and plain.rate(400) == 1
    assert plain.rate(999) == pytest.approx(1 / 300)
    assert replace(plain, fall=0.1).rate(850) == 1
    fresh = replace(plain, drill_at=500, drill_steps=100)
    assert fresh.rate(499) == 1 and fresh.rate(500) == 0.02 == fresh.rate(600) < fresh.rate(601)


def test_words_are_drilled_then_taught_then_left_among_the_rest():
    stages = {step: COURSE.stage(step) for step in (0, 19, 20, 25, 30, 39, 40, 49, 50, 80)}
    assert [stage.clips for stage in stages.values()] == ["any"] * 2 + ["drill"] * 2 + ["turns"] * 2 + [
        "lessons"
    ] * 2 + ["any"] * 2
    assert [stages[step].drowned for step in (0, 20, 25, 30, 40, 50)] == [0, 1, 0.5, 0.7, 0.3, 0.2]
    assert set(stages[20].frames) == {2, 4} and 16 in stages[50].frames and stages[80].frames == (16,)
    steps = range(100)
    assert [step for step in steps if COURSE.begins(step)] == [20, 30, 40, 50]
    assert [step for step in steps if COURSE.forgets(step)] == [20, 30]
    assert [step for step in steps if COURSE.teaches(step)] == [20]
    assert [step for step in steps if COURSE.taught(step)] == list(range(21, 100))
    undrilled = replace(COURSE, drill_steps=0)
    assert [step for step in steps if undrilled.teaches(step)] == [20]
    untaught = replace(undrilled, turn_steps=0)
    assert not any(untaught.teaches(step) or untaught.taught(step) for step in steps)
