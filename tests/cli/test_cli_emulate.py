"""`sv2rig emulate` as a user runs it, with a toy board from a package of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sv2rig.bitcoin.hashing import sha256d

WORK = bytes(range(76)) + bytes(4)
GENESIS = (
    "01000000" + 64 * "0" + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "29ab5f49ffff001d1dac2b7c"
)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """Where a package names the toy of tests/support as an emulator."""
    installed = tmp_path / "toys-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[sv2rig.emulators]\ntoy = toy_board:EMULATOR\n")
    support = Path(__file__).parents[1] / "support"
    return {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{support}",
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "sv2rig"), "emulate", *arguments]


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=dict(environment),
        cwd=environment["PYTHONPATH"].partition(":")[0],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answer(path: str, work: bytes, size: int) -> bytes:
    """What a board on a pty answers to a work."""
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    flags = termios.tcgetattr(port)
    flags[4] = flags[5] = termios.B115200
    termios.tcsetattr(port, termios.TCSANOW, flags)
    os.write(port, work)
    got = b""
    while len(got) < size and select.select([port], [], [], 60)[0]:
        got += os.read(port, size - len(got))
    os.close(port)
    return got


def test_boards_are_listed(environment: Mapping[str, str]) -> None:
    done = run(environment)
    assert "toy          a toy that tests are made with\n" in done.stdout
    assert "--option colour=...  any\n" in done.stdout
    listed = json.loads(run(environment, "--json").stdout)["boards"]
    toy = {"name": "toy", "help": "a toy that tests are made with", "options": {"colour": "any"}}
    assert toy in listed


def test_two_boards_hash_until_they_are_told_to_stop(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    arguments = ("toy", "toy", "--json", "--ticket-bits", "8", "--rate", "20000")
    with subprocess.Popen(
        command(*arguments), env=dict(environment), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first, second = json.loads(process.stdout.readline())["boards"]
        replies = answer(first["ports"]["data"], WORK, 8)
        process.send_signal(signal.SIGINT)
        ledgers: dict[str, Any] = json.loads(process.stdout.readline())["ledgers"]
    assert process.returncode == 0
    assert first["device"] == f"serial:{first['ports']['data']}?driver=toy"
    assert (first["ticket_bits"], first["rate_hs"], first["replay"]) == (8, 20000, False)
    assert second["name"] == "toy-2"
    for at in (0, 4):
        assert sha256d(WORK[:76] + replies[at : at + 4])[-1] == 0
    assert ledgers["toy"]["works_received"] == 1
    assert ledgers["toy"]["replies_sent"] >= 2
    assert ledgers["toy-2"]["hashes"] == 0
    assert not list((tmp_path / "run/sv2rig/emulated").iterdir())


def test_known_answers_are_a_replay(environment: Mapping[str, str], tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"# the first block\n{GENESIS}  # at once\n\n")
    arguments = ("toy", "--ticket-bits", "40", "--replay", str(known), "--fault", "nonces=0")
    with subprocess.Popen(
        command(*arguments), env=dict(environment), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        header = bytes.fromhex(GENESIS)
        reply = answer(lines[1].split()[1], header[:76] + bytes(4), 4)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert lines[0] == "toy: 50 kH/s, ticket of 40 bits, REPLAY\n"
    assert lines[3].startswith("  sv2rig mine URL --user NAME --device 'serial:")
    assert reply == header[76:]
    assert "1 works received" in rest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tax",), "no emulated board 'tax'; there are: "),
        (("toy", "--fault", "bytes=2"), "--fault: "),
        (("toy", "--fault", "gremlins=1"), "'gremlins' is no fault"),
        (("toy", "--chips", "3"), "no option 'chips' is known to toy"),
        (("toy", "--option", "colour"), "NAME=VALUE is wanted"),
        (("ztex", "--fault", "delay=1"), "a USB device that answers late"),
        (("toy", "--replay", "nowhere"), "--replay nowhere: "),
    ],
)
def test_mistakes_are_told_in_one_line(
    environment: Mapping[str, str], arguments: tuple[str, ...], told: str
) -> None:
    done = run(environment, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
