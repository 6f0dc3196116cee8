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
    assert f"\nExecStart={program} mine " in texts["unit"]
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
