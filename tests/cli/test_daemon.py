"""`sv2rig run` as a process: its life, its words and its statuses."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon_process import SV2RIG, daemon, watched_pool, write_config
from notify_socket import NotifySocket

from sv2rig.api.client import RefusedError, RigClient

NOWHERE = "stratum2+tcp://127.0.0.1:1/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
SOCKET = "run/sv2rig/rig-test.sock"


async def run_once(*arguments: str, **environment: str) -> tuple[int, str]:
    """Its status, and what it said, for a run that ends by itself."""

    def run() -> subprocess.CompletedProcess[str]:
        command = [SV2RIG, "run", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment
        )

    done = await asyncio.to_thread(run)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


async def ask(folder: Path, method: str, target: str) -> Any:
    client = RigClient(folder / SOCKET)
    return await asyncio.to_thread(client.ask, method, target)


async def until(folder: Path, seen: Callable[[dict[str, Any]], object], wanted: object) -> None:
    """Wait until this is what is seen in a snapshot."""
    async with asyncio.timeout(60):
        while seen(await ask(folder, "GET", "/v1/snapshot")) != wanted:
            await asyncio.sleep(0.05)


async def until_state(folder: Path, state: str) -> None:
    await until(folder, lambda picture: picture["state"], state)


async def test_what_systemd_hears(tmp_path: Path) -> None:
    heard = NotifySocket(str(tmp_path / "notify"))
    try:
        async with watched_pool() as pool:
            config = write_config(tmp_path, pool.url)
            async with daemon(
                tmp_path, "-c", str(config), NOTIFY_SOCKET=heard.address, WATCHDOG_USEC="400000"
            ) as process:
                await asyncio.to_thread(heard.wait_for, "READY")
                await asyncio.to_thread(heard.wait_for, "WATCHDOG", count=3)
                await process.says("channel")
                process.send(signal.SIGSTOP)  # as blocked as a loop can be
                await asyncio.to_thread(heard.wait_for, "WATCHDOG")
                before = len(heard.times("WATCHDOG"))
                await asyncio.sleep(1.0)
                assert len(heard.times("WATCHDOG")) <= before + 1  # one may have been on its way
                process.send(signal.SIGCONT)
                await asyncio.to_thread(heard.wait_for, "WATCHDOG", count=before + 3)
                process.send(signal.SIGHUP)
                reloading = await asyncio.to_thread(heard.wait_for, "RELOADING")
                assert int(reloading["MONOTONIC_USEC"]) > 0
                await asyncio.to_thread(heard.wait_for, "READY", count=2)
                assert await process.end() == 0
                await asyncio.to_thread(heard.wait_for, "STOPPING")
                told = [name for _, fields in heard.heard for name in fields]
                assert "EXTEND_TIMEOUT_USEC" in told[told.index("STOPPING") :]
    finally:
        heard.close()


async def test_a_second_one_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    config = write_config(tmp_path, NOWHERE)
    async with daemon(tmp_path, "-c", str(config)) as process:
        await process.says("the API is on")
        status, said = await run_once("-c", str(config), XDG_RUNTIME_DIR=str(tmp_path / "run"))
        assert status == 1
        assert f"process {process.pid}" in said
        assert (await ask(tmp_path, "GET", "/v1/version")) is not None  # the first one lives
        assert await process.end() == 0


async def test_statuses_and_words_for_what_keeps_it_from_running(tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    config = write_config(tmp_path, NOWHERE)

    status, said = await run_once(**nowhere)
    assert status == 78
    assert "sv2rig init" in said
    assert str(tmp_path / ".config/sv2rig/rig.toml") in said

    bad = tmp_path / "bad.toml"
    bad.write_text(config.read_text().replace("[devices]", "[hook]\ncommand = 1\n[devices]"))
    status, said = await run_once("-c", str(bad), **nowhere)
    assert status == 78
    assert "hook" in said

    wrong = tmp_path / "wrong.toml"
    wrong.write_text(
        config.read_text().replace("[devices]", '[device."cpu:0"]\nfreq = 1\n[devices]')
    )
    status, said = await run_once("-c", str(wrong), **nowhere)
    assert status == 78
    assert "there is no such setting" in said

    forbidden = {**nowhere, "SV2RIG_STATE_DIR": "/sys/sv2rig"}
    status, said = await run_once("-c", str(config), **forbidden)
    assert status == 77
    assert "/sys/sv2rig" in said

    (tmp_path / "state").mkdir()
    (tmp_path / "state/rig.sqlite").write_text("my notes")
    status, said = await run_once("-c", str(config), **nowhere)
    assert status == 1
    assert "is no SQLite database" in said

    (tmp_path / "state/rig.sqlite").unlink()
    status, said = await run_once("-c", str(config), "--give-up-after", "0", **nowhere)
    assert status == 69
    assert "giving up" in said


async def test_without_a_disk_it_mines_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with watched_pool() as pool:
        config = write_config(tmp_path, pool.url)
        state = str(tmp_path / "file/state")
        async with daemon(tmp_path, "-c", str(config), SV2RIG_STATE_DIR=state) as process:
            await process.says("mining without counters")
            await process.says("channel")
            told = (await ask(tmp_path, "GET", "/v1/snapshot"))["notes"]
            assert told == [
                "no store could be opened: shares, history and settings are kept nowhere"
            ]
            assert await process.end() == 0


async def test_no_device_is_no_end(tmp_path: Path) -> None:
    config = write_config(tmp_path, NOWHERE)
    board = '["serial:/dev/ttyNONE?driver=icarus"]'
    async with daemon(tmp_path, "-c", str(config), SV2RIG_DEVICES__USE=board) as process:
        await process.says("the API is on")
        await until_state(tmp_path, "waiting")
        assert await process.end(signal.SIGINT) == 0


async def test_ctrl_c_twice_leaves_at_once(tmp_path: Path) -> None:
    heard = NotifySocket(str(tmp_path / "notify"))
    try:
        config = write_config(tmp_path, NOWHERE)
        async with daemon(tmp_path, "-c", str(config), NOTIFY_SOCKET=heard.address) as process:
            await asyncio.to_thread(heard.wait_for, "READY")
            process.send(signal.SIGINT)
            await asyncio.to_thread(heard.wait_for, "STOPPING")
            assert await process.end(signal.SIGINT) == 130
    finally:
        heard.close()


async def test_pools_go_and_come_and_the_hook_hears_of_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = tmp_path / "hook.py"
    hook.write_text(f"import sys\nprint(sys.stdin.read(), file=open({str(told)!r}, 'a'))")
    command = json.dumps([sys.executable, "-P", str(hook)])
    more = f"[hooks]\ncommand = {command}\non = ['pool_down', 'pool_back']\n"
    async with watched_pool() as pool:
        config = write_config(tmp_path, pool.url, more)
        process = daemon(tmp_path, "-c", str(config))
        running = await process.__aenter__()
        try:
            await running.says("channel")
            port = pool.port
            await until_state(tmp_path, "mining")
        except BaseException:
            await running.kill()
            raise
    try:
        await until_state(tmp_path, "waiting")
        picture = await ask(tmp_path, "GET", "/v1/snapshot")
        assert picture["pools"][0]["state"] == "down"
        await lines_of(told, 1)
        async with watched_pool(port=port):
            await until_state(tmp_path, "mining")
            down, back = (json.loads(line) for line in await lines_of(told, 2))
            assert (down["event"], down["pool"], down["rig"]) == ("pool_down", "home", "test")
            assert "devices idle" in down["text"]
            assert (back["event"], back["text"]) == ("pool_back", "pool home is back")
            answer = await ask(tmp_path, "POST", "/v1/notify/test")
            assert "the hook ran" in str(answer)
            assert json.loads((await lines_of(told, 3))[2])["event"] == "test"
            assert await running.end() == 0
    finally:
        await running.kill()


async def lines_of(path: Path, count: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(lines := _lines(path)) < count:
            await asyncio.sleep(0.05)
    return lines


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


async def test_reload(tmp_path: Path) -> None:
    async with watched_pool() as pool, watched_pool() as other:
        config = write_config(tmp_path, pool.url)
        good = config.read_text()
        async with daemon(tmp_path, "-c", str(config)) as process:
            await process.says("channel")

            config.write_text(good.replace("[devices]", "user = 'bob'\n[devices]"))  # no TOML
            with pytest.raises(RefusedError, match=r"rig\.toml:7: .*no TOML"):
                await ask(tmp_path, "POST", "/v1/reload")
            config.write_text(good.replace("alice.rig", "bob.rig") + "[log]\nlevle = 'error'\n")
            process.send(signal.SIGHUP)
            await process.says("did you mean level", times=1)
            shown = await ask(tmp_path, "GET", "/v1/config")
            assert "alice.rig" in str(shown)
            assert "bob" not in str(shown)  # nothing half-applied
            await until_state(tmp_path, "mining")

            second = f'[[pools]]\nname = "second"\nurl = "{other.url}"\nuser = "bob"\n[devices]'
            more = '[log]\nformat = "human"\n[device."simulated:0"]\nlatency_ms = 20\n'
            config.write_text(
                good.replace("[devices]", second).replace("rate=2M&", "rate=1M&") + more
            )
            changes = await ask(tmp_path, "POST", "/v1/reload")
            told = "\n".join(changes["changes"])
            assert "pools.second.url: not set -> " in told
            assert "devices.use: " in told
            assert "after a restart" in told
            assert "latency_ms: not set -> 20" in told
            devices = await ask(tmp_path, "GET", "/v1/devices/simulated%3A0")
            assert [s["value"] for s in devices["settings"] if s["name"] == "latency_ms"] == [20.0]
            await process.says("configuration: pools.second.url")

            config.write_text(good.replace('name = "home"', 'name = "moved"'))
            process.send(signal.SIGHUP)
            await process.says("leaving pool 'home'")
            moved = [("moved", "mining")]
            await until(
                tmp_path, lambda seen: [(p["name"], p["state"]) for p in seen["pools"]], moved
            )
            assert await process.end() == 0
