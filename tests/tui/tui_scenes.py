"""Pictures of a rig for the screen's tests, and the screen as lines of text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.cells import cell_len
from rich.style import Style
from textual.pilot import Pilot

from sv2rig import __version__
from sv2rig.api.messages import StreamMessage
from sv2rig.rig.snapshot import (
    SCHEMA,
    DeviceSnapshot,
    Event,
    PoolSnapshot,
    RigSnapshot,
    Ring,
    ShareCounts,
    ShareRecord,
)
from sv2rig.tui.app import RigScreen
from sv2rig.tui.themes import palette_of

NOW = 1_700_000_000.0
NAMES = (
    "foreground",
    "background",
    "surface",
    "panel",
    "success",
    "warning",
    "error",
    "primary",
)
UPDATE = "SV2RIG_UPDATE_GOLDEN"
GOLDEN = Path(__file__).parent / "golden"
URL = "stratum2+tcp://pool.example:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"

NO_POOL_YET = PoolSnapshot(
    url=URL,
    state="connecting",
    detail="Noise handshake",
    transport="TCP, Noise NX",
    channel_kind="",
    difficulty=None,
    job_id=None,
    job_age_s=None,
    latency_ms=None,
    connected_since=None,
    reconnects=0,
    new_block_at=None,
)
ALIVE = msgspec.structs.replace(
    NO_POOL_YET,
    state="mining",
    detail="",
    channel_kind="extended",
    difficulty=0.00047,
    job_id=2034,
    job_age_s=12.0,
    latency_ms=1.4,
    connected_since=NOW - 370,
    height=903_412,
    payout_address="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    payout_share=0.98,
)
DEAD = msgspec.structs.replace(
    NO_POOL_YET,
    state="waiting",
    detail="connection refused, trying again in 8 s",
    reconnects=3,
)


def device(number: int, **fields: object) -> DeviceSnapshot:
    """A device that mines: the first an OpenCL one without sensors, the others simulated."""
    opencl = number == 0
    usual = DeviceSnapshot(
        id=f"opencl:{number}" if opencl else f"simulated:{number}",
        backend="opencl" if opencl else "simulated",
        name="Portable CPU device" if opencl else "simulated board",
        variant="scan8" if opencl else None,
        state="MINING",
        reason="",
        since=NOW - 370,
        hashrate_hs=26.4e6 + number * 1e6,
        hashrate_1m_hs=26.1e6 + number * 1e6,
        temperature_c=None if opencl else 55.0,
        fan_percent=None if opencl else 42.0,
        power_w=None if opencl else 17.2,
        shares=ShareCounts(accepted=100 + number),
        hardware_errors=0,
        last_share=NOW - 3,
    )
    return msgspec.structs.replace(usual, **fields)


def rig(*devices: DeviceSnapshot, **fields: object) -> RigSnapshot:
    usual = RigSnapshot(
        schema=SCHEMA,
        sequence=1,
        time=NOW,
        name="garage-01",
        version=__version__,
        state="mining",
        uptime_s=380.0,
        hashrate_hs=sum(each.hashrate_hs or 0 for each in devices) if devices else None,
        hashrate_1m_hs=sum(each.hashrate_1m_hs or 0 for each in devices) if devices else None,
        shares=ShareCounts(accepted=8214, rejected=7, stale=3, pending=1),
        blocks_found=0,
        hardware_errors=0,
        best_difficulty=1.42e9,
        pool=ALIVE,
        devices=devices,
    )
    return msgspec.structs.replace(usual, **fields)


def message(sequence: int, *events: int, **fields: object) -> StreamMessage:
    """What a rig's stream says in one second, with events and shares of these numbers."""
    return StreamMessage(
        rig(device(0), sequence=sequence, time=NOW + sequence, **fields),
        tuple(Event(number, NOW, "info", f"event {number}") for number in events),
        tuple(ShareRecord(number, NOW, "opencl:0", "", "accepted", 2.0, 1.0) for number in events),
    )


class Source:
    """A SnapshotSource that shows what the test puts in, and a clock that the test moves."""

    def __init__(self, first: RigSnapshot) -> None:
        self.picture = first
        self.ring: Ring[Event] = Ring()
        self.shares: Ring[ShareRecord] = Ring()
        self.now = 1000.0

    def snapshot(self) -> RigSnapshot:
        return self.picture

    def events_after(self, number: int) -> tuple[Event, ...]:
        return self.ring.after(number)

    def shares_after(self, number: int) -> tuple[ShareRecord, ...]:
        return self.shares.after(number)

    def say(self, time: float, level: str, text: str, device: str | None = None) -> None:
        """An event."""
        self.ring.add(Event(self.ring.next_number, time, level, text, device))

    def share(self, verdict: str, **fields: object) -> None:
        """A share that was answered."""
        number = self.shares.next_number
        usual = ShareRecord(
            number=number,
            time=NOW - 60 + number,
            device="simulated:1",
            pool="main",
            verdict=verdict,
            difficulty=18587.0,
            wanted=4096.0,
            latency_ms=22.0,
        )
        self.shares.add(msgspec.structs.replace(usual, **fields))

    def clock(self) -> float:
        return self.now

    def publish(self, picture: RigSnapshot, seconds: float = 1.0) -> None:
        """The next picture, a moment later."""
        self.now += seconds
        self.picture = msgspec.structs.replace(
            picture,
            sequence=self.picture.sequence + 1,
            uptime_s=self.picture.uptime_s + seconds,
            time=self.picture.time + seconds,
        )


def screen(source: Source, on_quit: Callable[[], None] | None = None) -> RigScreen:
    return RigScreen(source, on_quit=on_quit, clock=source.clock)


async def polled(app: RigScreen, pilot: Pilot[None]) -> list[str]:
    """The screen after it has read its source once more, when nothing on it moves any more: a
    layout that changes size lays out its log in a later turn of the loop."""
    app.poll()
    await pilot.pause()
    shown, still = lines(app), 0
    while still < 3:
        await pilot.pause()
        now = lines(app)
        still = still + 1 if now == shown else 0
        shown = now
    return shown


def lines(app: RigScreen) -> list[str]:
    """What the terminal shows, as plain text without trailing spaces."""
    return [
        strip.text.replace("\u00a0", " ").rstrip()
        for strip in app.screen._compositor.render_strips()
    ]


def styles(app: RigScreen) -> list[str]:
    """How each line is drawn: runs of columns that are not plain text on the background."""
    names = {app.theme_variables[name].lower(): name for name in reversed(NAMES)}
    dim = palette_of(app).style("dim").color
    if dim is not None:
        names[dim.get_truecolor().hex] = "dim"
    lines = []
    for number, strip in enumerate(app.screen._compositor.render_strips()):
        runs: list[tuple[int, int, str, str]] = []
        x = 0
        for text, style, _ in strip:
            start, x = x, x + cell_len(text)
            words, ground = style_words(names, style)
            if runs and runs[-1][3] == ground and (not text.strip() or runs[-1][2] == words):
                runs[-1] = (runs[-1][0], x, *runs[-1][2:])
            else:
                runs.append((start, x, words if text.strip() else "", ground))
        shown = [
            " ".join(filter(None, (f"{start}-{end}", words, ground)))
            for start, end, words, ground in runs
            if words or ground
        ]
        lines.append(f"{number:02} {'; '.join(shown)}".rstrip())
    return lines


def style_words(names: dict[str, str], style: Style | None) -> tuple[str, str]:
    """A style as the theme's names for its colours: of what is written, and of what is behind."""
    if style is None:
        return "", ""
    said = {"": "", "on ": ""}
    for colour, prefix in ((style.color, ""), (style.bgcolor, "on ")):
        if colour is not None and not colour.is_default:
            value = colour.get_truecolor().hex
            name = names.get(value, value)
            said[prefix] = "" if name in ("foreground", "background") else prefix + name
    shown = [name for name in ("bold", "underline") if getattr(style, name)]
    return " ".join([*shown, *filter(None, [said[""]])]), (
        "reverse" if style.reverse else said["on "]
    )


def check_golden(name: str, shown: list[str]) -> None:
    """Compare with tests/tui/golden/NAME.txt; SV2RIG_UPDATE_GOLDEN=1 writes it anew."""
    path = GOLDEN / f"{name}.txt"
    text = "\n".join(shown) + "\n"
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{UPDATE}=1 writes {path.name} anew"
