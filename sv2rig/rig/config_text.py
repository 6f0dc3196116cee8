"""Where in a TOML text each key stands. tomllib reads the values but keeps no positions."""

from __future__ import annotations

import json
import re
import tomllib

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + _BASIC.pattern + "|" + _LITERAL.pattern,
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")  # numbers, dates, true and false


def quoted(text: str) -> str:
    """The text as TOML's basic string: JSON's escapes, and DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table and key of a text that tomllib has read without complaint;
    elements of arrays have their number in the path, as ("pools", 0, "url")."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0  # newlines before this place are in _line
        self._tables: dict[KeyPath, int] = {}  # arrays of tables -> how many there are
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._blank()

    def _header(self) -> KeyPath:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        line = self._line_here()
        parts = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._latest((*path, part))
        path = (*path, parts[-1])
        if is_array:
            self.lines.setdefault(path, line)
            self._tables[path] = self._tables.get(path, 0) + 1
        path = self._latest(path)
        self.lines.setdefault(path, line)
        return path

    def _latest(self, path: KeyPath) -> KeyPath:
        count = self._tables.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line_here()
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._at += 1  # "="
        self._blank()
        self._value(path)

    def _key(self) -> list[str]:
        """A key's parts; the place is then behind it and the space that follows."""
        parts: list[str] = []
        while True:
            self._blank()
            pattern = {'"': _BASIC, "'": _LITERAL}.get(self._text[self._at], _BARE)
            found = self._take(pattern)
            parts.append(found if pattern is _BARE else next(iter(tomllib.loads(f"{found} = 0"))))
            self._blank()
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self._line_here())
        match self._text[self._at]:
            case "[":
                self._elements(path)
            case "{":
                self._inline(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_SCALAR)

    def _elements(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        self._blank()
        while self._text[self._at] != "]":
            self._value((*path, index))
            index += 1
            self._comma()
        self._at += 1

    def _inline(self, path: KeyPath) -> None:
        self._at += 1
        self._blank()
        while self._text[self._at] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        self._blank()
        if self._text[self._at] == ",":
            self._at += 1
            self._blank()

    def _blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"line {self._line_here()}: no TOML")
        self._at = found.end()
        return found.group()

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
