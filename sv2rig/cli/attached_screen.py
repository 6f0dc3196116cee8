"""The screen of a rig that runs in this process: `sv2rig top` as a child on this terminal.

The screen can hang or crash without costing a hash; this process is silent while it is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

END_TIMEOUT_S = 1.0
LOOK_EVERY_S = 1.0
LAST_WORDS = 64 * 1024  # bytes
MOST_WORDS = 4 * LAST_WORDS
# Back to the first page, with a cursor, without mouse reports, bracketed paste and extra keys.
_AS_BEFORE = (
    b"\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[<u\x1b[0m"
)


async def show_screen(socket: Path, stop: asyncio.Event) -> str | None:
    """Show the rig at this socket until the user leaves the screen, or `stop` is set. The words for
    it where the screen has failed; the terminal is as before."""
    # -P: not the sv2rig/ of the folder that this was started in.
    python = [sys.executable, "-P", "-m", "sv2rig"]
    command = [*python, "top", "--socket", str(socket), "--ends-rig"]
    with _terminal_kept(), _silence() as (out, err, words):
        try:
            child = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=err)
        except OSError as error:
            return f"the screen cannot be started: {error.strerror}"
        shortening = asyncio.create_task(_keep_short(words))
        try:
            status = await _until_left(child, stop)
        finally:
            shortening.cancel()
        if status:
            os.write(out, _AS_BEFORE)
    return f"the screen has failed ({_how(status)})" if status and not stop.is_set() else None


class LastWords:
    """The end of what is written to a file; into a pipe, a driver that holds the interpreter while
    it writes could wait for us for ever."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._cut = 0
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)  # so that writing goes on after a cut

    def shorten(self) -> None:
        """Cut off the beginning, where the file is too long."""
        size = os.fstat(self._file).st_size
        if size > MOST_WORDS:
            end = os.pread(self._file, LAST_WORDS, size - LAST_WORDS)
            os.ftruncate(self._file, 0)
            os.write(self._file, end)
            self._cut += size - len(end)

    def end(self) -> bytes:
        """It, and whether more was said before."""
        size = os.fstat(self._file).st_size
        start = max(size - LAST_WORDS, 0)
        cut = self._cut + start
        note = f"(of what was said meanwhile, the first {cut} bytes are left out)\n" if cut else ""
        return note.encode() + os.pread(self._file, LAST_WORDS, start)


async def _keep_short(words: LastWords) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        words.shorten()


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
    return await leaving


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """With the terminal's modes as they were, whatever the child has done to them."""
    before: list[Any] = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _silence() -> Iterator[tuple[int, int, LastWords]]:
    """While nothing of this process, drivers in C among it, reaches the terminal: the terminal's
    own stdout and stderr are given out. The end of what was said meanwhile is said afterwards."""
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as said:
        words = LastWords(said.fileno())
        try:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            yield out, err, words
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.write(err, words.end())
            os.close(out)
            os.close(err)
