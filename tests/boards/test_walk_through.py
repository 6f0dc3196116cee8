"""CONTRIBUTING.md's "Add a board": the package that it describes, made from the page and used."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from board_sink import RecordingSink, plug_of, random_work
from memory_board import EmulatedBoard
from virtual_time import run_virtual

from sv2rig.boards.driver import Driver, all_drivers
from sv2rig.devices.device import DeviceState
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions
from sv2rig.emulation.faults import FaultPlan, FaultyBoard
from sv2rig.emulation.kinds import find_kind

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sv2rig_toy"
CODE_LINES = 150
_BLOCK = re.compile(r"<!-- (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)
_BIN = Path(sys.executable).parent


def blocks() -> dict[str, str]:
    """The page's titled blocks."""
    return dict(_BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()))


def commands() -> list[list[str]]:
    """What the page tells the reader to type."""
    return [shlex.split(line) for line in blocks()["commands"].splitlines()]


@dataclass(frozen=True)
class Installed:
    """The package as a reader has it: its sources, and where `pip install` put it."""

    sources: Path
    site: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("walk-through")
    sources, site = folder / "sources", folder / "site"
    for name, text in blocks().items():
        if "." in name:
            path = sources / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    pip, *words = commands()[0]
    # As written, but without the network and beside the environment instead of in it.
    aside = ("--quiet", "--no-index", "--no-build-isolation", "--target", str(site))
    subprocess.run(
        [_BIN / pip, *words, *aside],
        cwd=sources,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }
    return Installed(sources, site, environment)


@pytest.fixture
def toy(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """The driver, found as any program finds it."""
    monkeypatch.syspath_prepend(str(installed.site))
    yield all_drivers()["toy"]
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def code_lines(source: str) -> int:
    """Lines with code on them: neither blank nor comment nor docstring."""
    nothing = {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT}
    nothing.add(tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    taken = {
        line
        for token in tokens
        if token.type not in nothing
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            first = node.body[0]
            taken -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(taken)


def test_lines_of_code_are_counted_rightly() -> None:
    source = (
        '"""Doc\nstring."""\n\n# why\nx = """two\nlines"""  # counted\n\n\ndef f():\n    "doc"\n'
    )
    assert code_lines(source) == 3


def test_protocol_and_driver_are_small() -> None:
    texts = blocks()
    lines = sum(code_lines(texts[f"{PACKAGE}/{name}.py"]) for name in ("protocol", "driver"))
    assert lines < CODE_LINES


def test_the_emulator_is_written_without_the_driver() -> None:
    emulator = blocks()[f"{PACKAGE}/emulator.py"]
    imported = re.findall(r"^\s*(?:from|import) (\S+)", emulator, re.MULTILINE)
    assert not [name for name in imported if name.startswith((PACKAGE, "sv2rig.boards"))]


def test_the_code_is_in_the_style_of_the_house(installed: Installed) -> None:
    for words in (("check",), ("format", "--check")):
        done = subprocess.run(
            [_BIN / "ruff", *words, "--config", ROOT / "pyproject.toml", "--no-cache", PACKAGE],
            cwd=installed.sources,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_driver_in_a_package_of_its_own_is_found(toy: Driver) -> None:
    assert toy.name == "toy"
    assert {"icarus", "toy"} <= all_drivers().keys()
    assert isinstance(find_kind("toy"), EmulatorKind)


def test_it_mines_and_comes_back(toy: Driver) -> None:
    """On the virtual clock: a pull of the plug costs no setting and no nonce goes wrong."""

    async def main() -> None:
        wires = EmulatedBoard(find_kind("toy").make(EmulatorOptions(ticket_bits=12)))
        plug = plug_of(wires)
        for _ in range(2):
            board = toy.make(plug)
            sink = RecordingSink(board)
            board.start(sink)
            await sink.state(DeviceState.READY)
            sink.give(random_work(1, board.ticket))
            await sink.count(60)
            sink.give(random_work(2, board.ticket, work_id=2))
            await sink.count(120)
            assert sink.wrong == sink.comm_errors == 0
            assert len(set(sink.found)) == len(sink.found)
            wires.unplug()
            await board.stopped()
            assert sink.states[-1][0] is DeviceState.LOST
            assert wires.open_lines == 0
            wires.plug_in()

    run_virtual(main())


def test_it_is_left_safe(toy: Driver) -> None:
    async def main() -> None:
        wires = EmulatedBoard(find_kind("toy").make(EmulatorOptions()))
        board = toy.make(plug_of(wires))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.READY)
        sink.give(random_work(1, board.ticket))
        await sink.count(1)
        assert wires.emulator.pins()["hashing"] == 1.0
        board.stop()
        await board.stopped()
        assert wires.emulator.pins()["hashing"] == 0.0

    run_virtual(main())


def test_damaged_bytes_cost_only_what_they_damaged(toy: Driver) -> None:
    async def main() -> None:
        plan = FaultPlan(seed=1, flip=0.003, drop=0.003, duplicate=0.003)
        emulator = FaultyBoard(find_kind("toy").make(EmulatorOptions(10, 10_000.0)), [plan])
        board = toy.make(plug_of(EmulatedBoard(emulator)))
        sink = RecordingSink(board)
        board.start(sink)
        await sink.state(DeviceState.READY)
        sink.give(random_work(1, board.ticket))
        await sink.count(1000)
        ledger = emulator.wires.ledger
        assert ledger.replies_damaged > 30
        assert sink.comm_errors > 30
        assert ledger.replies_sent <= len(sink.found) + 2 * ledger.replies_damaged + 1
        board.stop()
        await board.stopped()

    run_virtual(main())


@contextmanager
def running(installed: Installed, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(_BIN / words[0]), *words[1:]],
        env=dict(installed.environment),
        cwd=installed.site,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def run(installed: Installed, *words: str) -> str:
    done = subprocess.run(
        [str(_BIN / words[0]), *words[1:]],
        env=dict(installed.environment),
        cwd=installed.site,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def filled_in(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """A command of the page with the reader's own values."""
    filled = []
    for word in words:
        parts = re.split(rf"\b({'|'.join(values)})\b", word)
        filled.append("".join(values.get(part, part) for part in parts))
    return filled


def test_the_commands_work_as_written(installed: Installed) -> None:
    """Over real ptys, in processes of their own."""
    _, emulate, devices, selftest, mine = commands()
    with running(installed, *emulate, "--json", "--rate", "100000", "--ticket-bits", "12") as board:
        told = first_line(board)["boards"][0]
        assert told["device"] == f"serial:{told['ports']['data']}?driver=toy"
        assert "--device 'serial:emulated:toy?driver=toy'" in run(installed, *devices)
        values = {"PATH": told["ports"]["data"], "NAME": "walker"}
        tested = run(installed, *filled_in(selftest, values))
        assert re.search(r"Toy: \d+ nonces right, none wrong, 0 communication errors", tested)
        chain = ("--simulated-chain", "--listen", "127.0.0.1:0", "--shares-per-minute", "300")
        with running(installed, "sv2rig", "pool", "run", *chain, "--json") as pool:
            values["URL"] = first_line(pool)["url"]
            for seconds in ("4", "60"):  # the second only on a machine that has much else to do
                words = (*filled_in(mine, values), "--json", "--duration", seconds)
                mined = json.loads(run(installed, *words).splitlines()[-1])
                if mined["shares_accepted"]:
                    break
    assert mined["shares_accepted"] > 0
    assert mined["shares_rejected"] == mined["hardware_errors"] == mined["comm_errors"] == 0
