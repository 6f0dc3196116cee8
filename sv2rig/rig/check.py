"""One check of the self-test, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class CheckFailedError(Exception):
    """What was computed is not the known answer; the text says what was and what should be."""


@dataclass(frozen=True, slots=True)
class Check:
    """`run` returns what it saw, in words, or raises; any exception is a failure."""

    name: str
    subject: str
    run: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line of the self-test. `ok` None: it could not be made here, `detail` says why."""

    check: str
    subject: str
    ok: bool | None
    detail: str
    seconds: float = 0.0


def carry_out(check: Check) -> Outcome:
    """Makes a check and times it."""
    began = time.perf_counter()
    ok = True
    try:
        detail = check.run()
    except CheckFailedError as failure:
        ok, detail = False, str(failure)
    except Exception as error:  # whatever breaks is this check's failure, not the self-test's end
        ok, detail = False, f"{type(error).__name__}: {error}"
    return Outcome(check.name, check.subject, ok, detail, round(time.perf_counter() - began, 3))


def expect_equal(what: str, found: object, expected: object) -> None:
    """CheckFailedError with both values where they differ."""
    if found != expected:
        raise CheckFailedError(f"{what} is {_shown(found)}, should be {_shown(expected)}")


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
