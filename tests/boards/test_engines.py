"""The engines by themselves: what they send, when, and what they make of replies. Time is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.boards.engine import PATIENCE, Damaged, Nonce, RangeDone, Reply, SliceFeed
from sv2rig.boards.push_engine import PushEngine, PushTiming, pads
from sv2rig.boards.table_engine import TableEngine
from sv2rig.devices.slices import Slice
from sv2rig.devices.work import Solution, Work

EASY = (1 << 255) - 1  # every other nonce meets it
RATE = 1e6


def work(work_id: int = 1, job_id: int = 1, version_bits: int = 0x6000) -> Work:
    return Work(
        work_id=work_id,
        channel_id=1,
        job_id=job_id,
        version=0x20000000,
        prev_hash=bytes(31) + bytes([job_id]),
        merkle_root=work_id.to_bytes(32),
        ntime=1_700_000_000,
        nbits=0x1D00FFFF,
        target=0,
        ticket=EASY,
        version_bits=version_bits,
    )


class Host:
    """Keeps what an engine says; asks `more` for Work when it is exhausted."""

    def __init__(self, more: Callable[[int], None] | None = None) -> None:
        self.sent: list[bytes] = []
        self.right: list[Solution] = []
        self.wrong: list[Solution] = []
        self.exhausted_works: list[int] = []
        self.errors: list[str] = []
        self.more = more

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def solution(self, solution: Solution, valid: bool) -> None:
        (self.right if valid else self.wrong).append(solution)

    def exhausted(self, work_id: int) -> None:
        self.exhausted_works.append(work_id)
        if self.more is not None:
            self.more(work_id)

    def comm_error(self, reason: str) -> None:
        self.errors.append(reason)


class Wire:
    """Frames that name their slice; replies are put in by the test."""

    job_ids = (0, 1, 2, 3)
    pending = 0

    def __init__(self) -> None:
        self.next: list[Reply] = []
        self.pieces: list[Slice] = []

    def encode_push(self, piece: Slice) -> bytes:
        self.pieces.append(piece)
        return b"%08x" % piece.version

    def decode(self, data: bytes) -> list[Reply]:
        del data
        taken, self.next = self.next, []
        return taken

    def drop(self) -> None:
        pass


class PushOnly(Wire):
    def encode(self, piece: Slice) -> bytes:
        return self.encode_push(piece)


class TableOnly(Wire):
    def encode(self, job_id: int, piece: Slice) -> bytes:
        return bytes([job_id]) + self.encode_push(piece)


def nonce_for(piece: Slice, good: bool) -> bytes:
    """Some nonce that meets the ticket, or fails it."""
    for counter in range(1000):
        nonce = counter.to_bytes(4, "big")
        if piece.is_met(piece.solution(nonce)) is good:
            return nonce
    raise AssertionError


def push(**changes: object) -> tuple[PushEngine, PushOnly, Host]:
    wire, host = PushOnly(), Host()
    timing = replace(PushTiming(RATE, EASY), **changes)  # type: ignore[arg-type]
    return PushEngine(wire, host, timing), wire, host


def test_a_nonce_ends_a_job_and_the_next_goes_out() -> None:
    engine, wire, host = push()
    engine.assign(work(), 0.0)
    wire.next = [Nonce(nonce_for(wire.pieces[0], good=True))]
    engine.received(b"x", 1.0)
    assert len(host.right) == 1
    assert host.sent == [b"20000000", b"20002000"]


def test_a_board_that_goes_on_keeps_its_job() -> None:
    engine, wire, host = push(stops=False)
    engine.assign(work(), 0.0)
    wire.next = [Nonce(nonce_for(wire.pieces[0], good=True))]
    engine.received(b"x", 1.0)
    assert host.sent == [b"20000000"]
    wire.next = [RangeDone()]
    engine.received(b"x", 2.0)
    assert host.sent == [b"20000000", b"20002000"]


def test_a_reply_that_crossed_new_work_is_of_the_work_before() -> None:
    engine, wire, host = push()
    engine.assign(work(1), 0.0)
    old = nonce_for(wire.pieces[0], good=True)
    engine.assign(work(2, job_id=2), 1.0)
    if wire.pieces[1].is_met(wire.pieces[1].solution(old)):
        pytest.fail("choose another work: this nonce is right for both")
    wire.next = [Nonce(old)]
    engine.received(b"x", 1.1)
    assert [solution.work_id for solution in host.right] == [1]
    assert len(host.sent) == 2  # the new work goes on


def test_silence_beyond_chance_is_told_and_mended() -> None:
    engine, _, host = push()
    engine.assign(work(), 0.0)
    due = engine.next_timeout()
    assert due is not None
    assert due == pytest.approx(PATIENCE * 2 / RATE)
    engine.on_time(due)
    assert len(host.errors) == 1
    assert len(host.sent) == 2


def test_a_range_without_a_nonce_is_no_error() -> None:
    engine, _, host = push(rate_hs=1e9, ticket=(1 << 224) - 1)
    engine.assign(work(), 0.0)
    due = engine.next_timeout()
    assert due is not None
    assert 4.0 < due < 4.3
    engine.on_time(due)
    assert host.errors == []
    assert len(host.sent) == 2


def test_damage_is_counted_and_the_next_job_goes_out() -> None:
    engine, wire, host = push()
    engine.assign(work(), 0.0)
    wire.next = [Damaged("half a frame")]
    engine.received(b"x", 1.0)
    assert host.errors == ["half a frame"]
    assert len(host.sent) == 2


@pytest.mark.parametrize("bits", [0, 0x2000, 0x6000])
def test_more_work_is_asked_for_before_the_last_slice_is_done(bits: int) -> None:
    engine, wire, host = push()
    ids = iter(range(2, 100))
    host.more = lambda _work_id: engine.assign(work(next(ids), version_bits=bits), 0.0)
    engine.assign(work(1, version_bits=bits), 0.0)
    for _ in range(10):
        wire.next = [RangeDone()]
        engine.received(b"x", 1.0)
    headers = [(piece.work.work_id, piece.version) for piece in wire.pieces]
    assert len(wire.pieces) == 11
    assert len(set(headers)) == 11  # nothing twice
    assert headers == sorted(headers)  # and each work to its end


def test_idle_when_told_so() -> None:
    engine, _, host = push()
    engine.assign(work(), 0.0)
    engine.assign(None, 1.0)
    assert engine.next_timeout() is None
    engine.assign(work(2), 2.0)
    assert len(host.sent) == 2


@given(wrong=st.integers(0, 63))
def test_pads_come_to_every_slip(wrong: int) -> None:
    """A board that took `wrong` bytes of a frame of 64 is in step after some try."""
    tries_of = pads(64)
    taken = wrong
    for _ in range(1200):
        taken = (taken + next(tries_of)) % 64
        if taken == 0:
            return
    raise AssertionError


@pytest.mark.parametrize("wrong", [0, 63, 1])
def test_the_likeliest_slips_are_mended_within_four_tries(wrong: int) -> None:
    tries_of = pads(64)
    taken, tries = wrong, 0
    while True:
        taken, tries = (taken + next(tries_of)) % 64, tries + 1
        if taken == 0:
            break
    assert tries <= 4


# -- tables


def table(seconds: float = 10.0) -> tuple[TableEngine, TableOnly, Host]:
    wire, host = TableOnly(), Host()
    engine = TableEngine(wire, host, lambda _piece: seconds, lambda _work: 0x6000)
    return engine, wire, host


def test_jobs_follow_before_the_chain_has_searched_one() -> None:
    engine, wire, host = table(10.0)
    ids = iter(range(2, 100))
    host.more = lambda _work_id: engine.assign(work(next(ids)), 0.0)
    engine.assign(work(1), 0.0)
    now = 0.0
    for _ in range(5):
        due = engine.next_timeout()
        assert due is not None
        assert due == pytest.approx(now + 8.0)
        now = due
        engine.on_time(now)
    assert [frame[0] for frame in host.sent] == [0, 1, 2, 3, 0, 1]
    assert [piece.work.work_id for piece in wire.pieces] == [1, 2, 3, 4, 5, 6]


def test_new_work_goes_out_at_once() -> None:
    engine, wire, host = table()
    engine.assign(work(1), 0.0)
    engine.assign(work(2, job_id=2), 0.5)
    assert [piece.work.work_id for piece in wire.pieces] == [1, 2]
    assert engine.next_timeout() == pytest.approx(8.5)
    assert len(host.sent) == 2


def test_replies_are_of_the_job_they_name_even_when_its_id_is_used_again() -> None:
    engine, wire, host = table()
    for i in range(1, 6):  # ids 0 1 2 3 0
        engine.assign(work(i, job_id=i), float(i))
    for index, slot in ((1, 1), (4, 0), (0, 0)):
        piece = wire.pieces[index]
        wire.next = [Nonce(nonce_for(piece, good=True), slot, rolled=0)]
        engine.received(b"x", 9.0)
        assert host.right[-1].work_id in (piece.work.work_id, wire.pieces[4].work.work_id)
    assert host.wrong == []


def test_a_job_that_was_lost_is_sent_again() -> None:
    """It shows by silence, or by nonces for the job before it."""
    wire, host = TableOnly(), Host()
    engine = TableEngine(wire, host, lambda _piece: 1e9, lambda _work: 0x6000, lambda: 20.0)
    engine.assign(work(1), 0.0)
    wire.next = [Nonce(nonce_for(wire.pieces[0], good=True), 0, rolled=0)]
    engine.received(b"x", 15.0)
    assert engine.next_timeout() == 35.0
    engine.on_time(35.0)
    assert host.sent == [host.sent[0]] * 2
    engine.assign(work(2, job_id=2), 40.0)
    late = Nonce(nonce_for(wire.pieces[0], good=True), 0, rolled=0)
    wire.next = [late]
    engine.received(b"x", 40.5)  # it may have crossed the new job
    assert len(host.sent) == 3
    wire.next = [late]
    engine.received(b"x", 41.5)
    assert host.sent[3] == host.sent[2]
    assert len(host.errors) == 2
    assert host.wrong == []


def test_a_wrong_nonce_and_a_job_never_sent() -> None:
    engine, wire, host = table()
    engine.assign(work(1), 0.0)
    wire.next = [Nonce(nonce_for(wire.pieces[0], good=False), 0, rolled=0), Nonce(bytes(4), 3)]
    engine.received(b"x", 1.0)
    assert len(host.wrong) == 1
    assert len(host.errors) == 1


def test_a_midstates_index_names_its_version() -> None:
    engine, wire, host = table()
    engine.assign(work(1), 0.0)
    piece = wire.pieces[0]
    assert list(piece.versions()) == [0x20000000, 0x20002000, 0x20004000, 0x20006000]
    for counter in range(64):
        nonce = counter.to_bytes(4, "big")
        if piece.is_met(piece.solution(nonce, 0x20004000)):
            break
    wire.next = [Nonce(nonce, 0, index=2)]
    engine.received(b"x", 1.0)
    assert [solution.version for solution in host.right] == [0x20004000]


def test_a_feed_keeps_what_is_searched_when_nothing_follows() -> None:
    feed: SliceFeed

    def exhausted(_work_id: int) -> None:
        assert feed.assign(None) is False  # the scheduler has nothing yet

    feed = SliceFeed(lambda _work: 0x6000, exhausted)
    assert feed.assign(work(1)) is True
    assert feed.next() is not None
    assert feed.next() is None
    assert feed.assign(work(2)) is False
    following = feed.next()
    assert following is not None
    assert following.work.work_id == 2
