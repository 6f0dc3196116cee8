"""A tty on the event loop, where its device has stopped taking bytes."""

from __future__ import annotations

import asyncio
import os
import pty
import threading

import pytest

from sv2rig.boards import serial_line
from sv2rig.boards.line import LineLostError, LineProfile
from sv2rig.boards.serial_line import open_serial


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("held", [0, 7])
def test_a_close_that_would_wait_is_not_done_on_the_loop(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ptys never hold bytes back, so what the kernel says of a stalled bridge is put in."""
    threads: list[threading.Thread] = []

    async def main() -> None:
        master, slave = pty.openpty()
        line = open_serial(os.ttyname(slave), LineProfile())
        port = line._port
        close = port.close

        def noted() -> None:
            threads.append(threading.current_thread())
            close()

        monkeypatch.setattr(port, "close", noted)
        monkeypatch.setattr(serial_line, "_kernel_holds", lambda _fd: held)
        descriptor = port.fileno()
        line.close()
        line.close()
        with pytest.raises(LineLostError):
            line.write(b"x")
        await asyncio.get_running_loop().shutdown_default_executor()
        assert not is_open(descriptor)
        os.close(master)
        os.close(slave)

    asyncio.run(main())
    [thread] = threads
    assert (thread is threading.main_thread()) == (held == 0)
