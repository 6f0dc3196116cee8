"""An emulated board, a pool and a rig that mines with the one on the other, a process each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sv2rig.rig.control_client import ask, running_rigs
from sv2rig.rig.runtime_folder import runtime_folder

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1
WANTED_SHARES = 5
# Replies come often, so that a run is short.
OFTEN = ("--ticket-bits", "12", "--rate", "100000")
POOL = ("pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--json")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


@contextmanager
def running(environment: dict[str, str], *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "sv2rig"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> Any:
    """Its next line of JSON."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def ended(process: subprocess.Popen[str]) -> tuple[Any, str, float]:
    """After Ctrl-C: its last line of JSON, its log, how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    return json.loads(out.splitlines()[-1]), log, time.monotonic() - began


def until_accepted(environment: dict[str, str]) -> None:
    folder = runtime_folder(environment, os.getuid())
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for socket in running_rigs(folder).values():
            if ask(socket, "snapshot", {})["shares"]["accepted"] >= WANTED_SHARES:
                return
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"no {WANTED_SHARES} shares accepted within {PATIENCE_S:g} s")


@pytest.mark.parametrize(
    ("board", "options"),
    [
        ("icarus", ()),
        ("fpga_uart", ()),
        ("bm13xx", ()),
        ("bm13xx", ("--chips", "12")),
        ("bitaxe_raw", ()),
        ("gekko", ()),
        ("ztex", ()),
    ],
)
def test_its_shares_are_accepted(
    environment: dict[str, str], board: str, options: tuple[str, ...]
) -> None:
    with (
        running(environment, "emulate", board, *OFTEN, *options, "--json") as emulator,
        running(environment, *POOL, "--shares-per-minute", "300") as pool,
    ):
        device, url = said(emulator)["boards"][0]["device"], said(pool)["url"]
        mine = ("mine", url, "--user", "u", "--device", device, "--headless", "--json")
        with running(environment, *mine) as rig:
            until_accepted(environment)
            mined, log, took = ended(rig)
        ledger = ended(emulator)[0]["ledgers"][board]
    assert took < 2, log
    (row,) = mined["devices"]
    assert row["id"].startswith(f"{board}:")
    assert mined["shares_accepted"] >= WANTED_SHARES
    assert (mined["shares_rejected"], mined["hardware_errors"]) == (0, 0), log
    assert ledger["hashes"] > 0
    assert ledger["replies_sent"] >= mined["shares_accepted"]
    assert "Traceback" not in log
