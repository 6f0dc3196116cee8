"""Themes of the screen, and the colours that they give to the roles of what is drawn.

The colour-blind-safe one has the blue, yellow and vermilion of Okabe and Ito, "Color Universal
Design" (2008), whose lightness differs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.style import Style
from rich.text import Span, Text
from textual.app import App
from textual.color import Color
from textual.theme import Theme

from sv2rig.tui.states import BAD, CALM, DIM, GOOD, WARN

MONOCHROME = "sv2rig-monochrome"


def _dark(name: str, calm: str, good: str, warn: str, bad: str) -> Theme:
    return Theme(
        name,
        primary=calm,
        success=good,
        warning=warn,
        error=bad,
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#303030",
        variables={"footer-background": "#1c1c1c", "footer-key-foreground": "#ffffff"},
    )


THEMES = (
    _dark("sv2rig", calm="#87afd7", good="#5fd787", warn="#ffd75f", bad="#ff6b6b"),
    _dark("sv2rig-colour-blind", calm="#b8b8b8", good="#56b4e9", warn="#f0e442", bad="#e8743b"),
    _dark(MONOCHROME, calm="#d0d0d0", good="#d0d0d0", warn="#ffffff", bad="#ffffff"),
)
_WITHOUT_COLOURS = {WARN: "bold", BAD: "bold reverse", GOOD: "", CALM: "", DIM: ""}


class Palette:
    """Styles for roles. A style is words: roles and Rich's attributes, as in "bold good"."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self._roles = roles
        self._styles: dict[str, Style] = {}

    def style(self, words: str) -> Style:
        known = self._styles.get(words)
        if known is None:
            parts = (Style.parse(self._roles.get(word, word)) for word in words.split())
            known = self._styles[words] = Style.combine([Style.null(), *parts])
        return known

    def paint(self, text: Text) -> Text:
        """The text with its roles' colours."""
        spans = [Span(s.start, s.end, self.style(str(s.style))) for s in text.spans]
        return Text(text.plain, style=self.style(str(text.style)), spans=spans)


def palette_of(app: App[Any]) -> Palette:
    """What the app's theme makes of the roles; weight and reversal where there are no colours."""
    name = "" if app.no_color else app.theme
    if name not in _PALETTES:
        _PALETTES[name] = Palette(_roles(app) if name else _WITHOUT_COLOURS)
    return _PALETTES[name]


def _roles(app: App[Any]) -> Mapping[str, str]:
    variables = app.theme_variables
    names = {GOOD: "success", CALM: "primary", WARN: "warning", BAD: "error"}
    roles = {role: Color.parse(variables[name]).hex6 for role, name in names.items()}
    fore, back = (Color.parse(variables[name]) for name in ("foreground", "background"))
    roles[DIM] = fore.blend(back, 0.36).hex6
    if app.theme != MONOCHROME:
        return roles
    return {role: f"{_WITHOUT_COLOURS[role]} {colour}" for role, colour in roles.items()}


_PALETTES: dict[str, Palette] = {}  # by the theme's name; "" is the one without colours
