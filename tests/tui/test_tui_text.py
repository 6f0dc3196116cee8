"""Text of a known width, whatever it is made of; and the drawing of the hash rate."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tui_scenes import NOW, device, rig

from sv2rig.rig.snapshot import LifetimeSnapshot
from sv2rig.tui import panels
from sv2rig.tui.history import RateHistory
from sv2rig.tui.text import cell, count, fit, fit_middle, plain, quantity, short_url

KEY = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
URL = f"stratum2+tcp://pool.example:34254/{KEY}"


@given(st.text())
def test_plain_text_holds_nothing_that_acts(text: str) -> None:
    for char in plain(text):
        assert unicodedata.category(char)[0] not in "CM"
        assert unicodedata.category(char) not in ("Zl", "Zp")


@given(st.text(), st.integers(0, 30))
def test_fitted_text_fits(text: str, width: int) -> None:
    text = plain(text)
    assert cell_len(fit(text, width)) <= width
    assert cell_len(fit_middle(text, width)) <= width
    assert cell_len(cell(text, width)) == width
    assert cell_len(cell(text, width, right=True)) == width
    if cell_len(text) <= width:
        assert fit(text, width) == fit_middle(text, width) == text


def test_plain_text_by_example() -> None:
    assert plain("stale-share") == "stale-share"
    assert plain("a\x1b[31mb\x00\x9bc") == "a?[31mb??c"
    assert plain("one\ntwo\tthree") == "one two three"
    assert plain("e\u0301\u0301 日本") == "é 日本"
    assert len(plain("x" * 10_000)) == 500


def test_the_middle_goes_and_both_ends_stay() -> None:
    assert fit_middle("usb-Prolific_2303-port0", 9) == "usb-…ort0"
    assert fit("connection refused", 8) == "connect…"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (90, URL),
        (60, "stratum2+tcp://pool.example:34254/9auq…PH72"),
        (43, "stratum2+tcp://pool.example:34254/9auq…PH72"),
        (42, "pool.example:34254/9auq…PH72"),
        (28, "pool.example:34254/9auq…PH72"),
        (27, "pool.example:34254"),
        (18, "pool.example:34254"),
        (17, "pool.exa…le:34254"),
    ],
)
def test_urls_lose_the_least_first(width: int, shown: str) -> None:
    assert short_url(URL, width) == shown


@given(st.text(max_size=80), st.integers(0, 50))
def test_any_url_fits(url: str, width: int) -> None:
    assert cell_len(short_url(url, width)) <= width


def test_numbers() -> None:
    assert [quantity(value, " ms") for value in (None, 0, 0.31, 9.9, 9.96, 250.4)] == [
        "–",
        "0 ms",
        "0.31 ms",
        "9.9 ms",
        "10 ms",
        "250 ms",
    ]
    assert [count(value, 4) for value in (9999, 10_000)] == ["9999", "10k"]


def test_the_drawing_starts_at_zero_and_ends_now() -> None:
    history = RateHistory()
    for second in range(20):
        history.add(second, 50.0 if second < 10 else 100.0)
    drawing = history.draw(width=12, height=2)
    assert drawing.rows == ["       █████", "  ██████████"]
    assert drawing.span_s == 24
    assert drawing.highest_hs == 100.0


def test_a_known_zero_is_drawn_and_the_unknown_is_not() -> None:
    history = RateHistory()
    for second, rate in enumerate((None, None, 0.0, 0.0, 8.0, 8.0, None, None, 1.0, 1.0)):
        history.add(second, rate)
    assert history.draw(width=5, height=1).rows == [" ▁█ ▁"]


def test_no_samples() -> None:
    history = RateHistory()
    assert history.draw(5, 2) == (["     ", "     "], 10, None)
    history.add(100.0, 0.0)
    assert history.draw(3, 1) == (["  ▁"], 6, 0.0)


def test_longer_histories_are_drawn_coarser_and_columns_stand_still() -> None:
    history = RateHistory()
    for second in range(590):
        history.add(second, float(second // 15))
    first = history.draw(40, 1)
    assert first.span_s == 600
    history.add(600, 39.0)
    assert history.draw(40, 1).rows[0][:-1] == first.rows[0][1:]


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1e18)), max_size=50),
    st.integers(0, 60),
    st.integers(0, 5),
)
def test_a_drawing_has_its_size(rates: list[float | None], width: int, height: int) -> None:
    history = RateHistory()
    for second, rate in enumerate(rates):
        history.add(second, rate)
    rows = history.draw(width, height).rows
    assert [len(row) for row in rows] == [width] * height


@pytest.mark.parametrize("width", [76, 116])
def test_a_boards_detail_says_how_well_its_rate_is_proved_and_what_its_line_damaged(
    width: int,
) -> None:
    board = device(1, hashrate_error=0.0316, comm_errors=1234, name="a board of a long name " * 3)
    lines = panels.device_detail(board, NOW, width)
    assert all(line.cell_len <= width for line in lines)
    assert "proved ±3.2 %" in lines[1].plain
    assert "comm errors 1234" in lines[1].plain
    calm = panels.device_detail(device(0), NOW, width)[1].plain
    assert "proved" not in calm
    assert "comm" not in calm


def test_a_wide_header_tells_of_all_runs() -> None:
    kept = LifetimeSnapshot(blocks=3, best_difficulty=8.74e9)
    [wide] = panels.header(rig(device(0), lifetime=kept), 118, answering=True)
    assert "best 8.74G all-time  blk 3" in wide.plain
    [without] = panels.header(rig(device(0)), 118, answering=True)
    assert "best 1.42G  blk 0" in without.plain
