"""A rig is killed while a board has power: read off the emulated pins, over real ptys and real
processes, what `sv2rig safe-off`, the next start and Ctrl-C do."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SV2RIG = str(Path(sys.executable).parent / "sv2rig")
LONGEST_S = 30.0

Pins = dict[str, float]


class Program:
    """A process of `sv2rig`, and the JSON objects that it prints."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        with Path(environment["SAID"]).open("a") as said:  # shown where a test fails
            self.process = subprocess.Popen(
                [SV2RIG, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        self._objects: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self._objects.put(json.loads(line))

    def next(self) -> dict[str, Any]:
        return self._objects.get(timeout=LONGEST_S)

    def pins_until(self, holds: Callable[[Pins], bool]) -> list[Pins]:
        """All that the pins were until it holds, the last included."""
        seen: list[Pins] = []
        deadline = time.monotonic() + LONGEST_S
        while not seen or not holds(seen[-1]):
            assert time.monotonic() < deadline, seen[-1:]
            said = self.next()
            if "pins" in said:
                seen.append(said["pins"])
        return seen

    def end(self, number: int) -> int:
        """Sends a signal; the status it ends with."""
        self.process.send_signal(number)
        try:
            return self.process.wait(LONGEST_S)
        finally:
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


class Scene:
    """A pool and an emulated Bitaxe, for rigs that come and go."""

    def __init__(self, environment: dict[str, str], pool: Program, board: Program) -> None:
        self._environment = environment
        self.board = board
        self._started: list[Program] = []
        self._url = pool.next()["url"]
        [told] = board.next()["boards"]
        self.device = told["device"]

    def rig(self) -> Program:
        slow = f"{self.device}&frequency=100"  # soon reached
        return self.start("mine", self._url, "--user", "test", "--device", slow, "--headless")

    def start(self, *arguments: str) -> Program:
        program = Program(self._environment, *arguments)
        self._started.append(program)
        return program

    def end(self) -> None:
        for program in self._started:
            if program.process.poll() is None:
                program.end(signal.SIGKILL)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    said = tmp_path / "said"
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "SAID": str(said)}
    pool = Program(
        environment, "pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--json"
    )
    board = Program(environment, "emulate", "bitaxe_raw", "--pins", "0.02", "--json")
    scene = Scene(environment, pool, board)
    try:
        yield scene
    finally:
        scene.end()
        print(said.read_text())
        board.end(signal.SIGTERM)
        pool.end(signal.SIGTERM)


def mines(pins: Pins) -> bool:
    return pins["watts"] > 3


def is_safe(pins: Pins) -> bool:
    return pins["reset_released"] == pins["power_on"] == 0


def test_a_killed_rig_leaves_power_on_and_safe_off_takes_it(scene: Scene) -> None:
    rig = scene.rig()
    scene.board.pins_until(mines)
    rig.end(signal.SIGKILL)
    assert mines(scene.board.pins_until(mines)[-1])  # nobody else was there to stop it
    off = scene.start("safe-off", "--device", scene.device, "--json")
    assert off.next() == {"device": "bitaxe_raw:emulated_bitaxe_raw", "safe": True, "detail": ""}
    scene.board.pins_until(lambda pins: is_safe(pins) and pins["fan_percent"] == 100)
    assert off.process.wait(LONGEST_S) == 0
    off.end(signal.SIGTERM)
    cooled = scene.board.pins_until(lambda pins: pins["fan_percent"] == 0)
    assert all(is_safe(pins) for pins in cooled)


def test_the_next_start_makes_the_board_safe_before_its_first_job(scene: Scene) -> None:
    rig = scene.rig()
    scene.board.pins_until(mines)
    rig.end(signal.SIGKILL)
    rig = scene.rig()
    before = scene.board.pins_until(lambda pins: is_safe(pins) and pins["fan_percent"] == 100)
    assert mines(before[0])
    seen = scene.board.pins_until(mines)
    first = next(at for at, pins in enumerate(seen) if pins["reset_released"])
    assert all(pins["power_on"] for pins in seen[first:])  # power was there before
    assert rig.end(signal.SIGINT) == 0  # and a clean end
    assert is_safe(scene.board.pins_until(lambda pins: pins["fan_percent"] == 0)[-1])


def test_ctrl_c_twice_leaves_it_safe_with_the_fan_on(scene: Scene) -> None:
    rig = scene.rig()
    scene.board.pins_until(mines)
    rig.process.send_signal(signal.SIGINT)
    rig.end(signal.SIGINT)
    last = scene.board.pins_until(is_safe)[-1]
    assert last["fan_percent"] == 100
