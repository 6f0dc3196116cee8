"""HTTP over a unix socket, with nothing of the program under test."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0


class UnixHttp:
    """One request a connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, method: str, target: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON."""
        line = http.client.HTTPConnection("localhost", timeout=PATIENCE_S)
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.settimeout(PATIENCE_S)
        try:
            line.sock.connect(str(self._path))
            line.request(method, target, body)
            answer = line.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            line.close()
