"""The control socket of a running rig: a line of JSON asks, a line of JSON answers.

    {"id": 1, "method": "set", "params": {"device": "icarus:A1", "values": {"frequency_mhz": 300}}}
    {"id": 1, "result": {"frequency_mhz": 300.0}}
    {"id": 2, "error": "the rig has no device x; it has icarus:A1"}

It stands at rig-NAME.sock in the runtime folder, which only this user can enter. Methods: snapshot,
devices, set, identify, tune (see the structs below for their params).
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from sv2rig.boards.driver_fault import fault_text
from sv2rig.rig.commands import CommandError, Commands, ControlledDevice
from sv2rig.rig.runtime_folder import RuntimeFolderError, make_private
from sv2rig.rig.snapshot import RigSnapshot

LONGEST_REQUEST = 64 * 1024
MOST_CLIENTS = 32
ACCEPT_AGAIN_S = 1.0  # when there were too many open files
MOST_RIGS = 16  # of one name
LONGEST_PATH = 107  # bytes of a Unix socket's address (unix(7))


class Request(msgspec.Struct):
    """`id` comes back with the answer."""

    method: str
    id: int | str | None = None
    params: dict[str, Any] = {}


class OfDevice(msgspec.Struct, forbid_unknown_fields=True):
    """The params of identify."""

    device: str


class SetParams(msgspec.Struct, forbid_unknown_fields=True):
    """The params of set: all values are set, or none."""

    device: str
    values: dict[str, float]


class TuneParams(msgspec.Struct, forbid_unknown_fields=True):
    """The params of tune; `goal`: "hashrate" or "efficiency"."""

    device: str
    goal: str
    limits: dict[str, float] = {}


class ControlError(Exception):
    """The socket cannot be opened."""


class Control:
    """Answers requests to a rig."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._methods: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "snapshot": self._snapshot,
            "devices": self._devices,
            "set": self._set,
            "identify": self._identify,
            "tune": self._tune,
        }

    async def answer(self, line: bytes) -> bytes:
        """The answer to one request, without its line feed."""
        number: int | str | None = None
        try:
            request = msgspec.json.decode(line, type=Request)
            number = request.id
            method = self._methods.get(request.method)
            if method is None:
                known = ", ".join(self._methods)
                raise CommandError(f"there is no method {request.method!r}; there are: {known}")
            result = await method(request.params)
        except (msgspec.MsgspecError, CommandError) as error:
            return msgspec.json.encode({"id": number, "error": str(error)})
        except Exception as error:  # of one device's driver; the rig and this client go on
            return msgspec.json.encode({"id": number, "error": fault_text(error)})
        return msgspec.json.encode({"id": number, "result": result})

    async def _snapshot(self, params: dict[str, Any]) -> RigSnapshot:
        msgspec.convert(params, _Nothing)
        return self._commands.snapshot()

    async def _devices(self, params: dict[str, Any]) -> tuple[ControlledDevice, ...]:
        msgspec.convert(params, _Nothing)
        return self._commands.devices()

    async def _set(self, params: dict[str, Any]) -> dict[str, float]:
        wish = msgspec.convert(params, SetParams)
        return self._commands.set_values(wish.device, wish.values)

    async def _identify(self, params: dict[str, Any]) -> None:
        wish = msgspec.convert(params, OfDevice)
        await self._commands.identify(wish.device)

    async def _tune(self, params: dict[str, Any]) -> None:
        wish = msgspec.convert(params, TuneParams)
        self._commands.tune(wish.device, wish.goal, wish.limits)


@asynccontextmanager
async def control_socket(commands: Commands, name: str, folder: Path) -> AsyncIterator[Path]:
    """The socket's path while it is open; ControlError says why there is none.

    Another rig of this name on this machine makes it NAME-2.
    """
    try:
        make_private(folder)
        lock, path = _claim(folder, name)
        try:
            server = _Server(Control(commands))
            server.open(path)
            try:
                yield path
            finally:
                await server.close()
                path.unlink(missing_ok=True)
        finally:
            lock.close()
    except RuntimeFolderError as error:
        raise ControlError(str(error)) from error


def _claim(folder: Path, name: str) -> tuple[IO[bytes], Path]:
    """A lock on a free name, and its socket's path: whoever left a socket there is no more."""
    for number in range(1, MOST_RIGS + 1):
        full = _file_name(name) + (f"-{number}" if number > 1 else "")
        path = folder / f"rig-{full}.sock"
        if len(str(path).encode()) > LONGEST_PATH:
            raise RuntimeFolderError(f"{path} is too long for a socket")
        try:
            lock = path.with_suffix(".lock").open("ab")
        except OSError as error:
            raise RuntimeFolderError(f"{path.with_suffix('.lock')}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        path.unlink(missing_ok=True)
        return lock, path
    raise RuntimeFolderError(f"{MOST_RIGS} rigs of the name {name} run already")


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "rig"


class _Server:
    """Accepts by itself: asyncio's own servers and its sock_accept() can lose a connection that
    comes as they end (Python 3.11), and with it the file descriptor."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._clients: dict[asyncio.Task[None], socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._pause: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def open(self, path: Path) -> None:
        try:
            self._listener.setblocking(False)
            self._listener.bind(str(path))
            path.chmod(0o600)  # nobody else can enter the folder anyway
            self._listener.listen(MOST_CLIENTS)
        except OSError as error:
            self._listener.close()
            raise RuntimeFolderError(f"{path}: {error.strerror}") from error
        self._loop.add_reader(self._listener, self._accept)

    async def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        clients = dict(self._clients)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for line in clients.values():
            line.close()  # of a task that had not begun nobody else would

    def _accept(self) -> None:
        try:
            line, _ = self._listener.accept()
        except BlockingIOError:  # it has gone already
            return
        except OSError:  # too many open files: the listener stays readable, so look away a while
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(
                ACCEPT_AGAIN_S, self._loop.add_reader, self._listener, self._accept
            )
            return
        if len(self._clients) >= MOST_CLIENTS:
            line.close()
            return
        task = self._loop.create_task(self._serve(line))
        self._clients[task] = line
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve(self, line: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=line, limit=LONGEST_REQUEST)
        try:
            with suppress(ConnectionError):
                while request := await self._line(reader, writer):
                    writer.write(await self._control.answer(request) + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        try:
            return await reader.readline()
        except ValueError:  # longer than the reader's limit
            text = f"a request has at most {LONGEST_REQUEST} bytes"
            writer.write(msgspec.json.encode({"id": None, "error": text}) + b"\n")
            return b""


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No params."""
