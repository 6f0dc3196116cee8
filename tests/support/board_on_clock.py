"""An emulated board on a clock that a test moves, and what hashlib says of its nonces."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from sv2rig.emulation.emulator import Emulator

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"


def vectors(file: str) -> dict[str, Any]:
    """A file's vectors by id."""
    return {vector["id"]: vector for vector in json.loads((VECTORS / file).read_text())["vectors"]}


def hash_value(header: bytes, nonce: bytes) -> int:
    """SHA-256d of a header's first 76 bytes and a nonce's four, as targets bound it."""
    return int.from_bytes(sha256(sha256(header[:76] + nonce).digest()).digest(), "little")


class BoardOnClock:
    """One port of a board; `now` moves as a test says, with a stop wherever the board asks."""

    def __init__(self, board: Emulator, baud: int = 115200, port: int = 0) -> None:
        self.board = board
        self.baud = baud
        self.port = port
        self.now = 1000.0
        board.power_up(self.now)

    def write(self, data: bytes) -> None:
        self.board.receive(self.port, data, self.baud, self.now)

    def read(self) -> bytes:
        return self.board.take_output(self.port)

    def wait(self, seconds: float) -> bytes:
        """What the board sends in this time."""
        until = self.now + seconds
        while (due := self.board.next_timeout()) is not None and due <= until:
            self.now = max(self.now, due)
            self.board.on_time(self.now)
        self.now = until
        self.board.on_time(until)
        return self.read()

    def until_output(self, at_most: float = 60.0) -> bytes:
        """What it sends first, and the clock stopped there; b"" after `at_most` seconds."""
        until = self.now + at_most
        while not (sent := self.read()):
            due = self.board.next_timeout()
            if due is None or due > until:
                self.now = until
                break
            self.now = max(self.now, due)
            self.board.on_time(self.now)
        return sent
