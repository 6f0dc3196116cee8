"""A pool, an emulated board and a rig, a process each, for tests of who watches them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sv2rig.api.client import RigClient, find_rigs
from sv2rig.rig.runtime_folder import runtime_folder

SV2RIG = str(Path(sys.executable).parent / "sv2rig")
PATIENCE_S = 40.0
EMULATE = ("emulate", "bm13xx", "--ticket-bits", "12", "--rate", "100000", "--json")
BOARD = "bm13xx:emulated_bm13xx"
_CONFIGURATION = """
name = "bench"
state_dir = "{folder}/state"

[[pools]]
name = "home"
url = "{url}"
user = "u"

[devices]
use = ["serial:emulated:bm13xx?driver=bm13xx", "simulated?rate=90k"]
"""


def private_environment(folder: Path) -> dict[str, str]:
    """In which only this test's rigs are."""
    return {**os.environ, "XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder)}


@contextmanager
def running(
    environment: dict[str, str], *args: str, log: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """A command of sv2rig. `log`: subprocess.PIPE where its log is to be read."""
    process = subprocess.Popen(
        [SV2RIG, *args], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def heard(environment: dict[str, str], *args: str) -> Iterator[subprocess.Popen[str]]:
    """The same, with its log to be read."""
    with running(environment, *args, log=subprocess.PIPE) as process:
        yield process


def said(process: subprocess.Popen[str]) -> Any:
    """Its next line of JSON."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def pool_command(folder: Path) -> tuple[str, ...]:
    """A pool that is the same one when it is started again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return ("pool", "run", "--simulated-chain", "--keys", str(folder / "keys"), "--json",
            "--shares-per-minute", "120", "--listen", f"127.0.0.1:{port}")  # fmt: skip


def daemon_on(url: str, folder: Path) -> tuple[str, ...]:
    """A daemon with the emulated board and a simulated device."""
    path = folder / "rig.toml"
    path.write_text(_CONFIGURATION.format(url=url, folder=folder))
    return ("run", "-c", str(path))


def rig_client(environment: dict[str, str]) -> RigClient:
    """The one rig of this environment, when it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not (rigs := find_rigs([runtime_folder(environment, os.getuid())])):
        assert time.monotonic() < deadline, "no rig came"
        time.sleep(0.1)
    return RigClient(next(iter(rigs.values())))


def accepted(client: RigClient) -> int:
    """Shares of the rig."""
    shares: int = client.get("/v1/snapshot")["shares"]["accepted"]
    return shares
