"""What the pool panel says: every pool in its order, then what is true of the one mined on."""

from __future__ import annotations

from urllib.parse import urlsplit

from rich.cells import cell_len
from rich.text import Text

from sv2rig.rig.snapshot import PoolSnapshot, PoolStanding, RigSnapshot
from sv2rig.tui.panels import labelled, spread
from sv2rig.tui.states import DIM, GOOD, WARN, look
from sv2rig.tui.text import UNKNOWN, Part, count, fit, fit_middle, percent, plain, quantity, since
from sv2rig.tui.watch import Watch
from sv2rig.units import difficulty, duration

_SHORTEST_HOST = 12
_FACTS = 2  # lines about the pool that is mined on


def standings(rig: RigSnapshot) -> tuple[PoolStanding, ...]:
    """The configured pools; a rig that tells none has the one that it mines on."""
    if rig.pools:
        return rig.pools
    pool = rig.pool
    state = "down" if pool.state in ("waiting", "closed") else pool.state
    return (PoolStanding("", pool.url, pool.user, state, pool.detail, is_active=True),)


def pools(watch: Watch, rig: RigSnapshot, width: int, height: int) -> tuple[str, list[Text]]:
    """Title and lines. Of more pools than there are lines the active one is shown too."""
    known = standings(rig)
    room = max(height - _FACTS, 1)
    active = next((index for index, pool in enumerate(known) if pool.is_active), 0)
    first = max(0, active - room + 1)
    shown = list(enumerate(known, 1))[first : first + room]
    title = "pool" if len(known) == len(shown) else f"pool, {len(shown)} of {len(known)}"
    lines = [_standing(number, pool, rig, width) for number, pool in shown]
    return title, [*lines, *_facts(watch, rig, width)]


def _standing(number: int, pool: PoolStanding, rig: RigSnapshot, width: int) -> Text:
    mark, role = look(pool.state)
    said: list[Part] = [(f" {plain(pool.state).upper()}", f"bold {role}")]
    if pool.is_active:
        said += _connection(pool, rig.pool)
    elif pool.state == "standby" and pool.probed is not None:
        said += [(f" probed {since(pool.probed, rig.time)} ago", DIM)]
    elif pool.since is not None:
        said += [(f" {since(pool.since, rig.time)}", "")]
    if pool.detail and pool.state not in ("mining", "standby", "disabled"):
        said += [(f" {plain(pool.detail)}", "")]
    start = f"{mark} {number} "
    rest = Text.assemble(*said)
    room = max(width - len(start) - rest.cell_len, width // 3)
    line = Text.assemble((start, role), _place(pool, room), rest)
    line.truncate(width, overflow="ellipsis")
    return line


def _connection(pool: PoolStanding, about: PoolSnapshot) -> list[Part]:
    """Channel, latency, and whether the pool has shown that it holds the key of its address."""
    kind = {"extended": "ext"}.get(
        about.channel_kind, about.channel_kind.replace("standard", "std")
    )
    parts: list[Part] = [(f" {plain(kind)}", "")] if kind else []
    if about.connected_since is None:
        return parts
    parts += [(f" {_latency(about.latency_ms)}", "")]
    has_key = len(_split(pool.url)[1]) > 1
    return [*parts, (" key ✔", GOOD) if has_key else (" no key", WARN)]


def _latency(milliseconds: float | None) -> str:
    known = milliseconds is not None and milliseconds >= 1
    return f"{milliseconds:.0f} ms" if known else quantity(milliseconds, " ms")


def _place(pool: PoolStanding, width: int) -> str:
    """Its name and, where there is room, its host; the host alone where the name says no more."""
    host, name = _split(pool.url)[0] or "no pool yet", plain(pool.name)
    if name in ("", host, host.rpartition(":")[0]):
        return fit_middle(host, width)
    room = width - cell_len(name) - 1
    fits = room >= min(_SHORTEST_HOST, cell_len(host))
    return f"{name} {fit_middle(host, room)}" if fits else fit_middle(name, width)


def _split(url: str) -> tuple[str, str]:
    """Host with port, and path."""
    try:
        parts = urlsplit(plain(url))
    except ValueError:
        return plain(url), ""
    return (parts.netloc, parts.path) if parts.netloc else (plain(url), "")


def _facts(watch: Watch, rig: RigSnapshot, width: int) -> list[Text]:
    pool, shares = rig.pool, rig.shares
    answered = shares.accepted + shares.rejected + shares.stale
    rate = watch.shares_per_minute
    job = UNKNOWN if pool.job_id is None else str(pool.job_id)
    age = UNKNOWN if pool.job_age_s is None else duration(pool.job_age_s)
    first = labelled(
        ("diff", difficulty(pool.difficulty)),
        ("job", job),
        ("age", age),
        ("sh/m", UNKNOWN if rate is None else f"{rate:.1f}"),
    )
    refused = percent(100 * shares.rejected / answered) if shares.rejected else ""
    second: list[Part] = [
        *labelled(("A", count(shares.accepted, 7))),
        ("  R ", DIM),
        (count(shares.rejected, 5), WARN if shares.rejected else ""),
        (f" ({refused})" if refused else "", ""),
        *labelled(("  stale", count(shares.stale, 5))),
        ("  no answer ", DIM),
        (count(shares.unacknowledged, 4), WARN if shares.unacknowledged else ""),
    ]
    reconnects = labelled(("reconnects", count(pool.reconnects, 4))) if width >= 54 else []
    return [spread(first, reconnects, width), spread(second, [], width)]


def trouble(rig: RigSnapshot) -> str:
    """Why there is nothing to mine on; empty while there is, or while a first attempt lasts."""
    if rig.pool.state in ("mining", "connecting"):
        return ""
    idle = sum(device.state != "MINING" or not device.hashrate_hs for device in rig.devices)
    devices = f", {idle} of {len(rig.devices)} devices idle" if idle else ""
    detail = plain(rig.pool.detail) or "no reason is known"
    return f"POOL DOWN{devices}: {fit(detail, 300)}"
