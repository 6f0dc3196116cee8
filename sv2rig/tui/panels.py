"""What the header, the pool panel and the rate panel say: snapshots in, lines of text out."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import Static

from sv2rig.rig.snapshot import DeviceSnapshot, PoolSnapshot, RigSnapshot
from sv2rig.tui.history import RateHistory
from sv2rig.tui.states import BAD, DIM, GOOD, WARN, is_flat, look
from sv2rig.tui.text import (
    UNKNOWN,
    cell,
    count,
    fit,
    fit_middle,
    plain,
    quantity,
    short_url,
)
from sv2rig.units import difficulty, duration, hashrate

Part = tuple[str, str]  # text and style


class Panel(Static):
    """Lines of a fixed place: replaced only when they differ, never asking for a new layout."""

    _shown: Text | None = None

    def show(self, lines: Iterable[Text]) -> None:
        text = Text("\n").join(lines)
        if text != self._shown:
            self._shown = text
            self.update(text, layout=False)


def spread(left: list[Part], right: list[Part], width: int) -> Text:
    """One line with one part at each edge; the left gives way where they meet."""
    end = Text.assemble(*right)
    start = Text.assemble(*left)
    room = max(width - end.cell_len - 2, 0)
    start.truncate(room, overflow="ellipsis")
    return Text.assemble(start, " " * (width - start.cell_len - end.cell_len), end)


def labelled(*pairs: tuple[str, str]) -> list[Part]:
    """Names dimmed, values plain: ("job", "7") becomes "job 7"."""
    parts: list[Part] = []
    for index, (label, value) in enumerate(pairs):
        parts += [(f"{'  ' if index else ''}{label} ", DIM), (value, "")]
    return parts


def header(rig: RigSnapshot, width: int, *, answering: bool) -> list[Text]:
    """Two lines about the whole rig."""
    mark, colour = look(rig.state) if answering else ("✗", BAD)
    state = plain(rig.state).upper() if answering else "NOT ANSWERING"
    first = [
        (fit_middle(plain(rig.name), 20), "bold"),
        (f"  {mark} {state}", f"bold {colour}"),
        ("  ", ""),
        (hashrate(rig.hashrate_hs), "bold"),
        *labelled(("  1m", hashrate(rig.hashrate_1m_hs))),
    ]
    shares = rig.shares
    second = [
        *labelled(("accepted", count(shares.accepted, 6))),
        ("  rejected ", DIM),
        (count(shares.rejected, 4), WARN if shares.rejected else ""),
        ("  stale ", DIM),
        (count(shares.stale, 4), ""),
        ("  unacknowledged ", DIM),
        (count(shares.unacknowledged, 4), WARN if shares.unacknowledged else ""),
    ]
    if width >= 108:
        second += labelled(("  pending", str(shares.pending)))
        second += labelled(("  HW errors", str(rig.hardware_errors)))
        second += labelled(("  comm errors", str(rig.comm_errors)))
    blocks = (count(rig.blocks_found, 5), f"bold {GOOD}" if rig.blocks_found else "")
    right = [("blocks ", DIM), blocks, ("  up ", DIM), (duration(rig.uptime_s), "")]
    best = labelled(("best", difficulty(rig.best_difficulty)))
    return [spread(first, right, width), spread(second, best, width)]


def pool(rig: RigSnapshot, width: int) -> list[Text]:
    """Five lines about the pool. What the pool or the network says may take the second half."""
    about: PoolSnapshot = rig.pool
    mark, colour = look(about.state)
    word = f"{mark} {plain(about.state).upper()}"
    detail = fit(plain(about.detail), max(width - len(word) - 2, 0))
    kind = f"{plain(about.channel_kind)} channel" if about.channel_kind else "no channel"
    age = UNKNOWN if about.job_age_s is None else duration(about.job_age_s)
    job = UNKNOWN if about.job_id is None else str(about.job_id)
    return [
        Text.assemble((word, f"bold {colour}"), "  ", detail),
        Text(short_url(about.url, width) or "no pool yet"),
        Text(fit(f"{plain(about.transport) or UNKNOWN}, {kind}", width)),
        spread(
            labelled(("difficulty", difficulty(about.difficulty)), ("job", job), ("age", age)),
            [],
            width,
        ),
        spread(
            labelled(
                ("latency", quantity(about.latency_ms, " ms")),
                ("connected", since(about.connected_since, rig.time)),
                ("reconnects", count(about.reconnects, 5)),
            ),
            [],
            width,
        ),
    ]


def since(start: float | None, now: float) -> str:
    return UNKNOWN if start is None else duration(max(now - start, 0))


def rates(history: RateHistory, width: int, height: int) -> tuple[str, list[Text]]:
    """Title and lines: the scale above a drawing that starts at zero."""
    drawing = history.draw(width, height - 1)
    scale = Text.assemble(("highest ", DIM), hashrate(drawing.highest_hs), no_wrap=True)
    return (
        f"hash rate, last {duration(drawing.span_s)}",
        [scale, *(Text(row, GOOD) for row in drawing.rows)],
    )


def device_detail(device: DeviceSnapshot, now: float, width: int) -> list[Text]:
    """Two lines about the selected device: what its row has no room for."""
    mark, colour = look(device.state)
    reason = why(device) or ("it mines, yet no hashes arrive" if is_flat(device) else "")
    first = Text.assemble(
        (f"{mark} {plain(device.id)} {plain(device.state)}", f"bold {colour}"),
        (f" for {since(device.since, now)}", DIM),
        f": {reason}" if reason else "",
    )
    if first.cell_len > width:
        return [first]  # wraps over both lines: why comes before what
    last_share = since(device.last_share, now)
    proof, damage = device.hashrate_error, device.comm_errors
    right = labelled(
        *(() if proof is None else (("proved", f"±{100 * proof:.1f} %"),)),
        *(() if not damage else (("comm errors", count(damage, 5)),)),
        ("1m", hashrate(device.hashrate_1m_hs)),
        ("stale", count(device.shares.stale, 5)),
        ("last share", last_share if last_share == UNKNOWN else f"{last_share} ago"),
    )
    made = f"  {plain(device.name)}, {backend_of(device)}"
    return [first, spread([(made, DIM)], right, width)]


def note(text: str) -> Text:
    return Text(text, DIM)


def backend_of(device: DeviceSnapshot) -> str:
    variant = device.variant or ("emulated" if device.emulated else "")
    return plain(device.backend) + (f"/{plain(variant)}" if variant else "")


def short_id(device: DeviceSnapshot) -> str:
    """The id, without what an emulated board's says twice."""
    own = f"emulated_{device.backend}"
    return plain(device.id.replace(own, "emu") if device.emulated else device.id)


def why(device: DeviceSnapshot) -> str:
    """The reason of its state, where it says more than the state."""
    if device.reason.casefold() != device.state.casefold():
        return plain(device.reason)
    return ""


def event_words(level: str) -> tuple[str, str]:
    """The word of an event's level, in five cells, and its colour."""
    colour = {"good": GOOD, "warning": WARN, "error": BAD}.get(level, DIM)
    word = {"warning": "WARN"}.get(level, plain(level).upper())
    return cell(word, 5), colour
