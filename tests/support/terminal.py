"""A terminal of its own for a command, in tmux: keys in, text out."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 40.0
LOOK_EVERY_S = 0.1


class Terminal:
    """Runs a command until it ends, and keeps what it showed last."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._tmux = (shutil.which("tmux") or "tmux", "-S", str(folder / "tmux"), "-f", "/dev/null")
        self._environment = {**environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):  # of the tests' own terminal
            self._environment.pop(name, None)
        shell = f"{shlex.join(command)}; echo ENDED $?; exec sleep 600"
        columns, rows = map(str, size)
        self._run("new-session", "-d", "-x", columns, "-y", rows, shell)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("kill-server")

    def press(self, *keys: str) -> None:
        """Keys as tmux calls them."""
        self._run("send-keys", *keys)

    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def shows(self, *patterns: str, never: str = "\0") -> str:
        """Wait until each of these regular expressions is on the screen at once; the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            text = self.text()
            missing = [pattern for pattern in patterns if not re.search(pattern, text, re.M)]
            assert never not in text, text
            if not missing:
                return text
            assert time.monotonic() < deadline, f"never shown: {missing}, but:\n{text}"
            time.sleep(LOOK_EVERY_S)

    def _run(self, *args: str) -> str:
        done = subprocess.run(
            [*self._tmux, *args],
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout
