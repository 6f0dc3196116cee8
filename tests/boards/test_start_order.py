"""Starts: apart in time, first come first served, never above a hub's budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sv2rig.devices.start_order import StartOrder, hub_of


@pytest.mark.parametrize(
    ("usb_path", "hub"),
    [
        ("1-2", "1"),
        ("1-2.3", "1-2"),
        ("3-1.4.2", "3-1.4"),
        ("10-12.13", "10-12"),
        ("tty:/dev/ttyS0.1", None),
        ("emulated:axe.1", None),
        ("", None),
    ],
)
def test_hub_of(usb_path: str, hub: str | None) -> None:
    assert hub_of(usb_path) == hub


def test_one_a_second_in_the_order_they_came() -> None:
    order = StartOrder()
    assert order.next_timeout() is None
    for name, path in [("a", "1-1.1"), ("b", "1-1.2"), ("c", "tty:/dev/ttyS0"), ("d", "2-1")]:
        order.request(name, path, 15)
    log = []
    now = 0.0
    while order.next_timeout() is not None:
        now = max(now, order.next_timeout() or 0.0)
        log.append((now, order.on_time(now)))
        assert order.on_time(now) is None
    assert log == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    order.stopped("a")
    order.request("a", "1-1.1", 15)
    assert order.on_time(3.9) is None
    assert order.on_time(4) == "a"


def test_a_full_hub_makes_its_boards_wait_and_no_others() -> None:
    order = StartOrder(stagger_s=0, hub_watts=40, watts_of={"2-1": 100})
    for name, path, watts in [
        ("a", "1-1.1", 25.0),
        ("b", "1-1.2", 25.0),
        ("c", "1-1.3", 10.0),  # would fit, but b came first
        ("d", "2-1.1", 60.0),
        ("e", "1-1.4", 41.0),
    ]:
        order.request(name, path, watts)
    assert [order.on_time(0), order.on_time(0), order.on_time(0)] == ["a", "d", None]
    assert order.next_timeout() is None
    assert order.waits_because("a") is None
    assert order.waits_because("nobody") is None
    assert order.waits_because("b") == (
        "needs 25 W, hub 1-1 supplies 25 of its 40 W already: waits for another board to stop"
    )
    assert order.waits_because("c") == "waits for b on the same hub to start first"
    assert order.waits_because("e") == (
        "needs 41 W, all of hub 1-1 may draw 40 W: raise the hub's budget or plug it in elsewhere"
    )
    order.stopped("a")
    assert [order.on_time(1), order.on_time(1), order.on_time(1)] == ["b", "c", None]
    order.stopped("b")
    order.stopped("b")
    assert order.on_time(2) is None, "e never fits"


def test_who_gives_up_waiting_lets_the_next_one_through() -> None:
    order = StartOrder(stagger_s=0, hub_watts=40)
    for name, watts in [("a", 30.0), ("b", 30.0), ("c", 10.0)]:
        order.request(name, f"1-1.{ord(name) - 96}", watts)
    assert [order.on_time(0), order.on_time(0)] == ["a", None]
    order.stopped("b")
    assert order.on_time(0) == "c"
    assert order.waits_because("b") is None


@pytest.mark.parametrize("watts", [-1.0, float("nan")])
def test_watts_must_be_known(watts: float) -> None:
    with pytest.raises(ValueError, match="draws"):
        StartOrder().request("a", "1-1", watts)


def test_a_board_asks_once() -> None:
    order = StartOrder()
    order.request("a", "1-1", 5)
    with pytest.raises(ValueError, match="a waits"):
        order.request("a", "1-1", 5)


class Ledger:
    """What a plain reading of the rules allows; boards of three hubs."""

    def __init__(self, budget: float | None) -> None:
        self.order = StartOrder(1.0, budget)
        self.budget = budget
        self.now = 0.0
        self.last: float | None = None
        self.waiting: dict[int, list[tuple[str, float]]] = {0: [], 1: [], 2: []}
        self.running: dict[str, tuple[int, float]] = {}

    def request(self, number: int, watts: float) -> None:
        name, hub = f"b{number}", number % 3
        if name not in self.running and all(name != n for n, _ in self.waiting[hub]):
            self.order.request(name, f"1-{hub + 1}.{number + 1}", watts)
            self.waiting[hub].append((name, watts))

    def stop(self, name: str) -> None:
        self.order.stopped(name)
        self.running.pop(name, None)
        for hub, waiting in self.waiting.items():
            self.waiting[hub] = [w for w in waiting if w[0] != name]

    def ask(self) -> str | None:
        started = self.order.on_time(self.now)
        if started is None:
            return None
        assert self.last is None or self.now - self.last >= 1.0 - 1e-9
        self.last = self.now
        hub = int(started[1:]) % 3
        may = [w for w in self.waiting[hub] if self.budget is None or w[1] <= self.budget]
        assert may[0][0] == started, "first come, first served on one hub"
        self.waiting[hub].remove(may[0])
        self.running[started] = (hub, may[0][1])
        if self.budget is not None:
            assert sum(w for h, w in self.running.values() if h == hub) <= self.budget + 1e-9
        return started


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["request", "stop", "wait"]),
            st.integers(0, 11),
            st.sampled_from([0.1, 0.2, 0.3, 7.0, 15.0, 40.0, 41.0]),
        ),
        max_size=120,
    ),
    st.sampled_from([None, 0.6, 40.0]),
)
def test_budget_order_and_stagger_hold(
    course: list[tuple[str, int, float]], budget: float | None
) -> None:
    ledger = Ledger(budget)
    for what, number, watts in course:
        if what == "request":
            ledger.request(number, watts)
        elif what == "stop":
            ledger.stop(f"b{number}")
        else:
            ledger.now += watts / 10
        ledger.ask()
    for name in list(ledger.running):
        ledger.stop(name)
    for _ in range(20):  # in the end all that can ever fit get their turn
        ledger.now += 1.0
        started = ledger.ask()
        if started is not None:
            ledger.stop(started)
    for name, watts in (board for hub in ledger.waiting.values() for board in hub):
        assert budget is not None
        assert watts > budget
        assert "raise the hub's budget" in (ledger.order.waits_because(name) or "")
