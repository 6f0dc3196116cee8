"""`sv2rig config` and `sv2rig init` as processes: status, lines, files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import pwd
import re
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema.validators import Draft202012Validator
from unprivileged import run_unprivileged

from sv2rig.cli import init
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))
URL = f"stratum2+tcp://pool.example:3333/{KEY}"
POOL = f'[[pools]]\nurl = "{URL}"\nuser = "me"\n'
PATIENCE_S = 60.0
COMMAND = str(Path(sys.executable).parent / "sv2rig")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), **more}


def run(home: Path, *args: str, **environ: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [COMMAND, *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(home, **environ),
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


def default_path(home: Path) -> Path:
    return home / ".config" / "sv2rig" / "rig.toml"


def test_init_writes_what_check_accepts_and_nobody_else_reads(home: Path) -> None:
    path = default_path(home)
    args = ("init", "--pool", URL, "--user", 'a "quoted" \\ user', "--name", "garage", "--yes")
    assert run(home, *args) == (0, f"wrote {path}; `sv2rig run` mines by it\n", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run(home, "config", "check") == (0, f"{path}: good; pools: pool.example\n", "")
    table = tomllib.loads(path.read_text())
    assert table["name"] == "garage"
    assert table["pools"] == [{"url": URL, "user": 'a "quoted" \\ user'}]


def test_every_commented_default_may_be_uncommented(home: Path) -> None:
    path = home / "rig.toml"
    assert run(home, "init", "--pool", URL, "--user", "me", "--yes", "-o", str(path))[0] == 0
    lines = []
    is_example = False  # of another table, up to an empty line
    for line in path.read_text().splitlines():
        is_example = bool(line) and (is_example or line.startswith("# ["))
        default = re.fullmatch(r"# (\w+ = .+)", line)
        lines.append(default.group(1) if default and not is_example else line)
    before = json.loads(run(home, "config", "show", "--json", "-c", str(path))[1])["config"]
    path.write_text("\n".join(lines))
    status, out, error = run(home, "config", "show", "--json", "-c", str(path))
    assert (status, error) == (0, "")
    assert json.loads(out)["config"] == before
    assert "\nlatency_ms = 50.0\n" in path.read_text()


def test_init_never_overwrites(home: Path) -> None:
    path = home / "rig.toml"
    path.write_text("mine")
    args = ("init", "--pool", URL, "--user", "me", "--yes", "-o", str(path))
    words = f"sv2rig: {path} is there already and stays as it is\n"
    assert run(home, *args) == (1, "", words)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(home / "elsewhere")
    assert run(home, *args) == (1, "", words)
    assert not (home / "elsewhere").exists()


def test_init_without_a_terminal_says_what_to_give(home: Path) -> None:
    words = "sv2rig: there is no terminal to ask on: give --pool URL and --user NAME and --yes\n"
    assert run(home, "init") == (2, "", words)
    words = "sv2rig: with --yes nothing is asked: give --user NAME\n"
    assert run(home, "init", "--yes", "--pool", URL) == (2, "", words)
    assert not default_path(home).exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--pool", "stratum2+tcp://a", "the pool's authority key is missing"),
        ("--user", "u" * 256, "the user: found 256 bytes, wanted 1 to 255"),
        ("--name", "a b", "--name 'a b': wanted 1 to 64 letters, digits or ._-"),
    ],
)
def test_init_refuses_what_check_would(home: Path, option: str, value: str, words: str) -> None:
    given = {"--pool": URL, "--user": "me", option: value}
    args = [part for pair in given.items() for part in pair]
    status, out, error = run(home, "init", "--yes", *args)
    assert (status, out) == (2, "")
    assert words in error
    assert not default_path(home).exists()


def test_init_where_one_may_not_write(home: Path) -> None:
    blocker = home / "file"
    blocker.touch()
    path = blocker / "rig.toml"
    args = ("init", "--pool", URL, "--user", "me", "--yes", "-o", str(path))
    status, _, error = run(home, *args)
    assert status == 1
    assert error.startswith(f"sv2rig: {blocker}")


def test_a_question_may_be_interrupted(home: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "init"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(home, TERM="dumb"),
    )
    os.close(theirs)
    told = b""
    while not told.endswith(b": "):
        told += os.read(ours, 4096)
    status = None
    while status is None:  # one that comes just before the read begins waits for the next key
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(2.0)
    assert status == 130
    os.close(ours)
    assert not default_path(home).exists()


def test_init_asks_on_a_terminal_until_the_answer_is_right(home: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "init"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(home, TERM="dumb"),
    )
    os.close(theirs)
    os.write(ours, f"pool.example\n{URL}\nme\n\n".encode())
    told = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        told += part
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0, told
    assert b"does not begin with a scheme" in told
    table = tomllib.loads(default_path(home).read_text())
    assert table["pools"] == [{"url": URL, "user": "me"}]
    assert "name" not in table


def test_without_a_configuration(home: Path) -> None:
    words = (
        "there is no configuration: no pool and no user is known. Looked for: "
        f"{default_path(home)}, /etc/sv2rig/rig.toml. `sv2rig init` writes a configuration; "
        "-c FILE or SV2RIG_CONFIG names one that is elsewhere\n"
    )
    assert run(home, "config", "show") == (78, "", f"sv2rig: {words}")
    assert run(home, "config", "check") == (78, words, "")


def test_check_ends_with_78_and_a_line_a_finding(home: Path) -> None:
    path = home / "rig.toml"
    path.write_text(f"{POOL}[devices]\nuse = ['cpuu']\nthreds = 3\n[log]\nlevel = 3\n")
    status, out, error = run(home, "config", "check", "-c", str(path))
    assert (status, error) == (78, "")
    assert out.splitlines() == [
        f"{path}:6: devices.threds: there is no such key; did you mean threads?",
        f"{path}:8: log.level: found 3, wanted one of debug, info, warning, error",
    ]
    path.write_text(f"{POOL}[devices]\nuse = ['cpuu']\n")
    status, out, _ = run(home, "config", "check", "-c", str(path))
    assert (status, len(out.splitlines())) == (78, 1)
    assert run(home, "config", "show", "-c", str(path))[0] == 0  # holds together, is not there


def test_notes_are_told_and_are_no_errors(home: Path) -> None:
    path = home / "rig.toml"
    text = f'[stratum_v2]\npool_url = "tcp://h/{KEY}"\nuser = "a"\nlisten_addr = "0.0.0.0:3333"\n'
    path.write_text(text)
    status, out, error = run(home, "config", "check", "-c", str(path))
    assert (status, error) == (0, "")
    first, second, last = out.splitlines()
    assert first.endswith("is read as url in [[pools]], and tcp:// as stratum2+tcp:// (a note)")
    assert "stratum_v2.listen_addr: is of no use to a rig" in second
    assert last == f"{path}: good; pools: h"


def test_origins_are_shown_and_secrets_are_in_no_output(home: Path) -> None:
    secrets = ("hunter2", "geheim", "T0KEN")
    (home / "user").write_text("geheim")
    path = home / "rig.toml"
    path.write_text(
        f'[[pools]]\nurl = "{URL}"\nuser_file = "user"\n'
        '[hooks]\ncommand = ["sh", "https://chat.example/T0KEN"]\n'
    )
    environ = {"SV2RIG_API__TOKEN": "hunter2", "SV2RIG_LOG__LEVEL": "debug"}
    told = []
    for args in (("show",), ("show", "--origin"), ("show", "--json", "--origin"), ("check",)):
        status, out, error = run(home, "config", *args, "-c", str(path), **environ)
        assert (status, error) == (0, "")
        told.append(out)
    for secret in secrets:
        assert secret not in "".join(told)
    assert f'url = "{URL}"  # {path}:2' in told[1]
    assert 'level = "debug"  # environment variable SV2RIG_LOG__LEVEL' in told[1]
    assert 'token = "(secret)"  # environment variable SV2RIG_API__TOKEN' in told[1]
    assert 'format = "auto"  # default' in told[1]
    shown = json.loads(told[2])
    assert shown["file"] == str(path)
    assert shown["config"]["pools"][0]["url"] == URL
    assert shown["origins"]["pools[0].url"] == f"{path}:2"
    path.write_text(f'{POOL}[api]\ntoken = "hunter2"\n')
    _, out, error = run(home, "config", "check", "-c", str(path))
    assert "hunter2" not in out + error
    _, out, error = run(home, "config", "show", "-c", str(path))
    assert "hunter2" not in out + error


def test_what_is_shown_is_a_configuration(home: Path) -> None:
    path, again = home / "rig.toml", home / "again.toml"
    path.write_text(
        f'{POOL}[device."icarus:A\\u0001"]\nenabled = false\n[history]\nkeep_days = 3\n'
    )
    for args in ((), ("--origin",)):
        status, out, _ = run(home, "config", "show", *args, "-c", str(path))
        assert status == 0
        again.write_text(out)
        shown = [
            json.loads(run(home, "config", "show", "--json", "-c", str(file))[1])["config"]
            for file in (path, again)
        ]
        assert shown[0] == shown[1]


def test_the_schema_is_one_and_judges_as_the_program_does(home: Path) -> None:
    status, out, _ = run(home, "config", "schema")
    assert status == 0
    schema = json.loads(out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good = tomllib.loads(f'{POOL}[device."icarus:A"]\nfrequency = 4\n[hooks]\non = ["hot"]\n')
    assert list(validator.iter_errors(good)) == []
    for bad in ("zzz = 1", "[devices]\nthreads = 0", '[log]\nlevel = "x"', "[device.a]\nf = 'x'"):
        assert list(validator.iter_errors(tomllib.loads(f"{bad}\n{POOL}"))) != []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a file to another user")
def test_what_root_writes_for_the_daemon_is_the_daemons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "DAEMONS_FOLDER", tmp_path)
    monkeypatch.setattr(init, "DAEMONS_USER", "nobody")
    init.init(URL, "me", None, True, tmp_path / "rig.toml")
    nobody = pwd.getpwnam("nobody").pw_uid
    assert (tmp_path / "rig.toml").stat().st_uid == tmp_path.stat().st_uid == nobody
    assert (tmp_path / "rig.toml").stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_may_not_be_read_ends_with_77(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("")
    path.chmod(0)
    said = run_unprivileged(
        "from pathlib import Path; import sv2rig.rig.config\nfrom sv2rig.cli import config, output",
        """
try:
    config.load(Path(sys.argv[1]))
except output.UserError as error:
    print(error.status, error)
""",
        str(path),
    )
    assert said.startswith("77 ")
    assert "Permission denied" in said
