"""Ways to a rig that runs elsewhere: its control API on a unix socket, or a program that relays it.

A relaying program (`sv2rig top --stdio`, usually at the far end of ssh) speaks lines of JSON. It
sends {"message": ...} each second, {"lost": WORDS} while its rig is away, and for each request
{"id": 1, "method": "POST", "path": "/v1/pause", "body": null} one {"id": 1, "result": ...} or
{"id": 1, "error": WORDS}.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    import aiohttp

LONGEST_MESSAGE = 64 * 1024 * 1024  # the first one brings the backlog
ANSWER_TIMEOUT_S = 40.0  # a command may take 30 s
CONNECT_TIMEOUT_S = 10.0  # a rig that hangs takes connections, and says nothing on them
RETRY_S = 1.0


class LinkError(Exception):
    """There is no connection, or it has ended; the words are for the user."""


class RefusedError(Exception):
    """The rig says no, in its words."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The rig is away, as the relaying program says; the connection to that one stands."""

    words: str


class Link(Protocol):
    """One way to one rig."""

    def messages(self) -> AsyncIterator[bytes | Lost]:
        """The stream of one connection; LinkError when it cannot be had and when it ends."""
        ...

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One command; the answer as plain values. RefusedError, LinkError."""
        ...

    async def close(self) -> None: ...


class SocketLink:
    """The control API of a rig on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session: aiohttp.ClientSession | None = None

    async def messages(self) -> AsyncIterator[bytes | Lost]:
        import aiohttp

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                stream = await self._http().ws_connect(
                    "http://rig/v1/stream", max_msg_size=LONGEST_MESSAGE
                )
        except TimeoutError as error:
            words = f"the rig at {self._path} has not answered in {CONNECT_TIMEOUT_S:g} s"
            raise LinkError(words) from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkError(f"no rig answers at {self._path}: {_reason(error)}") from error
        try:
            async with stream:
                async for message in stream:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield message.data.encode()
        except (aiohttp.ClientError, OSError) as error:
            raise LinkError(f"no rig answers at {self._path}: {_reason(error)}") from error
        raise LinkError(f"the rig at {self._path} has ended the connection")

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        try:
            async with self._http().request(
                method, f"http://rig{path}", json=body, timeout=timeout
            ) as answer:
                return _result(answer.status, await answer.read())
        except TimeoutError as error:
            raise LinkError(f"the rig has not answered in {ANSWER_TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkError(f"no rig answers at {self._path}: {_reason(error)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            connector = aiohttp.UnixConnector(path=str(self._path))
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:  # aiohttp wraps the words that matter
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            return os.strerror(cause.errno)
        cause = cause.__cause__
    return str(error) or type(error).__name__


class _Refusal(msgspec.Struct):
    error: str


def _result(status: int, body: bytes) -> Any:
    try:
        if status < 300:
            return msgspec.json.decode(body) if body else None
        raise RefusedError(msgspec.json.decode(body, type=_Refusal).error)
    except msgspec.MsgspecError as error:
        raise LinkError(f"what answers is no rig (HTTP status {status})") from error


class _Relayed(msgspec.Struct):
    """One line of a relaying program."""

    message: msgspec.Raw = msgspec.Raw()
    lost: str | None = None
    id: int | None = None
    result: Any = None
    error: str | None = None


class _Relay(msgspec.Struct):
    """One line to a relaying program."""

    id: int
    method: str
    path: str
    body: Any = None


class CommandLink:
    """A command that relays its rig's API; what it says on stderr goes to `tell`. Where it ends, it
    is started again, with `again` where that is given."""

    def __init__(
        self,
        command: Sequence[str],
        tell: Callable[[str], None],
        again: Sequence[str] | None = None,
    ) -> None:
        self._command = command
        self._again = again or command
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def messages(self) -> AsyncIterator[bytes | Lost]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_MESSAGE,
            )
        except OSError as error:
            raise LinkError(f"{self._command[0]}: {error.strerror}") from error
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        words = asyncio.create_task(self._last_words(process.stderr))
        try:
            async for line in process.stdout:
                message = self._take(line)
                if message is not None:
                    self._command = self._again  # whoever was asked for a password has given it
                    yield message
            status = await process.wait()
            why = await words or f"it ended with status {status}"
            raise LinkError(f"{Path(self._command[0]).name}: {why}")
        finally:
            self._process = None
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(LinkError("the connection to the rig has ended"))
            await _end(process)
            await words

    def _take(self, line: bytes) -> bytes | Lost | None:
        try:
            said = msgspec.json.decode(line, type=_Relayed)
        except msgspec.MsgspecError:  # a greeting of the login shell
            self._tell(line.decode(errors="replace").rstrip())
            return None
        if said.lost is not None:
            return Lost(said.lost)
        if bytes(said.message):
            return bytes(said.message)
        answer = None if said.id is None else self._waiting.get(said.id)
        if answer is not None and not answer.done():
            if said.error is not None:
                answer.set_exception(RefusedError(said.error))
            else:
                answer.set_result(said.result)
        return None

    async def _last_words(self, errors: asyncio.StreamReader) -> str:
        last = ""
        async for line in errors:
            text = line.decode(errors="replace").rstrip()
            self._tell(text)
            last = text or last
        return last

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        if self._process is None or self._process.stdin is None:
            raise LinkError("there is no connection to the rig")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            request = msgspec.json.encode(_Relay(number, method, path, body)) + b"\n"
            self._process.stdin.write(request)
            await self._process.stdin.drain()
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise LinkError(f"the rig has not answered in {ANSWER_TIMEOUT_S:g} s") from error
        except ConnectionError as error:
            raise LinkError("the connection to the rig has ended") from error
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        if self._process is not None:
            await _end(self._process)


async def relay(link: Link, requests: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
    """Be the relaying program, until `requests` end. Each line is given to `write`."""

    def say(**said: Any) -> None:
        write(msgspec.json.encode(said) + b"\n")

    async def stream() -> None:
        while True:
            try:
                async for message in link.messages():
                    if isinstance(message, bytes):
                        say(message=msgspec.Raw(message.replace(b"\n", b" ")))
            except LinkError as error:
                say(lost=str(error))
            await asyncio.sleep(RETRY_S)

    async def answer(request: _Relay) -> None:
        try:
            say(id=request.id, result=await link.ask(request.method, request.path, request.body))
        except (RefusedError, LinkError) as error:
            say(id=request.id, error=str(error))

    async with asyncio.TaskGroup() as tasks:
        streaming = tasks.create_task(stream())
        async for line in requests:
            tasks.create_task(answer(msgspec.json.decode(line, type=_Relay)))
        streaming.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
