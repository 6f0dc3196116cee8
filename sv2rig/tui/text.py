"""Values as text of a known width. Widths are in terminal cells, never in characters."""

from __future__ import annotations

import time
import unicodedata

from rich.cells import cell_len, chop_cells, set_cell_size

from sv2rig.units import duration, si

Part = tuple[str, str]  # text and style, in which roles may stand

UNKNOWN = "–"
_LONGEST = 500  # characters looked at in a text that somebody else wrote


def plain(text: str) -> str:
    """Text from outside (pool, driver) made safe to show: one line, no control, no surprises.

    Control and formatting characters (escape sequences, bidirectional overrides) and pictographs,
    on whose width terminals disagree, become "?"; combining marks go, so that nothing piles up.
    The result is to be put into rich.text.Text, never parsed as markup.
    """
    text = text[:_LONGEST]
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe(char) for char in unicodedata.normalize("NFC", text))


def _safe(char: str) -> str:
    if char in "\t\r\n":
        return " "
    category = unicodedata.category(char)
    if category[0] == "M":
        return ""
    if category[0] == "C" or category in ("Zl", "Zp"):
        return "?"
    if category[0] == "S" and (
        ord(char) >= 0x1F000 or unicodedata.east_asian_width(char) in ("W", "F")
    ):
        return "?"
    return char


def fit(text: str, width: int) -> str:
    """At most `width` cells; what does not fit is cut at the end and an ellipsis says so."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def fit_middle(text: str, width: int) -> str:
    """At most `width` cells; both ends are kept, since keys and serial numbers differ there."""
    if cell_len(text) <= width:
        return text
    if width < 3:
        return fit(text, width)
    tail = (width - 1) // 2
    end = chop_cells(text[::-1], tail)[0][::-1]
    return set_cell_size(text, width - 1 - tail).rstrip() + "…" + end


def cell(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells."""
    text = fit(text, width)
    pad = " " * (width - cell_len(text))
    return pad + text if right else text + pad


def short_url(url: str, width: int) -> str:
    """A pool's URL in `width` cells: the key gives way first, then the scheme, then the host."""
    url = plain(url)
    if cell_len(url) <= width:
        return url
    scheme, separator, rest = url.rpartition("://")
    host, slash, key = rest.partition("/")
    short_key = slash + fit_middle(key, 9)
    for candidate in (scheme + separator + host + short_key, host + short_key, host):
        if cell_len(candidate) <= width:
            return candidate
    return fit_middle(host, width)


def quantity(value: float | None, unit: str) -> str:
    """A reading with its unit behind it, or a dash. Small ones keep two digits: 0.3 is not 0."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f}{unit}" if abs(value) >= 9.95 else f"{value:.2g}{unit}"


def count(value: int, width: int) -> str:
    """A counter, in full where it fits."""
    text = str(value)
    return text if len(text) <= width else si(value)


def percent(value: float | None) -> str:
    """A small share in percent: ".09%", "1.2%", "34%"."""
    if value is None:
        return UNKNOWN
    if value >= 9.95 or not value:
        return f"{value:.0f}%"
    return f"{value:.1f}%" if value >= 0.095 else f"{value:.2f}%".removeprefix("0")


def since(start: float | None, now: float) -> str:
    return UNKNOWN if start is None else duration(max(now - start, 0))


def clock(at: float) -> str:
    """The local time of day of a moment in UTC seconds."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def offset(at: float) -> str:
    """How far local time was ahead of UTC at that moment: "+02:00"."""
    zone = time.strftime("%z", time.localtime(at))
    return f"{zone[:3]}:{zone[3:5]}"
