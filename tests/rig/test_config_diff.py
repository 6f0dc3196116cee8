"""What a reload is told of two configurations."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sv2rig.rig.config import Loaded, RigConfig, load_config
from sv2rig.rig.config_diff import Change, changes, diff
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))


def pool(name: str, user: str = "me", more: str = "") -> str:
    url = f"stratum2+tcp://{name}.example:3333/{KEY}"
    return f'[[pools]]\nname = "{name}"\nurl = "{url}"\nuser = "{user}"\n{more}\n'


def config(text: str) -> RigConfig:
    return RigConfig.model_validate(tomllib.loads(f'name = "r"\nstate_dir = "/s"\n{text}'))


def test_the_same_has_no_changes() -> None:
    assert diff(config(pool("a")), config(pool("a"))) == []


def test_each_change_says_whether_it_waits_for_a_restart() -> None:
    old = config(pool("a") + '[devices]\nuse = ["cpu"]\n[device."icarus:A"]\nfrequency = 400\n')
    new = config(pool("a") + '[log]\nlevel = "debug"\n[device."icarus:A"]\nenabled = false\n')
    changes = diff(old, new)
    assert sorted(changes, key=str) == [
        Change('device."icarus:A".enabled', True, False, "now"),
        Change('device."icarus:A".frequency', 400.0, None, "now"),
        Change("devices.use", ("cpu",), (), "restart"),
        Change("log.level", "info", "debug", "now"),
    ]
    assert sorted(map(str, changes)) == [
        'device."icarus:A".enabled: true -> false',
        'device."icarus:A".frequency: 400.0 -> not set',
        "devices.use: cpu -> none, after a restart",
        "log.level: info -> debug",
    ]


def test_pools_are_known_by_name_not_by_place() -> None:
    old = config(pool("a") + pool("b"))
    new = config(pool("b") + pool("a", more="enabled = false") + pool("c"))
    told = [str(change) for change in diff(old, new)]
    assert told[0] == "pools.a.enabled: true -> false"
    assert f"pools.c.url: not set -> stratum2+tcp://c.example:3333/{KEY}" in told
    assert told[-1] == "pools: a, b -> b, a"
    assert not any(text.startswith("pools.b") for text in told)


def test_a_user_that_is_no_secret_is_shown(tmp_path: Path) -> None:
    def loaded(user: str, **environment: str) -> Loaded:
        file = tmp_path / "rig.toml"
        file.write_text(pool("a", user) + pool("b", user))
        return load_config(file, {"HOME": "/nowhere", **environment})

    hidden = loaded("alice", SV2RIG_POOLS__1__USER="geheim")
    assert [str(change) for change in changes(hidden, loaded("bob"))] == [
        "pools.a.user: alice -> bob",
        "pools.b.user: (secret) -> (secret)",
    ]


def test_secrets_change_without_being_told() -> None:
    hook = '[hooks]\ncommand = ["curl", "https://chat.example/{}"]\n'
    old = config(pool("a", "me:geheim1") + hook.format("T1"))
    new = config(pool("a", "me:geheim2") + hook.format("T2"))
    told = [str(change) for change in diff(old, new)]
    assert told == [
        "pools.a.user: (secret) -> (secret)",
        "hooks.command: curl, https://chat.example/(secret) -> curl, https://chat.example/(secret)",
    ]
    assert "geheim" not in repr(diff(old, new))
