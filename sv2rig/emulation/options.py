"""Values of a board's own options, as text from the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def whole_number(more: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """An option's value from `least` to `most`; ValueError, in words for the user, otherwise."""
    text = more.get(name, str(default))
    try:
        value = int(text, 0)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise ValueError(f"{name}={text}: it must be a whole number from {least} to {most}")
    return value


def choice(more: Mapping[str, str], name: str, default: str, choices: Collection[str]) -> str:
    """One of the choices, however capitalised; ValueError, in words for the user, otherwise."""
    text = more.get(name, default)
    for one in choices:
        if one.lower() == text.lower():
            return one
    raise ValueError(f"{name}={text}: it must be one of {', '.join(choices)}")
