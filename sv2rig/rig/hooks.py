"""The user's own command, run when something happens: to send a message, to ring a bell.

No shell is asked. The command learns what happened from its environment (SV2RIG_EVENT,
SV2RIG_EVENT_TIME, _TEXT, _RIG, and _DEVICE and _POOL as far as it is about one) and, as JSON, from
its standard input. The configuration's own variables, which may hold secrets, are kept from it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from sv2rig.rig.happenings import Happening, Kind

TIMEOUT_S = 30.0
MOST_WAITING = 100  # of a kind: a hub that fails takes all its boards with it
MOST_OUTPUT = 2000  # bytes of what it said on stderr
LAST_WORDS_S = 0.5  # that its stderr may stay open after its end, held by what it started
_STDERR = 2
_NOT_PASSED_ON = ("SV2RIG_", "NOTIFY_SOCKET", "WATCHDOG_")

Report = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class HookPlan:
    """Which command is run, and on what; no command: none."""

    command: tuple[str, ...] = ()
    on: frozenset[Kind] = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the command ended: `trouble` says what went wrong, None where nothing did."""

    trouble: str | None
    seconds: float
    said: str = ""

    def __str__(self) -> str:
        said = f"; it said: {self.said}" if self.said else ""
        return f"{self.trouble or f'the hook ran, in {self.seconds:.1f} s'}{said}"


class Hooks:
    """Runs the command at most once at a time for each kind of event, beside everything else.

    `report(level, text)` hears of a failure once, and once that it works again. `plan` may be
    replaced while it runs.
    """

    def __init__(
        self, plan: HookPlan, rig_name: str, report: Report, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.plan = plan
        self._rig_name = rig_name
        self._report = report
        self._timeout_s = timeout_s
        self._waiting: dict[Kind, deque[Happening]] = {}
        self._running: dict[Kind, asyncio.Task[None]] = {}
        self._fails = False

    def tell(self, happening: Happening) -> None:
        """Run the command for this; returns at once."""
        kind = happening.kind
        if not self.plan.command or kind not in self.plan.on:
            return
        waiting = self._waiting.setdefault(kind, deque())
        if len(waiting) >= MOST_WAITING:
            self._failed(f"{MOST_WAITING} {kind} events wait for it already: one is left out")
            return
        waiting.append(happening)
        if kind not in self._running:
            self._running[kind] = asyncio.create_task(self._run_all(kind, waiting))

    async def test(self) -> Outcome:
        """Run the command for a test event, whatever it is told of otherwise."""
        if not self.plan.command:
            return Outcome("no command is configured: see [hooks] command", 0.0)
        text = "this is a test of the hook"
        return await self._run(Happening(Kind.TEST, datetime.now(UTC).timestamp(), text))

    async def close(self) -> None:
        """Kill what runs; what waits is forgotten."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run_all(self, kind: Kind, waiting: deque[Happening]) -> None:
        try:
            while waiting:
                outcome = await self._run(waiting.popleft())
                if outcome.trouble is not None:
                    said = f" ({outcome.said})" if outcome.said else ""
                    self._failed(f"{outcome.trouble}{said}")
                elif self._fails:
                    self._fails = False
                    self._report("info", "the hook works again")
        finally:
            del self._running[kind]

    def _failed(self, why: str) -> None:
        if not self._fails:
            self._fails = True
            self._report("warning", f"hook: {why}; it is told again only when it works")

    async def _run(self, happening: Happening) -> Outcome:
        command = self.plan.command
        loop = asyncio.get_running_loop()
        began = loop.time()
        trouble, said = await run_command(
            command,
            hook_environment(os.environ, self._rig_name, happening),
            msgspec.json.encode(_told(self._rig_name, happening)),
            self._timeout_s,
        )
        return Outcome(trouble, loop.time() - began, said)


async def run_command(
    command: Sequence[str], environment: Mapping[str, str], given: bytes, timeout_s: float
) -> tuple[str | None, str]:
    """What went wrong (None: nothing), and the beginning of what the command said on stderr."""
    loop = asyncio.get_running_loop()
    try:
        transport, ear = await loop.subprocess_exec(
            _Ear,
            *command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts ends with it
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}", ""
    try:
        _give(transport, given)
        async with asyncio.timeout(timeout_s):
            await ear.exited.wait()
    except (TimeoutError, asyncio.CancelledError) as end:
        with suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        await ear.exited.wait()
        if isinstance(end, asyncio.CancelledError):
            raise
        return f"{command[0]} was killed: it took longer than {timeout_s:g} s", _words(ear.said)
    else:
        with suppress(TimeoutError):
            await asyncio.wait_for(ear.heard_all.wait(), LAST_WORDS_S)
    finally:
        transport.close()
    status = transport.get_returncode()
    return None if status == 0 else _ended_with(command[0], status or 0), _words(ear.said)


class _Ear(asyncio.SubprocessProtocol):
    """Hears all that a command says, so that none ever waits for us, and keeps the beginning.
    asyncio's own Process.wait() would also wait for its pipes to end, which others may hold."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.heard_all = asyncio.Event()
        self.said = bytearray()

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self.said += data[: MOST_OUTPUT - len(self.said)]

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        if fd == _STDERR:
            self.heard_all.set()

    def process_exited(self) -> None:
        self.exited.set()


def _give(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    """It need not read."""
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(given)
    pipe.close()


def _ended_with(name: str, status: int) -> str:
    if status < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"{name} was ended by {names.get(-status, f'signal {-status}')}"
    return f"{name} ended with status {status}"


def _words(said: bytearray) -> str:
    return _plain(said.decode(errors="replace"))


def _plain(text: str) -> str:
    """On one line, and fit for a terminal and an environment."""
    text = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in text)


def hook_environment(
    environment: Mapping[str, str], rig_name: str, happening: Happening
) -> dict[str, str]:
    """What the command finds in its environment."""
    passed = {
        name: value for name, value in environment.items() if not name.startswith(_NOT_PASSED_ON)
    }
    told = _told(rig_name, happening)
    passed["SV2RIG_EVENT"] = told.pop("event")
    passed.update({f"SV2RIG_EVENT_{name.upper()}": value for name, value in told.items()})
    return passed


def _told(rig_name: str, happening: Happening) -> dict[str, str]:
    time = datetime.fromtimestamp(happening.time, UTC).isoformat(timespec="seconds")
    told = {
        "event": happening.kind.value,
        "time": time.replace("+00:00", "Z"),
        "rig": rig_name,
        "text": _plain(happening.text),
        "device": happening.device,
        "pool": happening.pool,
    }
    return {name: value for name, value in told.items() if value is not None}
