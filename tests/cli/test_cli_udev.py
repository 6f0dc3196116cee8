"""`sv2rig udev` as a process, under a folder that stands for /."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from unprivileged import run_unprivileged

from sv2rig.boards.groups import Membership, membership


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "sv2rig"), "udev", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_install_then_check(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path))
    assert run("check", *root).returncode == 1
    done = run("install", *root)
    assert (done.returncode, done.stderr) == (0, "")
    rules = tmp_path / "etc/udev/rules.d/70-sv2rig.rules"
    assert rules.read_text() == run("print").stdout
    assert rules.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "70-sv2rig.rules",
        "sv2rig.conf",
        "sv2rig.service",
    ]
    assert run("check", *root).returncode == 1  # no udev runs there
    (tmp_path / "run/udev").mkdir(parents=True)
    (tmp_path / "run/udev/control").touch()
    assert run("check", *root).returncode == 0
    rules.write_text("# an older version\n")
    told = run("check", *root, "--json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert (found["ok"], found["udev_runs"]) == (False, True)
    assert found["files"]["rules"] == {"state": "differs", "path": str(rules)}
    assert set(found["groups"]) == {"dialout", "plugdev"}
    assert run("install", *root).returncode == 0  # replaces it
    assert run("check", *root).returncode == 0


def test_a_packages_rules_count_and_etc_comes_first(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path))
    run("install", *root)
    mine = tmp_path / "etc/udev/rules.d/70-sv2rig.rules"
    packaged = tmp_path / "usr/lib/udev/rules.d/70-sv2rig.rules"
    packaged.parent.mkdir(parents=True)
    mine.rename(packaged)
    told = json.loads(run("check", *root, "--json").stdout)
    assert told["files"]["rules"] == {"state": "current", "path": str(packaged)}
    mine.write_text("# mine\n")
    told = json.loads(run("check", *root, "--json").stdout)
    assert told["files"]["rules"] == {"state": "differs", "path": str(mine)}


def test_the_unit_starts_this_program(tmp_path: Path) -> None:
    texts = json.loads(run("print", "--json").stdout)
    program = str((Path(sys.executable).parent / "sv2rig").resolve())
    assert f"\nExecStart={program} run --config /etc/sv2rig/rig.toml\n" in texts["unit"]
    assert f"\nExecStopPost={program} safe-off --config /etc/sv2rig/rig.toml\n" in texts["unit"]
    assert "@" not in texts["unit"].replace("@system-service", "")
    assert run("print", "user").stdout == texts["user"]
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        unit = tmp_path / "sv2rig.service"
        unit.write_text(texts["unit"])
        done = subprocess.run(
            [analyze, "verify", unit], capture_output=True, text=True, check=False
        )
        complaints = [line for line in done.stderr.splitlines() if "sv2rig.service" in line]
        assert complaints == []


def unit() -> dict[str, list[str]]:
    """The unit's settings, each with its values."""
    found: dict[str, list[str]] = {}
    for line in run("print", "unit").stdout.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_is_what_the_daemon_needs() -> None:
    settings = unit()
    assert settings["Type"] == ["notify"]
    assert float(settings["WatchdogSec"][0]) >= 10
    assert set(settings["RestartPreventExitStatus"][0].split()) == {"77", "78"}
    assert settings["Restart"] == ["on-failure"]  # which a missed watchdog is, too
    assert (settings["User"], settings["Group"]) == (["sv2rig"], ["sv2rig"])
    assert settings["RuntimeDirectory"] == ["sv2rig"]
    assert settings["RuntimeDirectoryMode"] == ["0750"]  # the group reaches the socket in it


def test_hardening_lets_kernels_be_compiled_and_boards_be_seen() -> None:
    settings = unit()
    assert settings.keys().isdisjoint({"MemoryDenyWriteExecute", "PrivateDevices", "PrivateUsers"})
    assert "AF_NETLINK" in settings["RestrictAddressFamilies"][0].split()
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["SystemCallFilter"] == ["@system-service"]


def test_systemd_s_own_score_of_the_hardening(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return  # no systemd, no score
    file = tmp_path / "sv2rig.service"
    file.write_text(run("print", "unit").stdout)
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=30", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if "unrecognized option" in done.stderr:  # older than 250
        return
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout  # an exposure of 3.0 of 10 at most
    assert "Overall exposure level" in done.stdout


def test_an_ordinary_user_is_told_to_ask_root() -> None:
    said = run_unprivileged(
        "from sv2rig.boards import udev_files; from sv2rig.cli import output, udev\n"
        "udev_files.RULES.text('')  # so that all it needs of the interpreter is loaded",
        "try: udev.install()\nexcept output.UserError as error: print(error.status, error)",
    )
    assert said.startswith("2 /etc/")
    assert "only root may write there: sudo " in said
    assert said.endswith(" udev install\n")


def test_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import os
    import pwd

    def group(name: str) -> grp.struct_group:
        members = {"old": [pwd.getpwuid(os.geteuid()).pw_name], "new": []}
        return grp.struct_group((name, "x", 4_000_000, members[name]))

    monkeypatch.setattr(grp, "getgrnam", group)
    assert membership("old") is Membership.AFTER_LOGIN
    assert membership("new") is Membership.NO_MEMBER
    assert membership("none") is Membership.NO_GROUP
    monkeypatch.setattr(os, "getgroups", lambda: [4_000_000])
    assert membership("new") is Membership.MEMBER
