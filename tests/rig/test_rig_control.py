"""The control socket of a running rig, over a real Unix socket."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from loop_board import LoopBoard
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import Clock, Run

from sv2rig.boards.line import BoardError
from sv2rig.rig.commands import Commands
from sv2rig.rig.control import (
    LONGEST_REQUEST,
    MOST_CLIENTS,
    Control,
    ControlError,
    control_socket,
)
from sv2rig.rig.control_client import NoAnswerError, RefusedError, ask, running_rigs
from sv2rig.rig.runtime_folder import runtime_folder


class TunableBoard(LoopBoard):
    """Notes what it is tuned for; without a power reading, as most boards are."""

    def __init__(self) -> None:
        super().__init__("board:1")
        self.tuned: list[tuple[str, Mapping[str, float]]] = []

    def tune(self, goal: str, limits: Mapping[str, float]) -> None:
        if goal == "efficiency":
            raise ValueError("it has no power reading")
        self.tuned.append((goal, limits))


class DarkBoard(LoopBoard):
    """Its light is broken."""

    async def identify(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise BoardError("no answer from its light")


class ARig:
    """A rig that is not run; its devices are there to be controlled."""

    def __init__(self) -> None:
        self.board, self.tunable = LoopBoard("board:0"), TunableBoard()
        self.dark = DarkBoard("board:2")
        devices = [self.board, self.tunable, self.dark, LoopDevice("loop:0")]
        self.run = Run(devices, MemoryNet().connect, Clock())
        self.commands = Commands(self.run.rig, pools=self.run.rig.pools, quit=lambda: None)

    async def end(self) -> None:
        await self.run.stop()


def with_rig(folder: Path, act: Callable[[ARig, Path], None]) -> None:
    """`act` in a thread, as another process would."""

    async def main() -> None:
        rig = ARig()
        async with control_socket(rig.commands, "garage", folder) as path:
            await asyncio.to_thread(act, rig, path)
        assert not path.exists()
        await rig.end()

    asyncio.run(main())


def test_devices_are_listed_with_what_can_be_set(tmp_path: Path) -> None:
    def act(rig: ARig, path: Path) -> None:
        board, tunable, _, plain = ask(path, "devices")
        assert board["id"] == "board:0"
        assert board["settings"] == [
            {
                "name": "frequency_mhz",
                "unit": "MHz",
                "minimum": 50,
                "maximum": 600,
                "default": 400,
                "help": "clock of the chips",
                "value": 400,
            }
        ]
        assert (board["can_identify"], board["can_tune"]) == (True, False)
        assert tunable["can_tune"]
        assert (plain["settings"], plain["can_identify"]) == ([], False)
        assert ask(path, "snapshot")["devices"][0]["id"] == "board:0"

    with_rig(tmp_path, act)


def test_settings_are_set_and_refused_in_the_settings_own_words(tmp_path: Path) -> None:
    def act(rig: ARig, path: Path) -> None:
        def wish(device: str, **values: float) -> Any:
            return ask(path, "set", {"device": device, "values": values})

        assert wish("board:0", frequency_mhz=600) == {"frequency_mhz": 600}
        assert rig.board.settings == {"frequency_mhz": 600}
        for too_much in (600.5, 49.9):
            with pytest.raises(RefusedError, match="out of range: 50 to 600 MHz, default 400"):
                wish("board:0", frequency_mhz=too_much)
        with pytest.raises(RefusedError, match="no setting 'volts'; there is: frequency_mhz"):
            wish("board:0", frequency_mhz=100, volts=9)
        assert rig.board.settings == {"frequency_mhz": 600}, "all or none"
        with pytest.raises(RefusedError, match="loop:0 has nothing that can be set"):
            wish("loop:0", frequency_mhz=100)
        with pytest.raises(RefusedError, match="no device board:9; it has: board:0, board:1"):
            wish("board:9", frequency_mhz=100)

    with_rig(tmp_path, act)


def test_identify_and_tune_reach_devices_that_can(tmp_path: Path) -> None:
    def act(rig: ARig, path: Path) -> None:
        assert ask(path, "identify", {"device": "board:0"}) is None
        assert rig.board.blinks == 1
        with pytest.raises(RefusedError, match="board:2: no answer from its light"):
            ask(path, "identify", {"device": "board:2"})
        with pytest.raises(RefusedError, match="loop:0 has nothing to show itself with"):
            ask(path, "identify", {"device": "loop:0"})
        limits = {"maximum_temperature_c": 70.0}
        ask(path, "tune", {"device": "board:1", "goal": "hashrate", "limits": limits})
        assert rig.tunable.tuned == [("hashrate", limits)]
        with pytest.raises(RefusedError, match="board:1: it has no power reading"):
            ask(path, "tune", {"device": "board:1", "goal": "efficiency"})
        with pytest.raises(RefusedError, match="board:0 cannot be tuned"):
            ask(path, "tune", {"device": "board:0", "goal": "hashrate"})
        with pytest.raises(RefusedError, match="tune for hashrate or efficiency"):
            ask(path, "tune", {"device": "board:1", "goal": "beauty"})

    with_rig(tmp_path, act)


@pytest.mark.parametrize(
    ("line", "number", "words"),
    [
        (b"", None, "Input data was truncated"),
        (b"no json", None, "malformed"),
        (b"[]", None, "Expected `object`"),
        (b"\xff\xfe", None, "malformed"),
        (b'{"id": 5}', None, "method"),
        (b'{"id": {}, "method": "set"}', None, "id"),
        (b'{"id": 5, "method": "stop"}', 5, "no method 'stop'; there are: snapshot, devices"),
        (b'{"id": "a", "method": "set"}', "a", "device"),
        (b'{"id": 6, "method": "set", "params": {"device": "board:0", "values": 1}}', 6, "values"),
        (b'{"id": 7, "method": "snapshot", "params": {"extra": 1}}', 7, "extra"),
        (b'{"id": 8, "method": "identify", "params": {"device": 4}}', 8, "Expected `str`"),
        (
            b'{"id": 9, "method": "set", "params": {"device": "board:0", "values": {"frequency_mhz"'
            b': "much"}}}',
            9,
            "Expected `float`",
        ),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(line: bytes, number: object, words: str) -> None:
    async def main() -> None:
        rig = ARig()
        answer = json.loads(await Control(rig.commands).answer(line))
        assert answer.keys() == {"id", "error"}
        assert answer["id"] == number
        assert words in answer["error"]
        await rig.end()

    asyncio.run(main())


def connected(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(10)
    line.connect(str(path))
    return line


def test_several_requests_on_one_line_and_one_that_is_too_long(tmp_path: Path) -> None:
    def act(rig: ARig, path: Path) -> None:
        with connected(path) as line, line.makefile("rb") as file:
            line.sendall(b'{"id":1,"method":"devices"}\n{"id":2,"method":"nothing"}\n')
            assert json.loads(file.readline())["id"] == 1
            assert json.loads(file.readline())["id"] == 2
            line.sendall(b"x" * (LONGEST_REQUEST + 10) + b"\n")
            assert "at most 65536 bytes" in json.loads(file.readline())["error"]
            assert file.readline() == b"", "what follows cannot be told apart"

    with_rig(tmp_path, act)


def test_clients_beyond_the_limit_are_turned_away_and_silent_ones_hold_up_nobody(
    tmp_path: Path,
) -> None:
    def act(rig: ARig, path: Path) -> None:
        lines = [connected(path) for _ in range(MOST_CLIENTS - 1)]
        assert ask(path, "snapshot")
        # The rig may not have seen that client go yet: then it turns the next one away.
        while True:
            last = connected(path)
            with suppress(OSError):
                last.sendall(b'{"method":"devices"}\n')
                if last.recv(1) == b"{":
                    break
            last.close()
        lines.append(last)
        with connected(path) as one_more:
            assert one_more.recv(1) == b""
        lines[0].sendall(b'{"method":"devices"}\n')
        assert lines[0].recv(1) == b"{"
        for line in lines:
            line.close()

    with_rig(tmp_path, act)


def test_the_socket_is_this_users_alone_and_a_second_rig_gets_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "sv2rig"

    async def main() -> None:
        first, second = ARig(), ARig()
        async with control_socket(first.commands, "garage", folder) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            async with control_socket(second.commands, "garage", folder) as other:
                rigs = await asyncio.to_thread(running_rigs, folder)
                assert rigs == {"garage": path, "garage-2": other}
        assert running_rigs(folder) == {}
        await first.end()
        await second.end()

    asyncio.run(main())


def test_the_socket_of_a_dead_rig_is_no_rig_and_no_hindrance(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    stale = tmp_path / "rig-garage.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    assert stale.exists()
    assert running_rigs(tmp_path) == {}
    with pytest.raises(NoAnswerError, match="does not answer: Connection refused"):
        ask(stale, "snapshot")

    def act(rig: ARig, path: Path) -> None:
        assert path == stale
        assert ask(path, "snapshot")

    with_rig(tmp_path, act)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750])
def test_a_folder_that_others_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "sv2rig"
    folder.mkdir()
    folder.chmod(mode)

    async def main() -> None:
        rig = ARig()
        with pytest.raises(ControlError, match="not this user's alone"):
            async with control_socket(rig.commands, "garage", folder):
                pass
        await rig.end()

    asyncio.run(main())


def test_a_link_to_a_folder_and_too_long_a_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    long = tmp_path / ("x" * 100)

    async def main() -> None:
        rig = ARig()
        for folder, words in ((tmp_path / "link", "alone"), (long, "too long")):
            with pytest.raises(ControlError, match=words):
                async with control_socket(rig.commands, "garage", folder):
                    pass
        await rig.end()

    asyncio.run(main())


def test_where_the_folder_is() -> None:
    assert runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == Path("/run/user/7/sv2rig")
    assert runtime_folder({}, 7) == Path("/tmp/sv2rig-7")
