"""A reader of udev rules: the part of the language that our own rules use, and no more.

What it does not know it refuses, with the line: a rule that udev would drop with a line in its
log, which nobody reads, is an error here. Source: udev(7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol


class RulesError(Exception):
    """A line that udev would not take, or would silently drop."""


class UdevDevice(Protocol):
    """A device as udev sees it, with all above it."""

    @property
    def subsystem(self) -> str: ...
    @property
    def kernel(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, str]: ...
    @property
    def parent(self) -> UdevDevice | None: ...
    def attribute(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Term:
    key: str
    attribute: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Rule:
    line: int
    terms: tuple[Term, ...]


@dataclass(slots=True)
class Outcome:
    """What the rules gave a device."""

    properties: dict[str, str]
    mode: str | None = None
    group: str | None = None
    tags: set[str] = field(default_factory=set)
    symlinks: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)  # sysfs attributes


_MATCH = frozenset({"==", "!="})
_SET = frozenset({"=", ":="})
_LIST = frozenset({"=", "+=", ":="})
_OPERATORS: dict[str, frozenset[str]] = {
    "ACTION": _MATCH,
    "SUBSYSTEM": _MATCH,
    "KERNEL": _MATCH,
    "DRIVER": _MATCH,
    "SUBSYSTEMS": _MATCH,
    "KERNELS": _MATCH,
    "DRIVERS": _MATCH,
    "ATTRS": _MATCH,
    "ATTR": _MATCH | {"="},
    "ENV": _MATCH | {"=", "+="},
    "TAG": _MATCH | {"+="},
    "MODE": _SET,
    "GROUP": _SET,
    "SYMLINK": _LIST,
    "GOTO": frozenset({"="}),
    "LABEL": frozenset({"="}),
}
_WITH_ATTRIBUTE = {"ATTR", "ATTRS", "ENV"}
_ON_PARENTS = {"SUBSYSTEMS", "KERNELS", "DRIVERS", "ATTRS"}
_TERM = re.compile(
    r'\s*([A-Z]+)(?:\{([^{}"]*)\})?\s*(==|!=|\+=|:=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,|$)'
)
_MODE = re.compile(r"0?[0-7]{3}")
_SUBSTITUTION = re.compile(r"\$env\{(\w+)\}|\$attr\{([\w/]+)\}|\$kernel|%k|(\$\w*|%\w)")


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of one file.

    Raises RulesError with the line for what cannot be read, is no key of ours, does nothing, or
    jumps to a label that does not follow.
    """
    rules = tuple(Rule(line, _terms(line, words)) for line, words in _lines(text))
    for index, rule in enumerate(rules):
        for term in rule.terms:
            if term.key == "GOTO" and _label(rules[index + 1 :], term.value) is None:
                raise RulesError(f"line {rule.line}: no LABEL {term.value!r} follows")
    return rules


def _lines(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    held = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not held and line.lstrip().startswith("#"):
            continue
        held += line
        if held.endswith("\\"):
            held = held[:-1]
            continue
        if held.strip():
            found.append((number, held.strip()))
        held = ""
    if held:
        raise RulesError(f"line {len(text.splitlines())}: goes on, but the file ends")
    return found


def _terms(line: int, words: str) -> tuple[Term, ...]:
    terms = []
    place = 0
    while place < len(words):
        match = _TERM.match(words, place)
        if match is None:
            raise RulesError(f'line {line}: KEY=="value" expected at: {words[place:].strip()}')
        key, attribute, operator, value, _ = match.groups()
        term = Term(key, attribute or "", operator, value)
        _check(line, term)
        terms.append(term)
        place = match.end()
    if all(term.operator in _MATCH for term in terms):
        raise RulesError(f"line {line}: matches, but does nothing")
    return tuple(terms)


def _check(line: int, term: Term) -> None:
    allowed = _OPERATORS.get(term.key)
    if allowed is None:
        raise RulesError(f"line {line}: {term.key} is no key that these rules use")
    if term.operator not in allowed:
        raise RulesError(f"line {line}: {term.key} cannot be used with {term.operator}")
    if bool(term.attribute) != (term.key in _WITH_ATTRIBUTE):
        needs = "needs a name in braces" if not term.attribute else "takes no braces"
        raise RulesError(f"line {line}: {term.key} {needs}")
    if term.key == "MODE" and not _MODE.fullmatch(term.value):
        raise RulesError(f"line {line}: MODE {term.value!r} is no octal number")
    if not _is_match(term):
        for found in _SUBSTITUTION.finditer(term.value):
            if found.group(3):
                raise RulesError(f"line {line}: {found.group(3)} is no substitution we use")


def _is_match(term: Term) -> bool:
    return term.operator in _MATCH or term.key == "LABEL"


def _label(rules: Sequence[Rule], name: str) -> int | None:
    for index, rule in enumerate(rules):
        if any(term.key == "LABEL" and term.value == name for term in rule.terms):
            return index
    return None


def evaluate(rules: Sequence[Rule], device: UdevDevice, action: str = "add") -> Outcome:
    """What udev would make of a device with these rules alone."""
    outcome = Outcome(dict(device.properties) | {"ACTION": action})
    index = 0
    while index < len(rules):
        rule = rules[index]
        index += 1
        if not _matches(rule, device, outcome):
            continue
        for term in rule.terms:
            if term.key == "GOTO":
                index += _label(rules[index:], term.value) or 0
            elif not _is_match(term):
                _assign(term, device, outcome)
    return outcome


def _matches(rule: Rule, device: UdevDevice, outcome: Outcome) -> bool:
    matching = [term for term in rule.terms if term.operator in _MATCH]
    own = [term for term in matching if term.key not in _ON_PARENTS]
    above = [term for term in matching if term.key in _ON_PARENTS]
    if not all(_fits(term, _own_value(term, device, outcome)) for term in own):
        return False
    place: UdevDevice | None = device
    while above and place is not None:
        if all(_fits(term, _parent_value(term, place)) for term in above):
            return True
        place = place.parent
    return not above


def _fits(term: Term, value: str | None) -> bool:
    """Shell patterns, several of them between bars; what is not there is the empty text, except
    for a sysfs attribute, which then never matches."""
    if value is None:
        return False
    matched = any(fnmatchcase(value, pattern) for pattern in term.value.split("|"))
    return matched == (term.operator == "==")


def _own_value(term: Term, device: UdevDevice, outcome: Outcome) -> str | None:
    match term.key:
        case "ACTION":
            return outcome.properties["ACTION"]
        case "SUBSYSTEM":
            return device.subsystem
        case "KERNEL":
            return device.kernel
        case "DRIVER":
            return device.driver
        case "ATTR":
            return device.attribute(term.attribute)
        case "TAG":
            return term.value if term.value in outcome.tags else ""
    return outcome.properties.get(term.attribute, "")


def _parent_value(term: Term, place: UdevDevice) -> str | None:
    match term.key:
        case "SUBSYSTEMS":
            return place.subsystem
        case "KERNELS":
            return place.kernel
        case "DRIVERS":
            return place.driver
    return place.attribute(term.attribute)


def _assign(term: Term, device: UdevDevice, outcome: Outcome) -> None:
    value = _substituted(term.value, device, outcome)
    match term.key:
        case "ENV":
            before = outcome.properties.get(term.attribute, "")
            joined = f"{before} {value}" if term.operator == "+=" and before else value
            outcome.properties[term.attribute] = joined
        case "ATTR":
            outcome.written[term.attribute] = value
        case "MODE":
            outcome.mode = value
        case "GROUP":
            outcome.group = value
        case "TAG":
            outcome.tags.add(value)
        case "SYMLINK":
            outcome.symlinks = [*(outcome.symlinks if term.operator == "+=" else ()), value]


def _substituted(value: str, device: UdevDevice, outcome: Outcome) -> str:
    def replacement(found: re.Match[str]) -> str:
        if found.group(1):
            return outcome.properties.get(found.group(1), "")
        if found.group(2):
            return device.attribute(found.group(2)) or ""
        return device.kernel

    return _SUBSTITUTION.sub(replacement, value)
