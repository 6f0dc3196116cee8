"""What `config check` finds that only the program can tell, and the founding documents' keys."""

# ruff: noqa: E501 - a mistake and its words side by side

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sv2rig.rig.config import ConfigError, Loaded, load_config
from sv2rig.rig.config_check import check
from sv2rig.rig.configured import pool_entries
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))
URL = f"stratum2+tcp://pool.example:3333/{KEY}"
POOL = f'[[pools]]\nurl = "{URL}"\nuser = "me"\n'  # lines 1 to 3


def loaded(folder: Path, text: str, **environ: str) -> Loaded:
    file = folder / "rig.toml"
    file.write_text(text)
    return load_config(file, environ)


def findings(folder: Path, text: str, *, path: str = "/usr/bin:/bin") -> list[str]:
    found = check(loaded(folder, text), {"PATH": path})
    return [
        str(finding).replace(f"{folder}/", "") + (" NOTE" if finding.is_note else "")
        for finding in found
    ]


def test_a_sound_one_has_no_findings(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o600)
    text = f"""{POOL}
[devices]
use = ["cpu", "opencl:0", "serial:/dev/ttyUSB0?driver=icarus", "usb:1-2", "simulated?rate=2M"]
[device."bitaxe_raw:A1"]
frequency = 450
[device."opencl:0"]
latency_ms = 10
[hooks]
command = ["sh", "-c", "true"]
[api]
token_file = "token"
"""
    assert findings(tmp_path, text) == []


WRONG = {
    '[devices]\nuse = ["cpuu"]': "rig.toml:5: devices.use[0]: 'cpuu': there is no back end 'cpuu'; there "
    "are opencl, cpu, simulated, and `sv2rig devices` lists what works here",
    '[devices]\nuse = ["cpu",\n"serial:x?driver=icaro"]': "rig.toml:6: devices.use[1]: "
    "'serial:x?driver=icaro': there is no driver 'icaro'; there are bitaxe_raw, bm13xx, fpga_uart, "
    "gekko, icarus, ztex",
    '[devices]\nuse = ["simulated?fault=x"]': "rig.toml:5: devices.use[0]: 'simulated?fault=x': "
    "simulated device: 'x' is not a valid Fault (faults: ",
    '[devices]\nuse = ["usb:1-2", "usb:1-2"]': "rig.toml:5: devices.use: chosen twice: 1-2",
    '[device."bitaxe_raw:A"]\nfrequncy = 1': 'rig.toml:5: device."bitaxe_raw:A".frequncy: there is '
    "no such setting; did you mean frequency?",
    '[device."bitaxe_raw:A"]\nzzz = 1': 'rig.toml:5: device."bitaxe_raw:A".zzz: there is no such '
    "setting; there is: ",
    '[device."bitaxe_raw:A"]\nfrequency = 1e6': 'rig.toml:5: device."bitaxe_raw:A".frequency: '
    "frequency = 1e+06 MHz is out of range: ",
    '[device."cpu:0"]\nlatency_ms = 1': 'rig.toml:5: device."cpu:0".latency_ms: latency_ms = 1 ms '
    "is out of range: 2 to 1000 ms, default 50",
    '[device."bitaxe:A"]': 'rig.toml:4: device."bitaxe:A": no device\'s id begins so; did you mean '
    "bitaxe_raw?",
    '[device."zzzz:A"]': 'rig.toml:4: device."zzzz:A": no device\'s id begins so; an id is '
    "DRIVER:WHAT, of ",
    '[hooks]\ncommand = ["./nothing"]': "rig.toml:5: hooks.command: './nothing' is no program that "
    "can be run",
    '[api]\ntoken_file = "nothing"': "rig.toml:5: api.token_file: nothing: No such file or directory",
    '[api]\nsocket_group = "nobody here"': "rig.toml:5: api.socket_group: there is no group 'nobody "
    "here' on this machine",
}


@pytest.mark.parametrize("text", WRONG)
def test_each_finding_in_its_words(tmp_path: Path, text: str) -> None:
    [line] = findings(tmp_path, f"{POOL}{text}\n")
    assert line.startswith(WRONG[text])


def test_what_is_not_there_of_tls_and_users(tmp_path: Path) -> None:
    text = f'[[pools]]\nurl = "{URL}"\nuser_file = "u"\n[api]\ntls_cert = "c"\ntls_key = "k"\n'
    assert findings(tmp_path, text) == [
        "rig.toml:3: pools[0].user_file: u: No such file or directory",
        "rig.toml:5: api.tls_cert: c is not there",
        "rig.toml:6: api.tls_key: k is not there",
    ]
    (tmp_path / "u").write_text("x" * 256)
    (tmp_path / "c").touch()
    (tmp_path / "k").touch()
    [line] = findings(tmp_path, text)
    assert line.startswith("rig.toml:3: pools[0].user_file: u: found 256 bytes, wanted 1 to 255")


def test_a_secret_that_everybody_can_read_is_worth_a_note(tmp_path: Path) -> None:
    text = f'[[pools]]\nurl = "{URL}"\nuser_file = "u"\n'
    (tmp_path / "u").write_text("me")
    (tmp_path / "u").chmod(0o644)
    [line] = findings(tmp_path, text)
    assert line == (
        "rig.toml:3: pools[0].user_file: every user of this machine can read u: chmod o-rwx it NOTE"
    )
    (tmp_path / "u").chmod(0o640)
    assert findings(tmp_path, text) == []


def test_a_payout_address(tmp_path: Path) -> None:
    address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    text = f'{POOL}payout_address = "{address}"\n'
    assert findings(tmp_path, text) == []
    assert [e.payout_address for e in pool_entries(loaded(tmp_path, text))] == [address]
    [line] = findings(tmp_path, text + 'channel = "standard"\n')
    assert line == (
        "rig.toml:4: pools[0].payout_address: a standard channel's jobs do not show whom they pay: "
        "only extended ones do NOTE"
    )
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text.replace("f3t4", "f3t5"))
    [finding] = caught.value.findings
    assert (
        str(finding)
        .replace(f"{tmp_path}/", "")
        .startswith("rig.toml:4: pools[0].payout_address: address 'bc1qw508…v8f3t5': ")
    )


FOUNDING = f"""\
[stratum_v2]
enabled = true
listen_addr = "0.0.0.0:3333"
pool_url = "stratum+tcp://pool.example:3333/{KEY}"
user = "me"
transport_preference = "tcponly"
p2p_stratum_demux = true
merge_mining_enabled = false
secondary_chains = []
difficulty_target = 1
max_connections = 100
pool_name = "p"
extra_extranonce = ""
"""


def test_the_founding_keys_become_a_pool_and_are_explained(tmp_path: Path) -> None:
    result = loaded(tmp_path, FOUNDING)
    assert result.config.pools[0].url == URL
    assert result.user(0) == "me"
    assert result.origins["pools[0].url"] == f"{tmp_path}/rig.toml:4"
    assert not [name for name in result.origins if name.startswith("stratum_v2")]
    pool = "is of no use to a rig; `sv2rig pool run` is the pool, and has"
    node = "belongs to the node and is of no use to a rig"
    chains = f"{node}: it is the pool who merges chains"
    words = {
        "listen_addr": f"{pool} --listen HOST:PORT",
        "pool_url": "is read as url in [[pools]], and stratum+tcp:// as stratum2+tcp://",
        "user": None,
        "transport_preference": f"{node}, which speaks TCP here",
        "p2p_stratum_demux": node,
        "merge_mining_enabled": chains,
        "secondary_chains": chains,
        "difficulty_target": f"{pool} --shares-per-minute",
        "max_connections": f"{pool} limits of its own",
        "pool_name": f"{pool} no name",
        "extra_extranonce": f"{pool} its own way to share out extranonces",
    }
    assert findings(tmp_path, FOUNDING) == [
        f"rig.toml:{number}: stratum_v2.{name}: {text} NOTE"
        for number, (name, text) in enumerate(words.items(), 3)
        if text is not None
    ]


def founding_refused(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as failure:
        loaded(folder, text, **environ)
    return str(failure.value).replace(f"{folder}/", "").splitlines()


def test_founding_keys_that_do_not_hold_together(tmp_path: Path) -> None:
    assert founding_refused(tmp_path, POOL + FOUNDING) == [
        "rig.toml:7: stratum_v2.pool_url: [[pools]] is given too, rig.toml:1: one of them"
    ]
    assert founding_refused(tmp_path, FOUNDING.replace("true", "false", 1)) == [
        "rig.toml: pools: there is no pool to mine on: write one as [[pools]] url, user"
    ]
    assert founding_refused(tmp_path, FOUNDING.replace('user = "me"\n', "")) == [
        "rig.toml:1: stratum_v2.user: user or user_file, one of them: neither is given"
    ]
    [line] = founding_refused(tmp_path, FOUNDING.replace(f"/{KEY}", ""))
    assert line.startswith("rig.toml:4: stratum_v2.pool_url: the pool's authority key is missing")
    assert founding_refused(tmp_path, FOUNDING.replace("listen_addr", "listen_adr")) == [
        "rig.toml:3: stratum_v2.listen_adr: there is no such key; did you mean listen_addr?"
    ]
    assert founding_refused(tmp_path, '[stratum_v2]\npool_url = 3\nuser = "a"\n')[0] == (
        "rig.toml:2: stratum_v2.pool_url: found 3, wanted text in quotes"
    )


def test_the_environment_may_say_who_the_founding_pool_pays(tmp_path: Path) -> None:
    text = FOUNDING.replace('user = "me"\n', "")
    assert loaded(tmp_path, text, SV2RIG_POOLS__0__USER="them").user(0) == "them"


def test_nothing_of_this_machine_is_opened_for_a_check(tmp_path: Path) -> None:
    """A named pipe as a hook's program would block whoever opened it."""
    os.mkfifo(tmp_path / "pipe", 0o700)
    text = f'{POOL}[hooks]\ncommand = ["{tmp_path}/pipe"]\n'
    assert findings(tmp_path, text) == []
