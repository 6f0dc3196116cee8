"""BM1384 and BM1387 chains, driver against emulator, on the loop's virtual clock."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.engine import Damaged, Nonce
from sv2rig.devices.device import DeviceState
from sv2rig.devices.slices import cut
from sv2rig.drivers.bm13xx.driver import DRIVER, ChainBoard
from sv2rig.drivers.bm13xx.emulator import EMULATOR
from sv2rig.drivers.bm13xx.old_chain import OldChain
from sv2rig.drivers.bm13xx.old_framing import BM1384, BM1387, OldChip
from sv2rig.drivers.bm13xx.old_wire import OldWire
from sv2rig.emulation.emulator import EmulatorOptions

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"
EASY = (1 << 244) - 1
BUSY = [bytes.fromhex("7203ea83"), bytes.fromhex("e16bf809")]


class Bench:
    """A hash board with these chips, and all that the driver writes to it."""

    def __init__(self, chip: str, count: int, **more: str) -> None:
        options = EmulatorOptions(ticket_bits=12, more={"chip": chip, "chips": str(count)})
        self.emulator = EMULATOR.make(options)
        self.wires = EmulatedBoard(self.emulator)
        self.written: list[tuple[bytes, int]] = []
        deliver = self.wires.deliver

        def keep(port: int, data: bytes, baud: int) -> None:
            self.written.append((data, baud))
            deliver(port, data, baud)

        self.wires.deliver = keep  # type: ignore[method-assign]
        self.board = DRIVER.make(plug_of(self.wires, chip=chip, **more))
        self.sink = RecordingSink(self.board)

    async def ready(self) -> None:
        self.board.start(self.sink)
        await self.sink.state(DeviceState.READY)

    async def end(self) -> None:
        self.board.stop()
        await self.board.stopped()
        assert self.wires.open_lines == 0

    @property
    def wire(self) -> OldWire:
        assert isinstance(self.board, ChainBoard)
        assert isinstance(self.board.chain, OldChain)
        return self.board.chain.wire


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("chip", ["BM1384", "BM1387"])
def test_it_starts_up_and_mines(chip: str, count: int) -> None:
    async def main() -> None:
        bench = Bench(chip, count, chips=str(count))
        await bench.ready()
        assert bench.board.name == f"{count} x {chip}"
        bench.sink.give(random_work(1, bench.board.ticket))
        await bench.sink.count(200)
        sink = bench.sink
        assert sink.wrong == sink.comm_errors == 0
        assert len(set(sink.found)) == len(sink.found)
        await bench.end()

    run_virtual(main())


def test_a_bm1387_job_covers_four_versions() -> None:
    async def main() -> None:
        bench = Bench("BM1387", 1)
        await bench.ready()
        bench.sink.give(random_work(1, bench.board.ticket))
        await bench.sink.count(60)
        jobs = [data for data, _ in bench.written if data[0] == 0x21 and any(data[20:52])]
        assert all(len(job) == 0x96 and job[3] == 4 for job in jobs)
        assert {found.version for found in bench.sink.found} == {
            0x20000000 | bits << 13 for bits in range(4)
        }
        await bench.end()

    run_virtual(main())


@pytest.mark.parametrize("chip", ["BM1384", "BM1387"])
def test_without_version_bits_a_job_has_one_midstate(chip: str) -> None:
    kind = BM1384 if chip == "BM1384" else BM1387
    wire = OldWire(kind, 1, EASY, lambda: 0.0)
    work = random_work(1, EASY)
    plain = replace(work, version_bits=1 << 13)
    assert wire.rolled(plain) == 0
    job = wire.encode(wire.job_ids[1], next(cut(plain, wire.rolled(plain))))
    assert len(job) == (64 if kind is BM1384 else 0x36)


@pytest.mark.parametrize(("chip", "size"), [("BM1384", 64), ("BM1387", 0x96)])
def test_answers_to_busy_jobs_are_no_shares_but_signs_of_life(chip: str, size: int) -> None:
    async def main() -> None:
        bench = Bench(chip, 1)
        await bench.ready()
        assert len([data for data, _ in bench.written if len(data) == size]) in (55, 114)
        ledger = bench.emulator.wires.ledger
        sent = ledger.replies_sent
        await asyncio.sleep(5.0)
        assert ledger.replies_sent > sent
        assert bench.wire.busy_answers >= ledger.replies_sent - sent > 0
        assert not bench.sink.comm_errors
        assert not bench.sink.found
        await bench.end()

    run_virtual(main())


@pytest.mark.parametrize("chip", [BM1384, BM1387])
@pytest.mark.parametrize("nonce", BUSY)
def test_the_two_known_busy_nonces_are_swallowed(chip: OldChip, nonce: bytes) -> None:
    wire = OldWire(chip, 1, (1 << 224) - 1, lambda: 0.0)
    assert wire.decode(_reply(chip, nonce, 0)) == []
    assert wire.busy_answers == 1


def test_the_commands_are_those_of_the_vectors() -> None:
    known = {
        bytes.fromhex(vector["out"]["frame"])
        for vector in _vectors("bm1387_commands.json")
        if "frame" in vector["out"]
    }

    async def main() -> None:
        bench = Bench("BM1387", 64)
        await bench.ready()
        commands = [data for data, _ in bench.written if len(data) in (5, 9)]
        assert {
            bytes.fromhex("5405000019"),
            bytes.fromhex("5505000010"),
            bytes.fromhex("410504000a"),
        } == known & set(commands)
        # The order: who is there, silence, addresses, the line's speed, blocks and ticket, clocks.
        kinds = [command[0] if len(command) == 5 else command[3] for command in commands]
        order = list(dict.fromkeys(kinds))
        assert order == [0x54, 0x55, 0x41, 0x1C, 0x18, 0x0C]
        assert commands.count(bytes.fromhex("5505000010")) == 3
        addresses = [command[2] for command in commands if command[0] == 0x41]
        assert addresses == list(range(0, 256, 4))
        speed = [baud for data, baud in bench.written if data[3:4] == b"\x18"]
        assert speed == [1_041_667]
        await bench.end()

    run_virtual(main())


@pytest.mark.parametrize("chip", [BM1384, BM1387])
def test_back_in_step_at_the_next_reply(chip: OldChip) -> None:
    """A byte lost, one too many and one changed, the next reply right behind it."""
    now = 1.0
    wire = OldWire(chip, 1, EASY, lambda: now)
    work = random_work(7, EASY)
    piece = next(cut(work, wire.rolled(work)))
    wire.encode(0, piece)
    good = [
        nonce
        for nonce in (number.to_bytes(4, "big") for number in range(30_000))
        if piece.is_met(piece.solution(nonce))
    ]
    first, second = good[:2]
    frame, after = _reply(chip, first, 0), _reply(chip, second, 0)
    for place in range(len(frame)):
        changed = frame[:place] + bytes((frame[place] ^ 0x55,)) + frame[place + 1 :]
        for damaged in (
            frame[:place] + frame[place + 1 :],
            frame[:place] + b"\x81" + frame[place:],
            changed,
        ):
            found = wire.decode(damaged + after)
            assert found[-1] == Nonce(second, 0, index=0), damaged.hex()
            assert len(found) >= 2
            now += 1.0


def test_what_a_silent_line_left_is_one_error() -> None:
    now = 1.0
    wire = OldWire(BM1387, 1, EASY, lambda: now)
    assert wire.decode(b"\x12\x34\x56") == []
    now += 1.0
    first = wire.decode(_reply(BM1387, BUSY[0], 0))
    assert [type(one) for one in first] == [Damaged]
    assert wire.busy_answers == 1


def test_a_board_short_of_chips_is_named_so() -> None:
    async def main() -> None:
        bench = Bench("BM1387", 11, chips="12")
        bench.board.start(bench.sink)
        await bench.sink.state(DeviceState.RESETTING)
        assert any("11 of 12 chips" in reason for _, reason in bench.sink.states)
        await bench.end()

    run_virtual(main())


def test_a_chain_left_at_its_fast_speed_is_found() -> None:
    """As by a program that was killed, where nothing resets the chips."""

    async def main() -> None:
        bench = Bench("BM1387", 2)
        await bench.ready()
        await bench.end()
        again = DRIVER.make(plug_of(bench.wires, chip="BM1387"))
        sink = RecordingSink(again)
        again.start(sink)
        await sink.state(DeviceState.READY)
        assert again.name == "2 x BM1387"
        again.stop()
        await again.stopped()

    run_virtual(main())


def test_a_clock_out_of_range_is_refused() -> None:
    async def main() -> None:
        wires = EmulatedBoard(EMULATOR.make(EmulatorOptions(more={"chip": "BM1384"})))
        plug = plug_of(wires, chip="BM1384")
        plug.settings["frequency"] = 600.0
        with pytest.raises(ValueError, match="100 to 500 MHz"):
            DRIVER.make(plug)

    run_virtual(main())


def _vectors(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())["vectors"]
    return loaded


def _reply(chip: OldChip, nonce: bytes, job_id: int) -> bytes:
    """By the definition: CRC5 of x^5 + x^2 + 1 from all ones, over all but its own bits."""
    if chip is BM1384:
        return nonce + bytes((0x80 | job_id,))
    body = nonce + bytes((0, job_id, 0x80))
    register = 31
    for index in range(8 * 6 + 3):
        bit = body[index // 8] >> 7 - index % 8 & 1
        register = (register << 1 & 31) ^ (5 if register >> 4 ^ bit else 0)
    return body[:6] + bytes((0x80 | register,))
