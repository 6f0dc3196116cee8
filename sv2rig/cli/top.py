"""`sv2rig top`: the screen, as a process of its own on a rig's socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sv2rig.cli.control import socket_of
from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text

if TYPE_CHECKING:
    from sv2rig.rig.snapshot import SnapshotSource
    from sv2rig.tui.app import RigScreen
    from sv2rig.tui.feed import Feed, StreamMessage
    from sv2rig.tui.links import Link

RECALLED_S = 3600.0
ONCE_SIZE = (80, 24)  # where there is no terminal that has one


@dataclass(frozen=True, slots=True)
class View:
    """How a rig is shown."""

    once: bool
    json: bool
    ends_rig: bool = False  # q stops the rig, as in `mine`


def top(
    rig: Annotated[
        str | None, typer.Option("--rig", help="Which rig, where several run on this machine.")
    ] = None,
    socket: Annotated[
        Path | None, typer.Option("--socket", help="The rig's socket, where it is elsewhere.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One screenful as text, and no more.")
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="The rig's snapshots, a JSON object a line; one with --once."),
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Write what is seen to this new file, for --replay."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            help="Show a recording: space pauses, the left and right arrows go 10 s back and on.",
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.1, max=1000.0, help="Recorded seconds a second, of --replay.")
    ] = 1.0,
    ssh: Annotated[
        str | None,
        typer.Option(
            "--ssh",
            metavar="USER@HOST",
            help="A rig on another machine, over its ssh. sv2rig has to be installed there too.",
        ),
    ] = None,
    ssh_command: Annotated[str, typer.Option("--ssh-command", hidden=True)] = "ssh",
    stdio: Annotated[bool, typer.Option("--stdio", hidden=True)] = False,
    ends_rig: Annotated[bool, typer.Option("--ends-rig", hidden=True)] = False,
) -> None:
    """Watch and command a rig that runs: attach with this, detach with q; the rig mines on.

    It finds the rig of `sv2rig run` or `mine` on this machine by itself. When the rig goes away the
    screen says so and comes back with it.
    """
    view = View(once, json, ends_rig)
    if sum(way is not None for way in (socket or rig, replay, ssh)) > 1 and not (rig and ssh):
        raise UserError("--socket (or --rig), --replay and --ssh exclude each other")
    if record is not None and (replay is not None or stdio):
        raise UserError("--record is for a rig that runs, not with --replay")
    if replay is not None:
        _check_readable(replay)
    if not (once or json or stdio) and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("here is no terminal for the screen: --once prints it, --json its data")
    voice = _Voice()
    if replay is not None:
        asyncio.run(_replay(replay, speed, view))
    elif ssh is not None:
        asyncio.run(_live(_ssh_link(ssh, ssh_command, rig, voice), view, record, voice))
    else:
        from sv2rig.tui.links import SocketLink

        link = SocketLink(socket_of(rig, socket))
        asyncio.run(_relay(link) if stdio else _live(link, view, record, voice))


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", EXIT_FAILED) from error


class _Voice:
    """What ssh says, on stderr, until the screen is up: later it would stand across it."""

    muted = False

    def __call__(self, text: str) -> None:
        if not self.muted:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _ssh_link(host: str, command: str, rig: str | None, tell: _Voice) -> Link:
    """The system's ssh: its keys, its known hosts, its questions, its errors."""
    from sv2rig.tui.links import CommandLink

    if not host or host.startswith("-") or any(char.isspace() for char in host):
        raise UserError(f"--ssh {host!r} is not USER@HOST")
    remote = ["sv2rig", "top", "--stdio", *(("--rig", rig) if rig else ())]
    words = [host, shlex.join(remote)]
    # A way that died without a word, as when this machine slept, is noticed after 15 s: the screen
    # could not come back by itself else.
    alive = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
    ssh = [*shlex.split(command), "-T", *alive]
    # Once the screen is up nobody can be asked for a password.
    again = [*ssh, "-o", "BatchMode=yes", "--", *words]
    return CommandLink([*ssh, "--", *words], tell, again)


async def _live(link: Link, view: View, record: Path | None, voice: _Voice) -> None:
    from sv2rig.tui.feed import Feed, FeedError
    from sv2rig.tui.links import LinkError
    from sv2rig.tui.live import follow
    from sv2rig.tui.recording import Recorder, RecordingError

    feed = Feed()
    heard: list[Callable[[StreamMessage], None]] = []
    try:
        with contextlib.ExitStack() as stack:
            if record is not None:
                heard.append(stack.enter_context(contextlib.closing(Recorder(record))).add)
            if view.json:
                heard.append(lambda message: print_json(message.snapshot))
            following = asyncio.create_task(follow(link, feed, heard))
            try:
                await _show_live(link, feed, following, view, voice)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await link.close()
    except (LinkError, FeedError, RecordingError) as error:
        raise UserError(str(error), EXIT_FAILED) from error


async def _show_live(
    link: Link, feed: Feed, following: asyncio.Task[None], view: View, voice: _Voice
) -> None:
    from sv2rig.tui.live import first_picture

    if not (view.once or view.json):
        gc.disable()  # what is loaded stays: to look at it again and again delays the screen
        import sv2rig.tui.operated  # noqa: F401  (takes a while: as long as the rig needs to answer)

        gc.freeze()
        gc.enable()
    await first_picture(feed, following)
    if view.json:
        if not view.once:
            await following
    elif view.once:
        await _print_screen(feed)
    else:
        from platformdirs import user_state_path

        from sv2rig.tui.dismissed import Dismissed
        from sv2rig.tui.operated import OperatedRig

        voice.muted = True
        await _recall(link, feed)
        dismissed = Dismissed(user_state_path("sv2rig") / "dismissed.json")
        screen = OperatedRig(feed, link=link, ends_rig=view.ends_rig, dismissed=dismissed)
        await _run_screen(screen, following)


async def _recall(link: Link, feed: Feed) -> None:
    """What the rig's rate was in the last hour, where the rig knows it."""
    from sv2rig.tui.links import LinkError, RefusedError

    until = feed.snapshot().time
    query = f"/v1/history?since={until - RECALLED_S:.0f}&until={until:.0f}&points=240"
    with contextlib.suppress(LinkError, RefusedError):
        found = await link.ask("GET", query)
        feed.rates = [(point["time"], point["hashrate_hs"]) for point in found["points"]]


async def _print_screen(source: SnapshotSource) -> None:
    from sv2rig.tui.once import screenful

    for line in await screenful(source, shutil.get_terminal_size(ONCE_SIZE)):
        print_text(line)


async def _run_screen(screen: RigScreen, following: asyncio.Task[None] | None) -> None:
    """Until the user leaves, or there is no use in following any more."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, screen.exit)  # so that the terminal is left in order
    drawing = asyncio.create_task(screen.run_async())
    waited = {drawing} if following is None else {drawing, following}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    screen.exit()
    await drawing
    if following is not None and following.done():
        following.result()
    if screen.return_code:
        raise UserError("the screen has failed; the rig has not noticed", EXIT_FAILED)


async def _replay(path: Path, speed: float, view: View) -> None:
    from sv2rig.tui.recording import Recording, RecordingError, Replay

    try:
        with contextlib.closing(Recording(path)) as recording:
            if recording.note:
                sys.stderr.write(f"{path}: {recording.note}\n")
            if view.json:
                for index in range(1 if view.once else len(recording)):
                    print_json(recording.picture(index))
            elif view.once:
                await _print_screen(Replay(recording))
            else:
                from sv2rig.tui.player import ReplayScreen

                await _run_screen(ReplayScreen(Replay(recording, speed)), None)
    except RecordingError as error:
        raise UserError(str(error), EXIT_FAILED) from error


async def _relay(link: Link) -> None:
    from sv2rig.tui.links import relay

    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    try:
        await relay(link, requests, write)
    finally:
        await link.close()
