"""What is plugged in, what comes and goes, and why a port cannot be used."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import shutil
import socket
import tempfile
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from sysfs_tree import SysfsTree
from unprivileged import run_unprivileged
from virtual_time import run_virtual

from sv2rig.boards.announcements import emulated_boards
from sv2rig.boards.port_state import Obstacle, problems
from sv2rig.boards.ports import Change, PortWatcher, resolve
from sv2rig.boards.surroundings import look_around
from sv2rig.boards.usb_tree import is_still_there, usb_devices
from sv2rig.devices.detection import OptIn
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting, emulated_folder


@pytest.fixture
def machine(tmp_path: Path) -> SysfsTree:
    return SysfsTree(tmp_path / "machine")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "emulated"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def pty_pair() -> Iterator[tuple[int, str]]:
    """A master and its slave's path."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def only(machine: SysfsTree) -> Sighting:
    (seen,) = usb_devices(machine.root)
    return seen.sighting


# What sysfs shows


def test_a_device_with_its_strings_and_ports(machine: SysfsTree) -> None:
    machine.plug(
        "1-2.3",
        0x10C4,
        0xEA70,
        "Silicon Labs",
        "GekkoScience Compac A1",
        "A1-7",
        ttys=["ttyUSB5", "ttyUSB4"],
    )
    assert only(machine) == Sighting(
        "1-2.3",
        0x10C4,
        0xEA70,
        0x0100,
        "Silicon Labs",
        "GekkoScience Compac A1",
        "A1-7",
        (Port("/dev/ttyUSB5", 0), Port("/dev/ttyUSB4", 1)),  # by interface, not by name
        "cp210x",
    )


def test_an_interface_number_beyond_nine_is_hexadecimal(machine: SysfsTree) -> None:
    machine.plug("1-2", 0xC0DE, 0xCAFE, ttys=["ttyACM9", "ttyACM1"], interfaces=[0x0A, 0x02])
    assert only(machine).ports == (Port("/dev/ttyACM1", 2), Port("/dev/ttyACM9", 10))


def test_hubs_are_left_out_and_strangers_are_not(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x05E3, 0x0608, "Generic", "USB Hub", device_class=9, driver="hub")
    machine.plug("1-3", 0x221A, 0x0100, "ZTEX", "USB-FPGA Module 1.15y", driver=None)
    (machine.root / "sys/class/tty/ttyS0").mkdir()
    sighting = only(machine)
    assert (sighting.usb_path, sighting.ports, sighting.kernel_driver) == ("1-3", (), None)


def test_a_machine_without_usb_or_sysfs(tmp_path: Path) -> None:
    assert usb_devices(tmp_path) == ()


def test_damaged_attributes_are_no_device(machine: SysfsTree) -> None:
    device = machine.plug("1-2", 0x10C4, 0xEA60, serial="x")
    (device / "serial").write_bytes(b"\xff\xfe\n")
    assert only(machine).serial == "\ufffd\ufffd"
    (device / "idVendor").write_text("no number")
    assert usb_devices(machine.root) == ()


def test_whether_it_is_still_there(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x10C4, 0xEA70, "A", "B", "S", ttys=["ttyUSB0", "ttyUSB1"])
    sighting = only(machine)
    assert is_still_there(sighting, machine.root)
    machine.unplug("1-1")
    assert not is_still_there(sighting, machine.root)
    machine.plug("1-2", 0x10C4, 0xEA70, "A", "B", "S", ttys=["ttyUSB0", "ttyUSB1"])
    assert not is_still_there(sighting, machine.root)  # its tty names are another's
    machine.plug("1-1", 0x10C4, 0xEA70, "A", "B", "S", ttys=["ttyUSB2", "ttyUSB3"])
    assert not is_still_there(sighting, machine.root)
    assert is_still_there(Sighting("tty:/dev/ttyS0", ports=(Port("/dev/ttyS0"),)), machine.root)


# What comes and goes


class Bell:
    """Events that the test makes."""

    def __init__(self) -> None:
        self.ring: Callable[[], None] = lambda: None

    @contextmanager
    def __call__(self, happened: Callable[[], None]) -> Iterator[None]:
        self.ring = happened
        yield
        self.ring = lambda: None


def watch(
    machine: SysfsTree,
    folder: Path,
    steps: Callable[[AsyncIterator[Change], Bell], Awaitable[None]],
    *opted_in: OptIn,
) -> None:
    """Run the test's steps on the watcher's changes, in virtual time."""

    async def main() -> None:
        bell = Bell()
        watcher = PortWatcher(opted_in, root=machine.root, folder=folder, events=bell)
        async with aclosing(watcher.changes()) as changes:
            await steps(changes, bell)

    run_virtual(main())


def names(change: Change) -> tuple[list[str], list[str]]:
    return [s.usb_path for s in change.added], [s.usb_path for s in change.removed]


def test_changes_come_in_batches(machine: SysfsTree, folder: Path) -> None:
    async def steps(changes: AsyncIterator[Change], bell: Bell) -> None:
        assert names(await anext(changes)) == (["1-1"], [])
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        machine.unplug("1-1")
        bell.ring()
        await asyncio.sleep(0.05)
        for number in range(2, 12):  # a hub's ten boards come while it settles
            machine.plug(f"1-{number}", 0x0403, 0x6015, ttys=[f"ttyUSB{number}"])
            bell.ring()
        added, removed = names(await following)
        assert (len(added), removed) == (10, ["1-1"])

    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    watch(machine, folder, steps)


def test_the_same_board_plugged_in_anew_is_both_removed_and_added(
    machine: SysfsTree, folder: Path
) -> None:
    async def steps(changes: AsyncIterator[Change], bell: Bell) -> None:
        await anext(changes)
        machine.unplug("1-1")
        machine.plug("1-1", 0x10C4, 0xEA60, serial="S", ttys=["ttyUSB0"])
        bell.ring()
        assert names(await anext(changes)) == (["1-1"], ["1-1"])
        machine.unplug("1-1")
        machine.plug("1-1", 0x10C4, 0xEA60, serial="S", ttys=["ttyUSB1"])
        bell.ring()
        change = await anext(changes)
        assert change.removed[0].ports == (Port("/dev/ttyUSB0"),)
        assert change.added[0].ports == (Port("/dev/ttyUSB1"),)

    machine.plug("1-1", 0x10C4, 0xEA60, serial="S", ttys=["ttyUSB0"])
    watch(machine, folder, steps)


def test_a_device_that_libusb_takes_has_not_changed(machine: SysfsTree, folder: Path) -> None:
    """Else a board on libusb would be unplugged by its own driver."""

    async def steps(changes: AsyncIterator[Change], bell: Bell) -> None:
        await anext(changes)
        (device / "1-1:1.0" / "driver").symlink_to(machine.root / "sys/bus/usb/drivers/usbfs")
        bell.ring()
        machine.plug("1-2", 0x0403, 0x6015, ttys=["ttyUSB0"])
        assert names(await anext(changes)) == (["1-2"], [])

    device = machine.plug("1-1", 0x221A, 0x0100, "ZTEX", driver=None)
    watch(machine, folder, steps)


def test_without_events_it_looks_again_by_itself(machine: SysfsTree, folder: Path) -> None:
    async def steps(changes: AsyncIterator[Change], bell: Bell) -> None:
        await anext(changes)
        machine.unplug("1-1")
        async with asyncio.timeout(2.5):
            assert names(await anext(changes)) == ([], ["1-1"])

    machine.plug("1-1", 0x10C4, 0xEA60)
    watch(machine, folder, steps)


def test_events_without_end_do_not_put_it_off_for_ever(machine: SysfsTree, folder: Path) -> None:
    async def steps(changes: AsyncIterator[Change], bell: Bell) -> None:
        async def chatter() -> None:
            while True:
                bell.ring()
                await asyncio.sleep(0.05)

        await anext(changes)
        noise = asyncio.ensure_future(chatter())
        machine.unplug("1-1")
        async with asyncio.timeout(1.5):
            await anext(changes)
        noise.cancel()

    machine.plug("1-1", 0x10C4, 0xEA60)
    watch(machine, folder, steps)


def test_opted_in_ports_without_usb(
    machine: SysfsTree, folder: Path, pty_pair: tuple[int, str]
) -> None:
    (machine.root / "dev/ttyAMA0").symlink_to(pty_pair[1])  # a character device, as a port is
    (machine.root / "dev/file").write_text("")
    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    opted_in = [
        OptIn(what) for what in ("/dev/ttyAMA0", "/dev/ttyUSB0", "/dev/file", "/dev/no", "S")
    ]
    watcher = PortWatcher(opted_in, root=machine.root, folder=folder)
    assert [seen.usb_path for seen in watcher.current()] == ["1-1", "tty:/dev/ttyAMA0"]
    assert watcher.current()[1].ports == (Port("/dev/ttyAMA0"),)


# Emulators


def announce(folder: Path, path: str, **changed: object) -> Path:
    link = folder / "icarus"
    if not link.is_symlink():
        link.symlink_to(path)
    told = {
        "driver": "icarus",
        "usb_path": "emulated:icarus",
        "vid": 0x067B,
        "pid": 0x2303,
        "bcd": None,
        "manufacturer": "Prolific Technology Inc.",
        "product": "USB-Serial Controller",
        "serial": None,
        "ports": [{"path": str(link), "interface": 0}],
        "ticket_bits": 16,
        "rate_hs": 1e5,
        "replay": False,
    } | changed
    file = folder / "icarus.json"
    file.write_text(json.dumps(told))
    return file


def test_an_announced_emulator(folder: Path, pty_pair: tuple[int, str]) -> None:
    announce(folder, pty_pair[1])
    (seen,) = emulated_boards(folder)
    assert seen.sighting == Sighting(
        "emulated:icarus",
        0x067B,
        0x2303,
        None,
        "Prolific Technology Inc.",
        "USB-Serial Controller",
        None,
        (Port(str(folder / "icarus")),),
        None,
        EmulatorClaims(16, 1e5, False, "icarus"),
    )
    (opted,) = resolve([OptIn(pty_pair[1])], [seen.sighting])
    assert opted.resolved == str(folder / "icarus")


def test_an_emulated_usb_device_is_a_unix_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "usb"))
        announce(folder, str(folder / "usb"))
        with (folder / "icarus.lock").open("w") as lock:
            assert emulated_boards(folder) == (), "its emulator has died"
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert len(emulated_boards(folder)) == 1


@pytest.mark.parametrize("target", ["/dev/null", "/etc/passwd", "/nowhere"])
def test_a_port_that_is_no_pty_is_not_believed(folder: Path, target: str) -> None:
    announce(folder, target)
    assert emulated_boards(folder) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"ports": []},
        {"ports": [{"path": 7}]},
        {"ticket_bits": -1},
        {"ticket_bits": 257},
        {"rate_hs": "fast"},
        {"usb_path": None},
    ],
)
def test_a_damaged_announcement_is_not_believed(
    folder: Path, pty_pair: tuple[int, str], changed: dict[str, object]
) -> None:
    announce(folder, pty_pair[1], **changed)
    assert emulated_boards(folder) == ()


def test_a_pty_given_out_again_is_not_believed(folder: Path, pty_pair: tuple[int, str]) -> None:
    """An emulator was killed; its pty's number is now somebody's terminal."""
    file = announce(folder, pty_pair[1])
    born = Path(pty_pair[1]).stat().st_ctime
    os.utime(file, (born - 5, born - 5))
    assert emulated_boards(folder) == ()


def test_what_others_can_write_is_not_believed(folder: Path, pty_pair: tuple[int, str]) -> None:
    file = announce(folder, pty_pair[1])
    folder.chmod(0o777)
    assert emulated_boards(folder) == ()
    folder.chmod(0o700)
    kept = file.rename(folder / "elsewhere")
    file.symlink_to(kept)
    assert emulated_boards(folder) == ()
    file.unlink()
    os.mkfifo(file)  # must not hang
    assert emulated_boards(folder) == ()


def test_another_users_files_are_not_believed(tmp_path: Path, pty_pair: tuple[int, str]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        announce(folder, pty_pair[1])
        folder.chmod(0o755)
        assert len(emulated_boards(folder)) == 1
        if os.geteuid() != 0:
            return  # only root can play two users
        told = run_unprivileged(
            "from pathlib import Path; from sv2rig.boards.announcements import emulated_boards",
            "print(len(emulated_boards(Path(sys.argv[1]))))",
            str(folder),
        )
        assert told == "0\n"
    finally:
        shutil.rmtree(folder)


def test_where_announcements_lie() -> None:
    assert emulated_folder({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == Path(
        "/run/user/7/sv2rig/emulated"
    )
    assert emulated_folder({}, 7) == Path("/tmp/sv2rig-7/emulated")


# Why not


def told(machine: SysfsTree, sighting: Sighting) -> list[tuple[Obstacle, str]]:
    return [(p.obstacle, p.text) for p in problems(sighting, look_around(machine.root))]


def node(machine: SysfsTree, name: str) -> Path:
    path = machine.root / "dev" / name
    path.touch()
    return path


def test_nothing_in_the_way(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    node(machine, "ttyUSB0")
    assert told(machine, only(machine)) == []


@pytest.mark.parametrize(
    ("vid", "interface_class", "module"),
    [
        (0x10C4, 0xFF, "cp210x"),
        (0x0403, 0xFF, "ftdi_sio"),
        (0x067B, 0xFF, "pl2303"),
        (0x1A86, 0xFF, "ch341"),
        (0xC0DE, 0x0A, "cdc_acm"),
    ],
)
def test_a_missing_kernel_driver(
    machine: SysfsTree, vid: int, interface_class: int, module: str
) -> None:
    machine.plug("1-1", vid, 1, driver=None, interface_class=interface_class)
    ((obstacle, text),) = told(machine, only(machine))
    assert obstacle is Obstacle.DRIVER
    assert f"modprobe {module}" in text


def test_a_wrong_kernel_driver_and_a_program_on_libusb(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x0403, 0x6015, driver="dvb_usb")
    ((obstacle, text),) = told(machine, only(machine))
    assert (obstacle, "dvb_usb" in text, "ftdi_sio" in text) == (Obstacle.DRIVER, True, True)
    machine.unplug("1-1")
    machine.plug("1-1", 0x0403, 0x6015, driver="usbfs")
    usb = machine.root / "dev/bus/usb/001/002"
    usb.parent.mkdir(parents=True)
    usb.touch()
    machine.process(77, "cgminer", str(usb))
    ((obstacle, text),) = told(machine, only(machine))
    assert (obstacle, "cgminer (pid 77)" in text) == (Obstacle.BUSY, True)


def test_brltty(machine: SysfsTree) -> None:
    machine.process(5, "brltty")
    machine.plug("1-1", 0x10C4, 0xEA60, driver=None)
    ((obstacle, text),) = told(machine, only(machine))
    assert obstacle is Obstacle.BRLTTY
    assert "brltty-udev.service" in text
    machine.unplug("1-1")
    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])  # it left this one alone
    node(machine, "ttyUSB0")
    assert told(machine, only(machine)) == []


def test_modem_manager(machine: SysfsTree) -> None:
    device = machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    node(machine, "ttyUSB0")
    machine.process(5, "ModemManager")
    (problem,) = problems(only(machine), look_around(machine.root))
    assert (problem.obstacle, problem.blocks) == (Obstacle.MODEM_MANAGER, False)
    assert "udev install" in problem.text
    noted = machine.root / "run/udev/data" / f"c{(device / 'dev').read_text().strip()}"
    noted.parent.mkdir(parents=True)
    noted.write_text("I:1\nE:ID_MM_DEVICE_IGNORE=1\nG:uaccess\n")
    assert told(machine, only(machine)) == []


def test_busy_by_open_file_and_by_lock_file(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    path = node(machine, "ttyUSB0")
    machine.process(12, "minicom", str(path))
    ((obstacle, text),) = told(machine, only(machine))
    assert (obstacle, text) == (
        Obstacle.BUSY,
        "minicom (pid 12) has /dev/ttyUSB0 open: end that first",
    )
    machine.process(13, "picocom")
    locks = machine.root / "run/lock"
    locks.mkdir(parents=True)
    (locks / "LCK..ttyUSB0").write_text("        13\n")
    ((_, text),) = told(machine, only(machine))
    assert text.startswith("minicom (pid 12) and picocom (pid 13) has")
    (locks / "LCK..ttyUSB0").write_text("        99\n")  # its owner has gone
    assert "99" not in told(machine, only(machine))[0][1]


def test_libusb_boards_need_their_usb_node(machine: SysfsTree) -> None:
    machine.plug("1-1", 0x221A, 0x0100, "ZTEX", driver=None)
    ((obstacle, text),) = told(machine, only(machine))
    assert (obstacle, "/dev/bus/usb/001/001 does not exist" in text) == (Obstacle.PERMISSION, True)


_LOOK = """
from pathlib import Path
from sv2rig.boards.port_state import problems
from sv2rig.boards.surroundings import look_around
from sv2rig.devices.sighting import EmulatorClaims, Port, Sighting
"""
_TELL = """
emulated = EmulatorClaims(16, 1.0) if sys.argv[3:] else None
sighting = Sighting("1-1", ports=(Port(sys.argv[2]),), emulator=emulated)
for problem in problems(sighting, look_around(Path(sys.argv[1]))):
    print(problem.obstacle.value, problem.text)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "proc").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("mode", "group", "word"),
    [
        (0o660, 20, "usermod -aG dialout"),
        (0o600, 20, "belongs to root alone"),
        (0o660, 0, "belongs to root alone"),
        (0o666, 20, ""),
    ],
)
def test_permission_as_an_ordinary_user(
    open_folder: Path, mode: int, group: int, word: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file that is not the tests' own")
    port = open_folder / "ttyUSB0"
    port.touch()
    os.chown(port, 0, group)
    port.chmod(mode)
    said = run_unprivileged(_LOOK, _TELL, str(open_folder), "/ttyUSB0")
    if word:
        assert said.startswith("permission you (nobody) may not open /ttyUSB0")
        assert word in said
    else:
        assert said == ""


def test_busy_as_an_ordinary_user(pty_pair: tuple[int, str]) -> None:
    """Another user's open files cannot be seen; the lock that serial programs take can."""
    path = pty_pair[1]
    with Path(path).open("r+b", buffering=0) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = run_unprivileged(_LOOK, _TELL, "/", path)
        assert f"(pid {os.getpid()}) has {path} open" in said
        assert f"(pid {os.getpid()})" in run_unprivileged(_LOOK, _TELL, "/", path, "emulated")
        fcntl.flock(held, fcntl.LOCK_UN)
        assert run_unprivileged(_LOOK, _TELL, "/", path, "emulated") == ""


def test_nothing_was_opened(machine: SysfsTree, folder: Path) -> None:
    """Opening a tty raises DTR and resets boards: looking must do without."""
    machine.plug("1-1", 0x10C4, 0xEA60, ttys=["ttyUSB0"])
    os.mkfifo(machine.root / "dev/ttyUSB0")  # opening it for reading would wait for ever
    watcher = PortWatcher([OptIn("/dev/ttyUSB0")], root=machine.root, folder=folder)
    (sighting,) = watcher.current()
    assert told(machine, sighting) == []
