"""The screen on a real rig: every key and every trouble, through the rig's own socket."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from rig_processes import (
    BOARD,
    EMULATE,
    PATIENCE_S,
    accepted,
    daemon_on,
    pool_command,
    private_environment,
    rig_client,
    running,
    said,
)
from textual.pilot import Pilot
from tui_scenes import lines

from sv2rig.api.client import RigClient
from sv2rig.tui.feed import Feed
from sv2rig.tui.links import SocketLink
from sv2rig.tui.live import first_picture, follow
from sv2rig.tui.operated import OperatedRig


@asynccontextmanager
async def attached(socket: Path) -> AsyncIterator[OperatedRig]:
    """A screen that follows the rig at this socket."""
    feed, link = Feed(), SocketLink(socket)
    following = asyncio.create_task(follow(link, feed))
    try:
        await first_picture(feed, following)
        yield OperatedRig(feed, link=link)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await link.close()


async def shows(app: OperatedRig, pilot: Pilot[None], *texts: tuple[str, ...]) -> list[str]:
    """Wait until for each of these there is a line with all of its patterns."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        app.poll()
        await pilot.pause()
        shown = lines(app)
        missing = [t for t in texts if not any(all(re.search(w, s) for w in t) for s in shown)]
        if not missing:
            return shown
        assert time.monotonic() < deadline, "\n".join([f"never shown: {missing}", *shown])
        await asyncio.sleep(0.1)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return private_environment(tmp_path)


async def test_a_day_with_the_screen(environment: dict[str, str], tmp_path: Path) -> None:
    pool = pool_command(tmp_path)
    board, simulated = ("bm13xx:emu",), ("simulated:0",)
    with ExitStack() as stack:
        first_pool = stack.enter_context(running(environment, *pool))
        url = said(first_pool)["url"]
        first_board = stack.enter_context(running(environment, *EMULATE))
        said(first_board)
        stack.enter_context(running(environment, *daemon_on(url, tmp_path)))
        client: RigClient = await asyncio.to_thread(rig_client, environment)
        async with attached(client.path) as app, app.run_test(size=(120, 40)) as pilot:
            await shows(app, pilot, (*board, "MINING"), (*simulated, "MINING"))
            await pilot.press("o", "home", "p")
            await shows(app, pilot, (*board, "PAUSED"), (*simulated, "MINING"))
            await pilot.press("enter")
            await shows(app, pilot, (BOARD, "PAUSED for"), ("frequency", "400 MHz", "50 to 800"))
            await pilot.press("p")
            await shows(app, pilot, (BOARD, "MINING for"))
            await pilot.press("enter", *"9000", "enter")
            await shows(app, pilot, ("frequency = 9000 MHz is out of range",))
            await pilot.press("escape", "enter", *"420", "enter")
            await shows(app, pilot, ("frequency", "420 MHz", "50 to 800"))
            await pilot.press("escape", "plus")
            await shows(app, pilot, (*board, " 430 "))
            first_board.send_signal(signal.SIGINT)
            await shows(app, pilot, (*board, r"LOST \d+s"), (*simulated, "MINING"))
            again = stack.enter_context(running(environment, *EMULATE))
            await asyncio.to_thread(said, again)
            await shows(app, pilot, (*board, "MINING"), (*board, " 430 "))
            first_pool.kill()
            await shows(
                app, pilot, ("POOL DOWN",), (*board, "IDLE|READY"), (*simulated, "IDLE|READY")
            )
            stack.enter_context(running(environment, *pool))
            await shows(app, pilot, (*board, "MINING"), (*simulated, "MINING"))
            before = await asyncio.to_thread(accepted, client)
            await pilot.press("q")
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(accepted, client) <= before:
                await asyncio.sleep(0.1)
