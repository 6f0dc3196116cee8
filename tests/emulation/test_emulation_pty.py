"""Emulated boards on real ptys: speeds, who has them open, the plug, and the announcement."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import stat
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from toy_board import RATE_HS, ToyBoard

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.emulation.announce import AnnounceError, Name, make_folder
from sv2rig.emulation.bus import Bus, ServedBoard
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.faults import FaultyBoard, parse_fault
from sv2rig.emulation.pty import PtyOutlet
from sv2rig.emulation.pty_port import PtyPort

WORK = bytes(range(76)) + bytes(4)
SPEEDS = [9600, 115_200, 1_000_000, 1_562_500, 3_125_000]  # two are not classic ones
HARD = EmulatorOptions(ticket_bits=40)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def set_speed(descriptor: int, speed: int) -> None:
    flags = termios.tcgetattr(descriptor)
    flags[4] = flags[5] = speed
    termios.tcsetattr(descriptor, termios.TCSANOW, flags)


async def read(descriptor: int, size: int) -> bytes:
    """Bytes as they come, without a clock but the board's own pace."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    done = loop.create_future()

    def arrived() -> None:
        try:
            got.extend(os.read(descriptor, size - len(got)))
        except OSError as error:
            done.set_exception(error)
            return
        if len(got) >= size:
            done.set_result(bytes(got))

    loop.add_reader(descriptor, arrived)
    try:
        async with asyncio.timeout(20):
            return bytes(await done)
    finally:
        loop.remove_reader(descriptor)


async def settle(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208


def toy(board: ServedBoard) -> ToyBoard:
    assert isinstance(board.board, ToyBoard)
    return board.board


def port_of(board: ServedBoard) -> PtyPort:
    assert isinstance(board.outlet, PtyOutlet)
    return board.outlet.ports[0]


async def test_answers_over_a_pty_are_hashed(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(EmulatorOptions(ticket_bits=8)))
        with opened(board.paths[0]) as host:
            set_speed(host, termios.B115200)
            os.write(host, WORK)
            replies = await read(host, 12)
    for at in range(0, 12, 4):
        assert sha256d(WORK[:76] + replies[at : at + 4])[-1] == 0
    assert toy(board).wires.ledger.works_damaged == 0
    assert toy(board).wires.ledger.hashes > 0


async def test_a_work_written_in_pieces_is_intact(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(HARD))
        ledger = toy(board).wires.ledger
        with opened(board.paths[0]) as host:
            set_speed(host, termios.B115200)
            os.write(host, WORK[:30])
            await settle(lambda: len(toy(board).wires.inbound[0].buffer) == 30)
            os.write(host, WORK[30:] + WORK)
            await settle(lambda: ledger.works_received == 2)
    assert ledger.works_damaged == 0


async def test_the_speed_that_the_host_sets_is_known(tmp_path: Path) -> None:
    speeds: list[int] = []

    class Listener(ToyBoard):
        def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
            speeds.append(baud)

    with Bus(tmp_path) as bus:
        board = bus.add(Listener(HARD))
        for speed in SPEEDS:
            with serial.Serial(str(board.paths[0]), speed, timeout=0) as host:
                host.write(b"x")
                await settle(lambda: speeds[-1:] == [host.baudrate])
    assert speeds == SPEEDS


async def test_a_wrong_speed_is_not_heard(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(HARD))
        with opened(board.paths[0]) as host:
            set_speed(host, termios.B9600)
            os.write(host, WORK)
            await settle(lambda: port_of(board).hosts == 1)
            set_speed(host, termios.B115200)
            os.write(host, WORK)
            await settle(lambda: toy(board).wires.ledger.works_received == 1)


async def test_what_nobody_listens_to_is_lost_as_on_a_closed_tty(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(EmulatorOptions(ticket_bits=4)))
        ledger = toy(board).wires.ledger
        with opened(board.paths[0]) as host:
            set_speed(host, termios.B115200)
            os.write(host, WORK)
            await settle(lambda: ledger.replies_sent > 20)  # unread
        sent = ledger.replies_sent
        await settle(lambda: ledger.replies_sent > sent + 20)
        with opened(board.paths[1]) as reset:
            os.write(reset, b"rts=1\n")
            await settle(lambda: toy(board).reset)
        with opened(board.paths[0]) as host, pytest.raises(BlockingIOError):
            os.read(host, 1)


async def test_exclusive_use_ends_with_its_host(tmp_path: Path) -> None:
    """On a pty TIOCEXCL would outlive the host that set it: TIOCGEXCL tells."""
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(HARD))
        port = port_of(board)
        with opened(board.paths[0]) as host:
            fcntl.ioctl(host, termios.TIOCEXCL)
            assert _exclusive(host)
            await settle(lambda: port.hosts == 1)
            assert _exclusive(host)
        await settle(lambda: port.hosts == 0)
        with opened(board.paths[0]) as host:
            assert not _exclusive(host)


def _exclusive(descriptor: int) -> bool:
    tiocgexcl = 0x80045440
    return bool(int.from_bytes(fcntl.ioctl(descriptor, tiocgexcl, bytes(4)), "little"))


async def test_unplug_and_replug_leave_nothing_behind(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(HARD))
        before = descriptors()
        for time in range(2, 7):
            with opened(board.paths[0]) as host:
                board.unplug()
                with pytest.raises(OSError, match="Input/output") as lost:
                    os.write(host, WORK)
                assert lost.value.errno == errno.EIO
                assert os.read(host, 1) == b""
            assert names(tmp_path) == ["toy.lock"]
            board.plug_in()
            assert toy(board).power_ups == time
            assert descriptors() == before


async def test_a_plug_that_a_fault_pulls(tmp_path: Path) -> None:
    plans = [parse_fault("unplug=0.02,replug=0.02")]
    with Bus(tmp_path) as bus:
        inner = ToyBoard(HARD)
        board = bus.add(FaultyBoard(inner, plans), plans=plans)
        await settle(lambda: board.paths == ())
        await settle(lambda: inner.power_ups == 3)
    assert names(tmp_path) == []


async def test_no_timer_and_no_wake_up_without_work(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        board = bus.add(ToyBoard(HARD))
        with opened(board.paths[0]):
            await settle(lambda: port_of(board).hosts == 1)
        assert board._timer is None


async def test_the_announcement(tmp_path: Path) -> None:
    with Bus(tmp_path) as bus:
        first, second = (bus.add(ToyBoard(HARD)) for _ in range(2))
        told = json.loads((tmp_path / "toy.json").read_text())
        assert told == {
            "driver": "toy",
            "usb_path": "emulated:toy",
            "vid": 0x1234,
            "pid": 0x5678,
            "bcd": 0x100,
            "manufacturer": "Toys",
            "product": "Toy Miner",
            "serial": "T1",
            "ticket_bits": 40,
            "rate_hs": RATE_HS,
            "replay": False,
            "files": {},
            "ports": [
                {"path": str(tmp_path / "toy"), "interface": 0, "name": "data"},
                {"path": str(tmp_path / "toy-reset"), "interface": 1, "name": "reset"},
            ],
        }
        targets = [os.readlink(path) for path in first.paths + second.paths]  # noqa: PTH115
        assert len(set(targets)) == 4
        assert all(target.startswith("/dev/pts/") for target in targets)
        assert [path.name for path in second.paths] == ["toy-2", "toy-2-reset"]
    assert names(tmp_path) == []


def test_what_a_dead_emulator_left_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(json.dumps({"ports": [{"path": "/gone/toy-reset"}]}))
    (tmp_path / "toy.lock").touch()
    (tmp_path / "toy").symlink_to("/dev/pts/999")
    (tmp_path / "toy-reset").symlink_to("/dev/pts/998")
    name = Name(tmp_path, "toy")
    assert name.text == "toy"
    assert [path.name for path in tmp_path.iterdir()] == ["toy.lock"]
    assert Name(tmp_path, "toy").text == "toy-2"
    name.give_back()
    assert Name(tmp_path, "toy").text == "toy"


def test_the_folder_is_this_users_alone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "sv2rig-7" / "emulated")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_folder(folder) == folder
    folder.chmod(0o777)
    with pytest.raises(AnnounceError, match="chmod 700"):
        make_folder(folder)
    folder.chmod(0o700)
    folder.parent.chmod(0o777)
    with pytest.raises(AnnounceError, match="chmod 700"):
        make_folder(folder)
    folder.parent.chmod(0o1777)  # as /tmp is: what is ours there stays ours
    assert make_folder(folder) == folder
    folder.chmod(0o1777)
    with pytest.raises(AnnounceError, match="chmod 700"):
        make_folder(folder)
    folder.chmod(0o700)
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(tmp_path / "sv2rig-7")
    with pytest.raises(AnnounceError, match="written by others"):
        make_folder(elsewhere / "emulated")
    (tmp_path / "file").touch()
    with pytest.raises(AnnounceError, match="cannot be made"):
        make_folder(tmp_path / "file" / "emulated")
