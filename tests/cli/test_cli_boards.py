"""`sv2rig mine --device serial:...` where the board is missing, denied, in use, or misnamed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rig_processes import SV2RIG, heard, said

PATIENCE_S = 60.0
POOL = ("pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--json")
OFTEN = ("--ticket-bits", "12", "--rate", "100000", "--json")
NO_POOL = "stratum2+tcp://127.0.0.1:1/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


def until_line(process: subprocess.Popen[str], *words: str) -> str:
    """The next line of its log that holds these words."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if all(word in line for word in words):
            return line
    raise AssertionError(f"the log ended without {words}: {seen}")


def mine(url: str, device: str) -> tuple[str, ...]:
    return ("mine", url, "--user", "u", "--device", device, "--headless")


def test_a_board_that_is_not_there_is_waited_for(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "sv2rig/emulated/icarus"
    with heard(environment, *POOL) as pool:
        rig_args = mine(said(pool)["url"], f"serial:{path}?driver=icarus")
        with heard(environment, *rig_args) as rig:
            line = until_line(rig, str(path))
            assert "nothing is there yet" in line
            with heard(environment, "emulate", "icarus", *OFTEN) as emulator:
                assert said(emulator)["boards"][0]["ports"]["data"] == str(path)
                until_line(rig, "READY")
            until_line(rig, "LOST")  # the emulator was killed


def test_a_port_in_use_is_explained(environment: dict[str, str]) -> None:
    with heard(environment, "emulate", "icarus", *OFTEN) as emulator:
        path = said(emulator)["boards"][0]["ports"]["data"]
        other = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        fcntl.flock(other, fcntl.LOCK_EX)
        with heard(environment, *mine(NO_POOL, f"serial:{path}?driver=icarus")) as rig:
            line = until_line(rig, "SICK")
            assert f"{path} is in use by another program" in line
            assert "next try in" in line
        os.close(other)


_AS_NOBODY = """
import os, serial
from sv2rig.cli.main import run

real = serial.Serial.open

def opened(port):
    if os.geteuid() != 0:
        return real(port)
    os.seteuid(65534)
    try:
        return real(port)
    finally:
        os.seteuid(0)

serial.Serial.open = opened
run()
"""


def test_a_port_that_may_not_be_opened_is_explained(environment: dict[str, str]) -> None:
    """Ports are opened as nobody where the tests run as root, whom nothing is denied."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    Path(path).chmod(0)
    arguments = [*mine(NO_POOL, f"serial:{path}?driver=icarus"), "--duration", "2"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _AS_NOBODY, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(master)
    os.close(slave)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stderr.splitlines() if path in line)
    assert f"SICK: no permission for {path}: `sudo sv2rig udev install`" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("serial:/dev/x?driver=nope", "there is no driver 'nope'; there are bitaxe_raw, bm13xx"),
        ("serial:/dev/x?driver=icarus&foo=1", "icarus has no option 'foo'; it has: model"),
        ("serial:/dev/x?driver=icarus&model=x", "model is one of icarus, lancelot, erupter"),
        ("serial:/dev/x?driver=bm13xx&chips=0", "chips is a whole number from 1 to 126, not '0'"),
        ("serial:/dev/x?driver=bm13xx&chips=127", "chips is a whole number from 1 to 126"),
        ("serial:/dev/x?driver=bm13xx&baud=fast", "baud is a whole number from 115200"),
        ("serial:/dev/x?driver=bm13xx&frequency=9999", "out of range: 50 to 800 MHz"),
        ("serial:/dev/x?driver=bm13xx&frequency=x", "frequency is a number, not 'x'"),
        ("serial:/dev/x?driver=fpga_uart&rate=0", "rate is a number of MH/s, up to"),
        ("serial:/dev/x?driver=fpga_uart&baud=1", "baud is a whole number from 300"),
        ("serial:?driver=icarus", "name a port, a serial number or a USB path"),
        ("serial:/dev/x?model=icarus", "options need ?driver=NAME"),
        ("seral:/dev/x", "there is no back end 'seral'"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_2(
    environment: dict[str, str], device: str, told: str
) -> None:
    done = subprocess.run(
        [SV2RIG, *mine(NO_POOL, device)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert told in line
