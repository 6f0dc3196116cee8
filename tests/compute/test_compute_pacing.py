"""Launch sizes and the order in which a Work is launched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sv2rig.compute.pacing import QUEUED, Pace, Piece, Remaining
from sv2rig.devices.work import Work

WORK = Work(1, 1, 1, 0, bytes(32), bytes(32), 100, 0, 0, 0, nonce_start=7, nonce_count=1000)


@given(
    speed=st.floats(1e3, 1e13), latency=st.floats(0.002, 1.0), versions=st.sampled_from([1, 2, 8])
)
def test_launches_settle_below_the_latency_bound(
    speed: float, latency: float, versions: int
) -> None:
    pace = Pace(latency)
    for _ in range(40):
        hashes = pace.nonces(versions, 1) * versions
        pace.measured(hashes, hashes / speed)
    seconds = QUEUED * pace.nonces(versions, 1) * versions / speed
    assert seconds <= latency or pace.nonces(versions, 1) == 1
    if seconds < 0.7 * latency:  # as near to it as whole nonces allow
        assert QUEUED * (pace.nonces(versions, 1) + 1) * versions / speed > 0.7 * latency


def test_a_slower_launch_shortens_the_next_at_once() -> None:
    pace = Pace(0.05)
    for _ in range(20):
        pace.measured(1_000_000, 0.01)
    before = pace.nonces(1, 1)
    pace.measured(1_000_000, 0.1)
    assert pace.nonces(1, 1) <= before / 9


def test_sizes_are_whole_steps() -> None:
    pace = Pace(0.05)
    pace.measured(1_000_000, 0.02)
    assert pace.nonces(1, 4096) % 4096 == 0
    assert pace.nonces(1, 1 << 30) == 1 << 30  # one step is the least


@given(
    ntimes=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30),
)
def test_pieces_cover_a_work_once_and_in_order(ntimes: int, sizes: list[int]) -> None:
    work = Work(
        1,
        1,
        1,
        0,
        bytes(32),
        bytes(32),
        100,
        0,
        0,
        0,
        b"",
        0,
        ntimes,
        nonce_start=7,
        nonce_count=999,
    )
    remaining = Remaining(work)
    seen: list[tuple[int, int]] = []
    index = 0
    while not remaining.done:
        piece = remaining.take(sizes[index % len(sizes)])
        index += 1
        assert piece.nonce_count > 0
        first = piece.nonce_start
        seen += [(piece.ntime, nonce) for nonce in range(first, first + piece.nonce_count)]
    assert seen == [(100 + i, nonce) for i in range(ntimes) for nonce in range(7, 7 + 999)]


def test_lost_pieces_are_taken_again() -> None:
    remaining = Remaining(WORK)
    first = remaining.take(600)
    remaining.take(600)
    assert remaining.done
    remaining.back_to(first)
    assert remaining.take(1 << 20) == Piece(100, 7, 1000)
    assert remaining.done
