"""The user's command, run for real."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from sv2rig.rig import hooks as hooks_module
from sv2rig.rig.happenings import Happening, Kind
from sv2rig.rig.hooks import HookPlan, Hooks, hook_environment

FOUND = Happening(Kind.BLOCK_FOUND, 1_800_000_000.0, "block\nfound\0", pool="home")
LOST = Happening(Kind.DEVICE_LOST, 1_800_000_000.0, "axe0 is LOST", device="axe0")


class Told:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._new = asyncio.Event()

    def __call__(self, level: str, text: str) -> None:
        self.lines.append((level, text))
        self._new.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.lines) < count:
                self._new.clear()
                await self._new.wait()


def script(folder: Path, body: str) -> tuple[str, ...]:
    path = folder / "hook.py"
    path.write_text(body)
    return (sys.executable, "-P", str(path))


def hooks(command: tuple[str, ...], told: Told, timeout_s: float = 20.0) -> Hooks:
    return Hooks(HookPlan(command), "garage", told, timeout_s)


async def lines_of(path: Path, count: int) -> list[str]:
    async with asyncio.timeout(20):
        while len(lines := _lines(path)) < count:
            await asyncio.sleep(0.01)
    return lines


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def test_it_learns_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SV2RIG_API__TOKEN", "secret")
    monkeypatch.setenv("NOTIFY_SOCKET", "@systemd")
    out = tmp_path / "out"
    body = (
        "import json, os, sys\n"
        "ours = {k: v for k, v in os.environ.items() if k.startswith(('SV2RIG', 'NOTIFY'))}\n"
        f"print(json.dumps([ours, json.load(sys.stdin)]), file=open({str(out)!r}, 'a'))"
    )
    told = Told()
    hook = hooks(script(tmp_path, body), told)
    hook.tell(FOUND)
    [line] = await lines_of(out, 1)
    environment, given = json.loads(line)
    assert environment == {
        "SV2RIG_EVENT": "block_found",
        "SV2RIG_EVENT_TIME": "2027-01-15T08:00:00Z",
        "SV2RIG_EVENT_RIG": "garage",
        "SV2RIG_EVENT_TEXT": "block found?",
        "SV2RIG_EVENT_POOL": "home",
    }
    assert given == {
        "event": "block_found",
        "time": "2027-01-15T08:00:00Z",
        "rig": "garage",
        "text": "block found?",
        "pool": "home",
    }
    await hook.close()
    assert told.lines == []
    passed = hook_environment({"PATH": "/bin", "SV2RIG_X": "1"}, "garage", LOST)
    assert passed["PATH"] == "/bin"
    assert "SV2RIG_X" not in passed
    assert passed["SV2RIG_EVENT_DEVICE"] == "axe0"


async def test_one_at_a_time_of_a_kind_and_kinds_side_by_side(tmp_path: Path) -> None:
    out, gate = tmp_path / "out", tmp_path / "gate"
    body = (
        "import os, time\n"
        f"out = open({str(out)!r}, 'a', buffering=1)\n"
        "print('begin', os.environ['SV2RIG_EVENT'], file=out)\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
        "print('end', os.environ['SV2RIG_EVENT'], file=out)"
    )
    hook = hooks(script(tmp_path, body), Told())
    hook.tell(FOUND)
    hook.tell(FOUND)
    hook.tell(LOST)
    assert sorted(await lines_of(out, 2)) == ["begin block_found", "begin device_lost"]
    gate.touch()
    lines = await lines_of(out, 6)
    blocks = [line for line in lines if line.endswith("block_found")]
    assert blocks == ["begin block_found", "end block_found"] * 2
    await hook.close()


async def test_failures_are_told_once_until_it_works_again(tmp_path: Path) -> None:
    works = tmp_path / "works"
    body = f"import os, sys\nif not os.path.exists({str(works)!r}): sys.exit('no\\n\\x1bbell')"
    told = Told()
    command = script(tmp_path, body)
    hook = hooks(command, told)
    for _ in range(3):
        hook.tell(FOUND)
    await told.wait(1)
    assert (await hook.test()).trouble == f"{command[0]} ended with status 1"
    works.touch()
    hook.tell(LOST)
    await told.wait(2)
    await hook.close()
    assert told.lines == [
        (
            "warning",
            f"hook: {command[0]} ended with status 1 (no ?bell); it is told again only when it "
            "works",
        ),
        ("info", "the hook works again"),
    ]


async def test_what_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        f"print(os.getpid(), child.pid, file=open({str(pids)!r}, 'w'), flush=True)\n"
        "child.wait()"
    )
    command = script(tmp_path, body)
    outcome = await hooks(command, Told(), timeout_s=2.0).test()
    assert outcome.trouble == f"{command[0]} was killed: it took longer than 2 s"
    assert 2.0 <= outcome.seconds < 20
    for pid in pids.read_text().split():
        await ended(int(pid))


async def ended(pid: int) -> None:
    """Nobody reaps a grandchild but init: a zombie has ended, too."""
    async with asyncio.timeout(20):
        while not _has_ended(pid):
            await asyncio.sleep(0.01)


def _has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


async def test_what_runs_is_killed_at_the_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = f"import os, time\nprint(os.getpid(), file=open({str(pids)!r}, 'w'))\ntime.sleep(1000)"
    hook = hooks(script(tmp_path, body), Told())
    hook.tell(FOUND)
    hook.tell(FOUND)
    [pid] = await lines_of(pids, 1)
    await hook.close()
    await ended(int(pid))


async def test_words_for_what_cannot_be_run(tmp_path: Path) -> None:
    outcome = await hooks((str(tmp_path / "none"),), Told()).test()
    assert outcome.trouble == f"{tmp_path}/none: No such file or directory"
    assert "no command" in str((await hooks((), Told()).test()).trouble)
    loud = script(tmp_path, "import sys\nwhile True: sys.stderr.write('x' * 65536)")
    outcome = await hooks(loud, Told(), timeout_s=0.5).test()
    assert len(outcome.said) <= hooks_module.MOST_OUTPUT
    killed = await hooks(("/bin/sh", "-c", "kill -TERM $$"), Told()).test()
    assert killed.trouble == "/bin/sh was ended by SIGTERM"


async def test_only_what_was_asked_for_and_not_without_bound(tmp_path: Path) -> None:
    told = Told()
    body = "import time\ntime.sleep(1000)"
    hook = Hooks(
        HookPlan(script(tmp_path, body), frozenset({Kind.DEVICE_LOST})), "garage", told, 20.0
    )
    hook.tell(FOUND)
    for _ in range(hooks_module.MOST_WAITING):
        hook.tell(LOST)
    assert told.lines == []
    hook.tell(LOST)
    assert "one is left out" in told.lines[0][1]
    await hook.close()
