"""A socket that stands for systemd's: it keeps what a service says, and when it came."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

LONGEST_S = 30.0


class NotifySocket:
    """Listens in a thread of its own, so that a blocked loop cannot hide from it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[tuple[float, dict[str, str]]] = []
        self._changed = threading.Condition()
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(address.replace("@", "\0", 1))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while message := self._line.recv(4096):
            fields = dict(line.split("=", 1) for line in message.decode().splitlines())
            with self._changed:
                self.heard.append((time.monotonic(), fields))
                self._changed.notify_all()

    def wait_for(self, name: str, value: str = "1", count: int = 1) -> dict[str, str]:
        """The message that says this for the `count`th time."""
        deadline = time.monotonic() + LONGEST_S
        with self._changed:
            while len(found := self.all(name, value)) < count:
                assert self._changed.wait(deadline - time.monotonic()), f"no {name}={value}"
        return found[count - 1]

    def all(self, name: str, value: str = "1") -> list[dict[str, str]]:
        """The messages that say this."""
        return [fields for _, fields in self.heard if fields.get(name) == value]

    def times(self, name: str) -> list[float]:
        """When messages with this name came, on the monotonic clock."""
        return [at for at, fields in self.heard if name in fields]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address.replace("@", "\0", 1))
        self._thread.join()
        self._line.close()
        if not self.address.startswith("@"):
            Path(self.address).unlink()
