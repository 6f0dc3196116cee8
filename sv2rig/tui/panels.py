"""What the header and the rate panel say, and of what lines are made: snapshots in, text out."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import Static

from sv2rig.rig.snapshot import DeviceSnapshot, RigSnapshot
from sv2rig.tui.device_columns import backend_of, why
from sv2rig.tui.history import RateHistory
from sv2rig.tui.states import BAD, DIM, GOOD, WARN, device_look, look, word
from sv2rig.tui.text import UNKNOWN, Part, cell, count, fit_middle, plain, quantity, since
from sv2rig.tui.themes import palette_of
from sv2rig.units import difficulty, duration, hashrate, si

ONE_LINE = 116  # cells from which on the header needs one line only


class Panel(Static):
    """Lines of a fixed place: replaced only when they differ, never asking for a new layout."""

    _shown: Text | None = None

    def show(self, lines: Iterable[Text]) -> None:
        text = palette_of(self.app).paint(Text("\n").join(lines))
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


def rule(left: str, right: str, width: int) -> str:
    """A title: what it is at the left, the keys for it at the right where there is room."""
    gap = width - len(left) - len(right) - 6
    return f"{left} {'─' * gap} {right}" if right and gap > 1 else left


def header(rig: RigSnapshot, width: int, *, answering: bool) -> list[Text]:
    """One line about the whole rig, or two where it is narrow."""
    wide = width >= ONE_LINE
    mark, role = look(rig.state) if answering else ("✖", BAD)
    state = plain(rig.state).upper() if answering else "LOST"
    who = [
        (fit_middle(plain(rig.name), 16), "bold"),
        (f"  {mark} {state}", f"bold {role}"),
        ("  ", ""),
    ]
    rates = [
        ("5s ", DIM),
        (hashrate(rig.hashrate_hs), "bold"),
        *labelled(("  1m", hashrate(rig.hashrate_1m_hs)), ("15m", hashrate(rig.hashrate_15m_hs))),
    ]
    power = [(efficiency(rig), ""), ("  ", ""), (quantity(watts(rig), " W"), "")]
    best, blocks = _luck(rig, all_time=wide)
    up = [("  up ", DIM), (duration(rig.uptime_s), "")]
    if wide:
        return [spread([*who, *rates, ("  ", ""), *power], [*best, *blocks, *up], width)]
    return [
        spread([*who, *rates], up, width),
        spread([*power, *_clock(rig)], [*best, *blocks], width),
    ]


def _luck(rig: RigSnapshot, *, all_time: bool) -> tuple[list[Part], list[Part]]:
    """The best difficulty and the blocks: of this run, or of all where they are kept."""
    kept = rig.lifetime if all_time else None
    best, found = rig.best_difficulty, rig.blocks_found
    if kept is not None:
        best, found = kept.best_difficulty, kept.blocks
    said = difficulty(best) if kept is None else f"{difficulty(best)} all-time"
    blocks = [("  blk ", DIM), (count(found, 5), f"bold {GOOD}" if found else "")]
    return labelled(("best", said)), blocks


def _clock(rig: RigSnapshot) -> list[Part]:
    error = rig.clock_error_s
    if not error:
        return []
    return [(f"  clock {duration(abs(error))} {'ahead' if error > 0 else 'behind'}", WARN)]


def watts(rig: RigSnapshot) -> float | None:
    """What the devices draw, as far as they say."""
    if rig.power_w is not None:
        return rig.power_w
    known = [device.power_w for device in rig.devices if device.power_w is not None]
    return sum(known) if known else None


def efficiency(rig: RigSnapshot) -> str:
    """Joules a terahash, of the devices that say both rate and power."""
    both = [
        (device.power_w, device.hashrate_1m_hs)
        for device in rig.devices
        if device.power_w and device.hashrate_1m_hs
    ]
    if not both:
        return f"{UNKNOWN} J/TH"
    return si(1e12 * sum(power for power, _ in both) / sum(rate for _, rate in both), "J/TH")


def rates(
    history: RateHistory, rig: RigSnapshot, width: int, height: int
) -> tuple[str, list[Text]]:
    """Title and lines: the scale above a drawing that starts at zero."""
    drawing = history.draw(width, max(height - 1, 0))
    wanted = [device.rated_hs for device in rig.devices if device.enabled]
    rated = [rate for rate in wanted if rate]
    told = rated and len(rated) == len(wanted)  # else the sum is of some of them only
    target = labelled(("target", hashrate(sum(rated)))) if told else []
    highest = labelled(("max", hashrate(drawing.highest_hs)))
    return (
        f"hash rate {duration(drawing.span_s)}",
        [spread(highest, target, width), *(Text(row, GOOD) for row in drawing.rows)],
    )


def device_detail(device: DeviceSnapshot, now: float, width: int) -> list[Text]:
    """Two lines about the selected device: what its row has no room for."""
    mark, role = device_look(device)
    reason = why(device)
    first = Text.assemble(
        (f"{mark} {plain(device.id)} {plain(word(device))}", f"bold {role}"),
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
        *((("rejected", count(device.shares.rejected, 5)),) if width >= 100 else ()),
        ("stale", count(device.shares.stale, 5)),
        ("last share", last_share if last_share == UNKNOWN else f"{last_share} ago"),
    )
    made = f"  {plain(device.name)}, {backend_of(device)}"
    return [first, spread([(made, DIM)], right, width)]


def note(text: str) -> Text:
    return Text(text, DIM)


def event_words(level: str) -> tuple[str, str]:
    """The word of an event's level, in five cells, and its role."""
    role = {"good": GOOD, "warning": WARN, "error": BAD}.get(level, DIM)
    said = {"warning": "WARN"}.get(level, plain(level).upper())
    return cell(said, 5), role
