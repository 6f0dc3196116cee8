"""Talks with a ZTEX board, blocking, on a thread of their own: who are you, take this bitstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sv2rig.boards.line import BoardError, LineLostError
from sv2rig.boards.usb import UsbError
from sv2rig.drivers.ztex.protocol import (
    BEGIN_HIGH_SPEED,
    CHUNK_HIGH_SPEED,
    END_HIGH_SPEED,
    READ_DESCRIPTOR,
    READ_FPGAS,
    READ_HIGH_SPEED,
    READ_MINER,
    READ_STATE,
    RESET_FPGA,
    TEST_HEADER,
    Descriptor,
    FpgaState,
    Miner,
    Read,
    Send,
    decode_fpgas,
    decode_high_speed,
    low_speed_chunks,
    select_fpga,
    set_clock,
    start_job,
)

HIGH_SPEED_TRIES = 3
LOW_SPEED_TRIES = 3
_CHUNK_S = 5.0


class UsbTransfers(Protocol):
    """What a session asks of an open USB device (sv2rig.boards.usb.UsbLine)."""

    def control_in(self, request: int, length: int) -> bytes: ...

    def control_out(
        self, request: int, data: bytes = b"", value: int = 0, timeout_s: float = 1.0
    ) -> None: ...

    def bulk_out(self, endpoint: int, data: bytes) -> int: ...

    def claim(self, interface: int) -> None: ...

    def release(self, interface: int) -> None: ...


class ConfigureError(BoardError):
    """An FPGA does not take its bitstream."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a board is."""

    descriptor: Descriptor
    miner: Miner
    fpgas: int

    def on(self, fpga: int, *transfers: Read | Send) -> list[Read | Send]:
        """Transfers meant for one FPGA of the board."""
        if self.descriptor.several_fpgas:
            return [select_fpga(fpga), *transfers]
        return list(transfers)


def perform(usb: UsbTransfers, transfers: Sequence[Read | Send]) -> list[bytes]:
    """Does them in order; what each Read gave."""
    answers = []
    for transfer in transfers:
        match transfer:
            case Read(request, length):
                answers.append(usb.control_in(request, length))
            case Send(request, data, value):
                usb.control_out(request, data, value, _CHUNK_S if len(data) > 64 else 1.0)
    return answers


def identify(usb: UsbTransfers) -> Found:
    """Reads what the board says of itself; ZtexProtocolError if it is another."""
    descriptor = Descriptor.decode(*perform(usb, [READ_DESCRIPTOR]))
    miner = Miner.decode(*perform(usb, [READ_MINER]))
    fpgas = decode_fpgas(*perform(usb, [READ_FPGAS])) if descriptor.several_fpgas else 1
    return Found(descriptor, miner, fpgas)


def reset_all(usb: UsbTransfers, found: Found) -> None:
    """Every FPGA loses its configuration, and with it draws next to nothing."""
    for fpga in range(found.fpgas):
        perform(usb, found.on(fpga, RESET_FPGA))


def start_test(usb: UsbTransfers, found: Found) -> None:
    """Known work for every FPGA, at the clock that its board starts it with."""
    clock = set_clock(found.miner.multiplier)
    for fpga in range(found.fpgas):
        perform(usb, found.on(fpga, clock, start_job(TEST_HEADER)))


def read_test(usb: UsbTransfers, found: Found) -> list[bool]:
    """Whether each FPGA has hashed it rightly with all of its units."""
    miner = found.miner
    answers = [perform(usb, found.on(fpga, miner.read_results))[0] for fpga in range(found.fpgas)]
    return [all(slot.is_right(TEST_HEADER) for slot in miner.results(data)) for data in answers]


def configure(usb: UsbTransfers, found: Found, fpga: int, bitstream: bytes) -> None:
    """Loads one FPGA, the fast way if the board has it, else (or if that fails) the slow one.

    `bitstream` as the pins take it. ConfigureError if the FPGA does not start with it.
    """
    if not found.descriptor.configures:
        raise ConfigureError("the board's firmware cannot load a bitstream: it must be renewed")
    perform(usb, found.on(fpga))
    reason = ""
    if found.descriptor.high_speed:
        reason = _attempts(usb, HIGH_SPEED_TRIES, lambda: _high_speed(usb, bitstream))
        if not reason:
            return
    reason = _attempts(usb, LOW_SPEED_TRIES, lambda: _low_speed(usb, bitstream))
    if reason:
        raise ConfigureError(
            f"FPGA {fpga} does not start with this bitstream ({len(bitstream)} bytes): {reason}; "
            f"is it the one for {found.miner.bitstream}?"
        )


def _attempts(usb: UsbTransfers, tries: int, load: Callable[[], None]) -> str:
    """Why the last of these tries failed; "" when one did not."""
    reason = ""
    for _ in range(tries):
        try:
            load()
            state = FpgaState.decode(*perform(usb, [READ_STATE]))
        except LineLostError:
            raise
        except UsbError as error:
            reason = str(error)
            continue
        if state.configured:
            return ""
        reason = (
            f"its DONE pin stays low (it counted {state.size} bytes, checksum {state.checksum:02x})"
        )
    return reason


def _high_speed(usb: UsbTransfers, bitstream: bytes) -> None:
    endpoint, interface = decode_high_speed(*perform(usb, [READ_HIGH_SPEED]))
    usb.claim(interface)
    try:
        perform(usb, [RESET_FPGA, BEGIN_HIGH_SPEED])
        for start in range(0, len(bitstream), CHUNK_HIGH_SPEED):
            _bulk(usb, endpoint, bitstream[start : start + CHUNK_HIGH_SPEED])
        perform(usb, [END_HIGH_SPEED])
    finally:
        usb.release(interface)


def _bulk(usb: UsbTransfers, endpoint: int, data: bytes) -> None:
    while data:
        taken = usb.bulk_out(endpoint, data)
        if taken <= 0:
            raise UsbError(f"endpoint {endpoint:#04x} takes no more of the bitstream")
        data = data[taken:]


def _low_speed(usb: UsbTransfers, bitstream: bytes) -> None:
    perform(usb, [RESET_FPGA, *low_speed_chunks(bitstream)])
