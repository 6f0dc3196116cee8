"""An emulated board, a pool and a rig that mines with the one on the other, a process each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rig_processes import SV2RIG, heard, said

from sv2rig.api.client import RigClient, find_rigs
from sv2rig.rig.runtime_folder import runtime_folder
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1
WANTED_SHARES = 5
# Replies come often, so that a run is short.
OFTEN = ("--ticket-bits", "12", "--rate", "100000")
NOWHERE = f"stratum2+tcp://127.0.0.1:1/{encode_authority_key(xonly_public_key(b'D' * 32))}"
POOL = ("pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--json")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


def ended(process: subprocess.Popen[str]) -> tuple[Any, str, float]:
    """After Ctrl-C: its last line of JSON, its log, how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    return json.loads(out.splitlines()[-1]), log, time.monotonic() - began


def until(environment: dict[str, str], holds: Callable[[Any], bool]) -> None:
    """Until this holds of the rig's snapshot."""
    folder = runtime_folder(environment, os.getuid())
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for socket in find_rigs([folder]).values():
            if holds(seen := RigClient(socket).get("/v1/snapshot")):
                return
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"not within {PATIENCE_S:g} s: {seen}")


def run(environment: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        [SV2RIG, *args], capture_output=True, text=True, env=environment, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
        heard(environment, "emulate", board, *OFTEN, *options, "--json") as emulator,
        heard(environment, *POOL, "--shares-per-minute", "300") as pool,
    ):
        device, url = said(emulator)["boards"][0]["device"], said(pool)["url"]
        mine = ("mine", url, "--user", "u", "--device", device, "--headless", "--json")
        with heard(environment, *mine) as rig:
            until(environment, lambda rig: rig["shares"]["accepted"] >= WANTED_SHARES)
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


def is_up(rig: Any) -> bool:
    return all(device["state"] in ("READY", "MINING") for device in rig["devices"])


def test_what_is_set_reaches_the_board_and_outlives_an_unplug(environment: dict[str, str]) -> None:
    device = "bm13xx:emulated_bm13xx"
    mine = ("mine", NOWHERE, "--user", "u", "--device", "serial:emulated:bm13xx?driver=bm13xx")
    with heard(environment, "emulate", "bm13xx", "--json") as emulator:
        said(emulator)
        with heard(environment, *mine, "--headless", "--json") as rig:
            until(environment, lambda rig: bool(rig["devices"]) and is_up(rig))
            assert run(environment, "set", device, "frequency=100") == "frequency = 100 MHz\n"
            ended(emulator)
            until(environment, lambda rig: rig["devices"][0]["state"] == "LOST")
            with heard(environment, "emulate", "bm13xx", "--json") as again:
                said(again)
                until(environment, is_up)
                assert run(environment, "set", device) == "frequency = 100 MHz\n"
                assert f"in use by a rig (pid {rig.pid})" in run(environment, "doctor")
            _, log, _ = ended(rig)
    assert log.count("set frequency to 100 MHz") == 1
    assert f": set frequency to 100 MHz device={device}" in log


def test_a_board_that_cools_is_waited_for_until_the_next_ctrl_c(
    environment: dict[str, str],
) -> None:
    device = "serial:emulated:bitaxe_raw?driver=bitaxe_raw"
    hot = ("emulate", "bitaxe_raw", "--option", "ambient=49", "--json")
    mine = ("mine", NOWHERE, "--user", "u", "--device", device, "--headless")
    with heard(environment, *hot) as emulator:
        said(emulator)
        with heard(environment, *mine) as rig:
            until(environment, lambda rig: bool(rig["devices"]) and is_up(rig))
            rig.send_signal(signal.SIGINT)
            assert rig.stderr is not None
            assert any("waiting until bitaxe_raw:emulated" in line for line in rig.stderr)
            began = time.monotonic()
            rig.send_signal(signal.SIGINT)
            log = rig.communicate(timeout=PATIENCE_S)[1]
            assert time.monotonic() - began < 2
    assert rig.returncode == 130
    assert "Traceback" not in log
