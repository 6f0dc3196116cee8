"""The screen of a rig that runs in this process: `sv2rig top` as a child on this terminal.

The screen can hang or crash without costing a hash; this process is silent while it is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

END_TIMEOUT_S = 1.0
# Back to the first page, with a cursor, without mouse reports, bracketed paste and extra keys.
_AS_BEFORE = (
    "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[<u\x1b[0m"
)


async def show_screen(socket: Path, stop: asyncio.Event) -> str | None:
    """Show the rig at this socket until the user leaves the screen, or `stop` is set. The words for
    it where the screen has failed; the terminal is as before."""
    async with _terminal_kept():
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sv2rig", "top", "--socket", str(socket), "--ends-rig"
            )
        except OSError as error:
            return f"the screen cannot be started: {error.strerror}"
        status = await _until_left(child, stop)
        if status == 0 or stop.is_set():
            return None
        _reset_terminal()
        return f"the screen has failed ({_how(status)}); the rig mines on, with log lines"


async def _until_left(child: asyncio.subprocess.Process, stop: asyncio.Event) -> int:
    """The child's exit status."""
    leaving = asyncio.create_task(child.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({leaving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not leaving.done():
            child.send_signal(signal.SIGTERM)  # it leaves the terminal in order
            await asyncio.wait({leaving}, timeout=END_TIMEOUT_S)
    finally:
        stopping.cancel()
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            if not leaving.done():
                await leaving
            _reset_terminal()
    return await leaving


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


@contextlib.asynccontextmanager
async def _terminal_kept() -> AsyncIterator[None]:
    """With the terminal's modes as they were, whatever the child has done to them."""
    before: list[Any] = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _reset_terminal() -> None:
    sys.stdout.write(_AS_BEFORE)
    sys.stdout.flush()
