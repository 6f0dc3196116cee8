"""Faults from a seed, and that the ledger's marks are the truth about the bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_board import BAUD, WORK_SIZE, ToyBoard

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.faults import (
    Direction,
    FaultPlan,
    FaultyBoard,
    WrongNonces,
    parse_fault,
)
from sv2rig.emulation.ledger import Ledger


def work(number: int) -> bytes:
    """No two alike, nor a piece of one like a piece of another."""
    return b"".join(sha256d(bytes([number, part])) for part in range(3))[:WORK_SIZE]


def advance(board: FaultyBoard, until: float) -> bytes:
    """All that the first port sends by then."""
    sent = board.take_output(0)
    while (due := board.next_timeout()) is not None and due <= until:
        board.on_time(due)
        sent += board.take_output(0)
    return sent


def powered(plans: Sequence[FaultPlan], **options: int) -> tuple[FaultyBoard, Ledger]:
    settings = EmulatorOptions(options.get("ticket_bits", 6), 1000.0, (), WrongNonces(plans))
    board = FaultyBoard(ToyBoard(settings), plans)
    board.power_up(0.0)
    return board, board.wires.ledger


def run(board: FaultyBoard, works: int, every: float = 1.0) -> list[bytes]:
    """What the first port sends in each work's time."""
    sent = []
    for number in range(works):
        board.receive(0, work(number), BAUD, number * every)
        sent.append(advance(board, (number + 1) * every - 1e-9))
    return sent


def test_good_wires_change_nothing() -> None:
    board, ledger = powered([FaultPlan()])
    sent = run(board, 5)
    assert sum(map(len, sent)) == 4 * ledger.replies_sent > 0
    assert ledger.replies_damaged == ledger.works_damaged == ledger.stray_damage == 0
    assert b"".join(sent) == b"".join(reply.nonce for reply in ledger.replies)


@pytest.mark.parametrize("kind", ["flip", "drop", "duplicate"])
@given(seed=st.integers(0, 1000), rate=st.floats(0.001, 0.1))
def test_every_reply_not_marked_arrived_as_it_was_sent(kind: str, seed: int, rate: float) -> None:
    """The intact ones, in order, are a subsequence of what arrived; the marked were really hit."""
    board, ledger = powered([parse_fault(f"{kind}={rate},direction=to-host,seed={seed}")])
    rest = b"".join(run(board, 2))
    replies = list(ledger.replies)
    damaged = 0
    for reply in replies:
        if reply.damaged:
            damaged += 1
            continue
        at = rest.find(reply.nonce)
        assert at >= 0
        rest = rest[at + 4 :]
    assert damaged == ledger.replies_damaged
    assert ledger.works_damaged == ledger.stray_damage == 0


def test_what_is_marked_is_what_differs() -> None:
    """Flips leave every byte in its place, so that each reply can be compared."""
    board, ledger = powered([parse_fault("flip=0.05,direction=to-host,seed=3")])
    sent = b"".join(run(board, 20))
    assert len(sent) == 4 * ledger.replies_sent
    for index, reply in enumerate(ledger.replies):
        assert reply.damaged == (sent[4 * index : 4 * index + 4] != reply.nonce)
    assert 0 < ledger.replies_damaged < ledger.replies_sent


@pytest.mark.parametrize("kind", ["flip", "drop", "duplicate"])
@pytest.mark.parametrize("seed", range(8))
def test_replies_to_a_damaged_work_are_damaged(kind: str, seed: int) -> None:
    """A work is intact if, and only if, the board began to search a header that the host sent."""
    begun: list[bytes] = []

    class Noting(ToyBoard):
        def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
            before = bytes(self.wires.inbound[0].buffer) + data
            super().receive(port, data, baud, now)
            while len(before) >= WORK_SIZE:
                begun.append(before[:WORK_SIZE])
                before = before[WORK_SIZE:]

    plans = [parse_fault(f"{kind}=0.002,direction=to-board,seed={seed}")]
    board = FaultyBoard(Noting(EmulatorOptions(6, 1000.0)), plans)
    board.power_up(0.0)
    run(board, 100)
    ledger = board.wires.ledger
    sent = {work(number) for number in range(100)}
    assert [header in sent for header in begun] == [received.intact for received in ledger.works]
    assert ledger.works_damaged > 0
    assert all(reply.damaged != reply.work.intact for reply in ledger.replies)


def test_a_seed_repeats_its_faults_and_another_does_not() -> None:
    plans = [parse_fault(f"bytes=0.03,seed={seed}") for seed in (7, 7, 8)]
    first, again, other = (b"".join(run(powered([plan])[0], 10)) for plan in plans)
    assert first == again
    assert first != other


def test_wrong_nonces_are_well_formed_and_counted() -> None:
    board, ledger = powered([parse_fault("nonces=0.25,seed=1")])
    run(board, 20)
    assert ledger.replies_damaged == 0
    assert 0.15 < ledger.replies_wrong / ledger.replies_sent < 0.35
    for reply in ledger.replies:
        hashed = sha256d(work(reply.work.serial)[:76] + reply.nonce)
        assert reply.wrong or int.from_bytes(hashed, "little") < 1 << 250


def test_a_delay_moves_bytes_and_keeps_their_order() -> None:
    late, _ = powered([parse_fault("delay=0.3,direction=to-host")])
    prompt, _ = powered([])
    for board in (late, prompt):
        board.receive(0, work(1), BAUD, 0.0)
    assert advance(late, 0.3) == b""
    assert advance(late, 5.3) == advance(prompt, 5.0)
    to_board, ledger = powered([parse_fault("delay=0.5,direction=to-board")])
    to_board.receive(0, work(1), BAUD, 0.0)
    assert to_board.next_timeout() == 0.5
    advance(to_board, 0.4)
    assert ledger.works_received == 0
    advance(to_board, 0.5)
    assert ledger.works_received == 1


def test_silence_swallows_whole_works_without_harm_to_the_next() -> None:
    board, ledger = powered([parse_fault("silence=2,lasting=3,direction=to-board")])
    run(board, 10)
    assert [received.at for received in ledger.works] == [0, 1, 5, 6, 7, 8, 9]
    assert ledger.works_damaged == 0
    deaf, ledger = powered([parse_fault("silence=0,direction=to-host")])
    assert b"".join(run(deaf, 3)) == b""
    assert ledger.replies_damaged == ledger.replies_sent > 0


def test_only_the_port_named_is_hit() -> None:
    board, ledger = powered([parse_fault("drop=1,port=1")])
    run(board, 2)
    board.receive(1, b"rts=1\n", BAUD, 2.0)
    assert board.pins() == {"reset_released": 1}
    assert ledger.replies_damaged == ledger.works_damaged == 0


def test_power_forgets_what_is_on_the_wire() -> None:
    board, _ = powered([parse_fault("delay=0.5")])
    board.receive(0, work(1), BAUD, 0.0)
    board.power_up(0.1)
    assert board.next_timeout() is None
    assert board.take_output(0) == b""


def test_a_plan_from_its_text() -> None:
    plan = parse_fault("bytes=0.03, direction=to-host,seed=7,port=1,unplug=5,replug=2")
    assert plan == FaultPlan(7, Direction.TO_HOST, 1, 0.01, 0.01, 0.01, unplug=5, replug=2)
    assert parse_fault("") == FaultPlan()
    assert plan.lasting == math.inf


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bytes=1.01", "1 together|0 to 1"),
        ("flip=1,drop=0.001", "over 1 together"),
        ("drop=-0.001", "a rate is 0 to 1"),
        ("nonces=1.001", "a rate is 0 to 1"),
        ("delay=-1", "0 or more"),
        ("delay=nan", "0 or more"),
        ("delay=inf", "silence=0"),
        ("gremlins=1", "no fault; known are bytes, "),
        ("flip", "a number is wanted"),
        ("seed=x", "a number is wanted"),
        ("direction=up", "both/to-host/to-board is wanted"),
    ],
)
def test_plans_that_are_none(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_fault(text)


def test_the_limits_of_rates_are_rates() -> None:
    for text in ("flip=0", "flip=1", "nonces=1", "flip=0.5,drop=0.5", "bytes=1"):
        parse_fault(text)
