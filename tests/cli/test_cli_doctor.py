"""`sv2rig doctor` as a command: what it says of broken machines, and its status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import generate_secret, xonly_public_key

SV2RIG = str(Path(sys.executable).parent / "sv2rig")
LONGEST_S = 60.0


@pytest.fixture(scope="module")
def pool_url() -> Iterator[str]:
    command = [SV2RIG, "pool", "run", "--simulated-chain", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as pool:
        assert pool.stdout is not None
        yield json.loads(pool.stdout.readline())["url"]
        pool.terminate()


def doctor(
    tmp_path: Path, *arguments: str, status: int, **environment: str
) -> list[dict[str, Any]]:
    """The findings of one run, in an environment without a configuration of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SV2RIG_")}
    clean |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")} | environment
    done = subprocess.run(
        [SV2RIG, "doctor", "--json", *arguments],
        env=clean,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(findings: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [finding for finding in findings if finding["check"] == check]


def written(tmp_path: Path, *pools: str, state: str = "state") -> str:
    tables = (
        f'[[pools]]\nname = "pool{number}"\nurl = "{url}"\nuser = "me"\n'
        for number, url in enumerate(pools)
    )
    path = tmp_path / "rig.toml"
    path.write_text(f'state_dir = "{tmp_path / state}"\n' + "".join(tables))
    return str(path)


def test_a_machine_without_a_configuration_is_told_how_to_get_one(tmp_path: Path) -> None:
    findings = doctor(tmp_path, status=0)
    [config] = of(findings, "config")
    assert (config["level"], config["mend"]) == ("note", "sv2rig init")
    assert {"clock", "files", "cpu", "opencl", "boards"} <= {each["check"] for each in findings}


def test_a_pool_that_answers_is_good(tmp_path: Path, pool_url: str) -> None:
    [pool] = of(doctor(tmp_path, "-c", written(tmp_path, pool_url), status=0), "pool")
    assert pool["level"] == "ok"
    assert "its key is right" in pool["text"]


def test_a_pool_with_another_key_is_an_error(tmp_path: Path, pool_url: str) -> None:
    other = encode_authority_key(xonly_public_key(generate_secret()))
    url = pool_url.rpartition("/")[0] + "/" + other
    [pool] = of(doctor(tmp_path, "-c", written(tmp_path, url), status=1), "pool")
    assert pool["level"] == "error"
    assert "not signed by the expected authority key" in pool["text"]


def test_a_pool_that_is_away_is_a_warning_while_another_answers(
    tmp_path: Path, pool_url: str
) -> None:
    away = "stratum2+tcp://127.0.0.1:9/" + pool_url.rpartition("/")[2]
    both = of(doctor(tmp_path, "-c", written(tmp_path, away, pool_url), status=0), "pool")
    assert [pool["level"] for pool in both] == ["warning", "ok"]
    assert "connection refused" in both[0]["text"]
    [alone] = of(doctor(tmp_path, "-c", written(tmp_path, away), status=1), "pool")
    assert alone["level"] == "error"


def test_a_bad_configuration_names_the_line_and_no_pool_is_called(
    tmp_path: Path, pool_url: str
) -> None:
    path = Path(written(tmp_path, pool_url))
    path.write_text(path.read_text() + 'chanel = "standard"\n')
    findings = doctor(tmp_path, "-c", str(path), status=1)
    [config] = of(findings, "config")
    assert "channel" in config["text"]
    assert f"{path}:6" in config["text"]
    assert not of(findings, "pool")


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: Path, pool_url: str) -> None:
    (tmp_path / "file").write_text("in the way")
    path = written(tmp_path, pool_url, state="file/state")
    [disk] = of(doctor(tmp_path, "-c", path, status=1), "disk")
    assert disk["level"] == "error"
