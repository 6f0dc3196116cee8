"""Quantities as people read them. Pure text: no locale, no clock."""

from __future__ import annotations

from fractions import Fraction

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SUBPREFIXES = ("", "m", "µ", "n", "p", "f", "a")


def si(value: float | Fraction, unit: str = "", digits: int = 3) -> str:
    """A number with an SI prefix: si(26.4e6, "H/s") == "26.4 MH/s", si(1420000000) == "1.42G".

    Exact for integers and Fractions of any size, since difficulties go from 2**-32 to 2**224.
    """
    amount = Fraction(value)
    if not amount:
        return f"0 {unit}".rstrip()
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    index = 0
    while amount >= 1000 and index < len(_PREFIXES) - 1:
        amount /= 1000
        index += 1
    while amount < 1 and index > 1 - len(_SUBPREFIXES):
        amount *= 1000
        index -= 1
    number = f"{float(amount):.{digits}g}"
    if "e" in number:  # rounding carried into the next power, or beyond the last prefix
        number = f"{float(amount):.0f}" if amount < 10**6 else f"{float(amount):.{digits - 1}e}"
    prefix = _PREFIXES[index] if index >= 0 else _SUBPREFIXES[-index]
    return f"{sign}{number} {prefix}{unit}".rstrip() if unit else f"{sign}{number}{prefix}"


def hashrate(value_hs: float | None) -> str:
    """A hash rate, or a dash where it is unknown."""
    return "–" if value_hs is None else si(value_hs, "H/s")


def difficulty(value: float | Fraction | None) -> str:
    """A difficulty: "1.42G", "4.1k", "0.0120", "2.3e-10"; below 1 no prefix: m is minutes."""
    if value is None:
        return "–"
    if not value or 1 <= value < 10**24:
        return si(value)
    return f"{float(value):.4f}" if 0.001 <= value < 1 else f"{float(value):.1e}"


def duration(seconds: float) -> str:
    """Seconds as the two largest units: "3d04h", "6m10s", "9s"."""
    total = int(seconds)
    days, rest = divmod(total, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    if minutes:
        return f"{minutes}m{secs:02}s"
    return f"{secs}s"
