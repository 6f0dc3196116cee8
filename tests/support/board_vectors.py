"""Every vector of vectors/boards and what proves it: one table for the tests and `make vectors`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "boards"

Check = Callable[[dict[str, Any], dict[str, Any]], None]
CHECKS: list[tuple[str, str, Check]] = []  # file, how the vector's id begins, check of (in, out)

NO_DRIVER = {
    "avalon-nano-detect": "no driver for Avalon's USB sticks",
    "avalon-volt-6500": "no driver for Avalon's USB sticks",
    "avalon-volt-5000": "no driver for Avalon's USB sticks",
    "modminer-probe": "no driver for ModMiner Quad",
    "bitforce-single-dialogue": "no driver for BitForce",
    **{
        f"icarus-division-{count}": "no driver divides by it: rates are told from proved nonces"
        for count in (1, 2, 4, 8)
    },
    "uartcomm-ping": "no driver for uart_comm: the design never reports a nonce",
    "uartcomm-info-request": "no driver for uart_comm: the design never reports a nonce",
}


def check(file: str, prefix: str = "") -> Callable[[Check], Check]:
    """The function below proves the vectors of `file` whose ids begin with `prefix`."""

    def add(function: Check) -> Check:
        CHECKS.append((file, prefix, function))
        return function

    return add


@dataclass(frozen=True, eq=False)
class Vector:
    file: str
    id: str
    given: dict[str, Any]
    out: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}:{self.id}"

    def find_check(self) -> Check | None:
        for file, prefix, function in CHECKS:
            if file == self.file and self.id.startswith(prefix):
                return function
        return None

    def not_passed(self) -> str | None:
        """Why this vector is not passed; None where it is."""
        if self.id in NO_DRIVER:
            return NO_DRIVER[self.id]
        function = self.find_check()
        if function is None:
            return "no check"
        try:
            function(self.given, self.out)
        except Exception as error:  # whatever a check trips over is the reason
            text = str(error).strip().splitlines()
            return f"{type(error).__name__}: {text[0] if text else function.__name__}"
        return None


def all_vectors() -> Iterator[Vector]:
    """The vectors of every file, in the files' order."""
    for path in sorted(FOLDER.glob("*.json")):
        for entry in json.loads(path.read_text())["vectors"]:
            yield Vector(path.stem, entry["id"], entry["in"], entry["out"])
