"""What repeats within a minute is told once, and then with its count; nothing is lost."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.rig.repeats import MOST_OF_DEVICES, MOST_OF_ONE, WINDOW_S, Line, Repeats


def test_a_line_that_repeats_is_told_once_and_a_minute_later_how_often() -> None:
    repeats = Repeats()
    line = Line("info", "READY: well", "a:1")
    assert repeats.is_new(line, 100.0)
    for second in range(41):
        assert not repeats.is_new(line, 101.0 + second)
    assert repeats.due(159.9) == []
    [counted] = repeats.due(160.0)
    words = "earlier, 41 times more, the last 19 s ago: READY: well"
    assert counted == Line("info", words, "a:1")
    assert not repeats.is_new(line, 161.0), "it goes on"
    assert [c.text for c in repeats.due(220.0)] == [
        "earlier, once more, the last 59 s ago: READY: well"
    ]
    assert repeats.due(280.0) == []
    assert repeats.is_new(line, 281.0)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Line("warning", "RESETTING: reset 1", "a"), Line("warning", "RESETTING: reset 2", "a"), 1),
        (Line("warning", "RESETTING: reset 1", "a"), Line("warning", "RESETTING: reset 1", "b"), 0),
        (Line("warning", "RESETTING: it", "a"), Line("warning", "RESETTING: that", "a"), 0),
        (Line("error", "SICK: 3 of 5", "a"), Line("error", "SICK: 4 of 5", "a"), 0),
        (Line("error", "SICK: 3 of 5", "a"), Line("error", "SICK: 3 of 5", "a"), 1),
        (Line("warning", "no pool; again in 1.5 s"), Line("warning", "no pool; again in 3.1 s"), 0),
        (Line("good", "BLOCK found", "a"), Line("good", "BLOCK found", "a"), 0),
        (Line("info", "at work", "a"), Line("warning", "at work", "a"), 0),
        (
            Line("warning", "communication error: nonce deadbeef for no work", "a"),
            Line("warning", "communication error: nonce 0012cd3f for no work", "b"),
            1,
        ),
        (
            Line("warning", "hardware error: work 0x1f was never handed out", "a"),
            Line("warning", "hardware error: hash is worse than the ticket", "a"),
            0,
        ),
    ],
)
def test_what_is_the_same_line(one: Line, other: Line, alike: bool) -> None:
    repeats = Repeats()
    assert repeats.is_new(one, 0.0)
    assert repeats.is_new(other, 1.0) is not bool(alike)


def test_the_count_says_on_how_many_devices() -> None:
    repeats = Repeats()
    for number in range(64):
        repeats.is_new(Line("warning", f"hardware error: work {number}", f"a:{number}"), 0.0)
    [line] = repeats.due(60.0)
    assert line.text == (
        "earlier, 63 times more, on 63 devices, the last 60 s ago: hardware error: work 63"
    )


def test_of_many_devices_lines_the_first_are_told_and_the_rest_by_kind() -> None:
    repeats = Repeats()
    told = [
        repeats.is_new(Line("error", f"SICK: cable {number}", f"a:{number:02}"), number / 10)
        for number in range(MOST_OF_DEVICES + 9)
    ]
    assert told == [True] * MOST_OF_DEVICES + [False] * 9
    assert repeats.is_new(Line("error", "DEAD: 5 resets", "a:01"), 2.0), "the first of its kind"
    assert not repeats.is_new(Line("error", "DEAD: 6 resets", "a:02"), 2.0)
    assert repeats.is_new(Line("error", "the disk is full"), 2.0), "no device's"
    assert repeats.is_new(Line("good", "BLOCK found", "a:01"), 2.0)
    assert repeats.due(59.9) == []
    sick, dead = repeats.due(60.0)
    named = "a:08, a:09, a:10, a:11, a:12, a:13"
    assert sick == Line(
        "error", f"SICK: … 9 more such lines in a minute, of {named} and 3 other devices"
    )
    assert dead == Line("error", "DEAD: … 1 more such lines in a minute, of a:02", "a:02")
    assert repeats.is_new(Line("error", "SICK: it", "a:01"), 61.0), "another minute"


def test_a_board_that_says_much_leaves_room_for_others() -> None:
    repeats = Repeats()
    told = [repeats.is_new(Line("error", f"SICK: {n}", "a"), 0.0) for n in range(9)]
    assert told == [True] * MOST_OF_ONE + [False] * (9 - MOST_OF_ONE)
    assert repeats.is_new(Line("error", "SICK: the other", "b"), 1.0)
    assert [line.device_id for line in repeats.due(60.0)] == ["a"]


def test_64_boards_on_bad_wires_write_at_most_20_lines_a_minute() -> None:
    repeats, rng, told = Repeats(), Random(4), [0] * 11
    heads = ("SICK", "RESETTING", "MINING", "communication error", "hardware error", "DEAD")
    for second in range(600):
        for _ in range(12):
            head, reason = rng.choice(heads), rng.choice("abcdefgh")
            line = Line(
                "error" if head in ("SICK", "DEAD") else "warning",
                f"{head}: {reason} {rng.randrange(99)}",
                f"board:{rng.randrange(64)}",
            )
            told[second // 60] += repeats.is_new(line, second)
        told[second // 60] += len(repeats.due(second))
    assert max(told) <= 20


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["info", "warning", "error", "good"]),
            st.sampled_from(["x 1", "x 2", "y", "z: 1", "z: 2"]),
            st.sampled_from(["a", "b", None]),
            st.floats(0.0, 30.0),
        ),
        max_size=80,
    )
)
def test_every_line_is_told_or_counted(lines: list[tuple[str, str, str | None, float]]) -> None:
    repeats, now, told = Repeats(), 0.0, 0
    for level, text, device_id, passed in lines:
        now += passed
        told += sum(_count(line.text) for line in repeats.due(now))
        told += repeats.is_new(Line(level, text, device_id), now)
    told += sum(_count(line.text) for line in repeats.due(now + WINDOW_S + 1))
    assert told == len(lines)


def _count(text: str) -> int:
    words = text.partition(" … ")[2] or text.partition("earlier, ")[2]
    count = words.split()[0]
    return 1 if count == "once" else int(count)
