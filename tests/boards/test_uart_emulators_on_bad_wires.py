"""What a board on a bad wire makes of its work, beside what its ledger says of it."""

from collections import deque
from collections.abc import Callable

import pytest
from board_on_clock import BoardOnClock, hash_value, vectors

from sv2rig.drivers.fpga_uart.emulator import EMULATOR as FPGA_UART
from sv2rig.drivers.icarus.emulator import EMULATOR as ICARUS
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import FaultyBoard, parse_fault

TICKET_BITS = 12
TICKET = (1 << 256 - TICKET_BITS) - 1
WORKS = 150
QUICK = vectors("quick_solve.json")["quick-0"]
HEADER = bytes.fromhex(QUICK["in"]["header_76"])


def icarus_work(ntime: bytes) -> bytes:
    work = bytes.fromhex(QUICK["out"]["icarus"]["work"])
    return work[:56] + ntime + work[60:]


def pyfpga_work(ntime: bytes) -> bytes:
    work = bytes.fromhex(QUICK["out"]["pyfpga"]["host"])
    return work[:37] + ntime + work[41:]


def kc705_work(ntime: bytes) -> bytes:
    line = QUICK["out"]["kc705"]["line"]
    return f"{line[:8]}{ntime[::-1].hex()}{line[16:]}".encode()


def zeros_until_a_reply(line: BoardOnClock) -> None:
    for _ in range(200):
        line.write(b"\x00")
        if line.wait(0.03):
            return
    raise AssertionError


def a_new_start(line: BoardOnClock) -> None:
    """A makomk that is out of step answers on, so no reply says where its next work begins."""
    line.board.power_up(line.now)


def forty_five_zeros(line: BoardOnClock) -> None:
    line.write(bytes(45))


def a_line_feed(line: BoardOnClock) -> None:
    line.write(b"\n")


@pytest.mark.parametrize(
    ("kind", "variant", "work", "back_in_step"),
    [
        (ICARUS, "icarus", icarus_work, zeros_until_a_reply),
        (FPGA_UART, "makomk", icarus_work, a_new_start),
        (FPGA_UART, "pyfpga", pyfpga_work, forty_five_zeros),
        (FPGA_UART, "kc705", kc705_work, a_line_feed),
    ],
    ids=["icarus", "makomk", "pyfpga", "kc705"],
)
def test_what_the_ledger_calls_intact_is_right(
    kind: EmulatorKind,
    variant: str,
    work: Callable[[bytes], bytes],
    back_in_step: Callable[[BoardOnClock], None],
) -> None:
    """Bytes to the board flipped, lost, doubled: hashlib finds every reply right that the ledger
    calls intact; what it calls damaged is right by chance, or where the damage met filler."""
    plan = parse_fault("bytes=0.002,direction=to-board,seed=5")
    options = EmulatorOptions(TICKET_BITS, rate_hs=1e6, more={"variant": variant})
    line = BoardOnClock(FaultyBoard(kind.make(options), [plan]))
    ledger = line.board.wires.ledger
    right = {True: 0, False: 0}
    wrong = 0
    headers = deque[bytes](maxlen=4)  # a board that missed a work's start goes on with one before
    for number in range(WORKS):
        ntime = number.to_bytes(4, "little")
        headers.append(HEADER[:68] + ntime + HEADER[72:])
        seen = ledger.replies_sent
        line.write(work(ntime))
        line.wait(0.03)
        new = list(ledger.replies)[seen:]
        valid = [any(hash_value(h, reply.nonce) <= TICKET for h in headers) for reply in new]
        for reply, fits in zip(new, valid, strict=True):
            assert fits or reply.damaged
            right[reply.damaged] += fits
            wrong += not fits
        if not all(valid) or not new:
            back_in_step(line)
            line.wait(0.03)
    assert ledger.works_damaged > WORKS / 20
    assert wrong > 5
    assert right[False] > 0.6 * WORKS
    assert right[True] < wrong
