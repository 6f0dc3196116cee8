"""docs/configuration.md against the program: keys, variables, statuses; and `mine`'s options."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path

import pytest

from sv2rig.cli import mine, output
from sv2rig.compute.worker import LATENCY
from sv2rig.mining.failover import FailoverLimits
from sv2rig.mining.pool_connection import Silence
from sv2rig.rig.config import load_config
from sv2rig.rig.config_keys import KEYS, Key, find
from sv2rig.rig.config_model import ALL_EVENTS, Event, FailoverConfig, RigConfig
from sv2rig.rig.config_show import literal, schema
from sv2rig.rig.happenings import Kind
from sv2rig.rig.store import KEEP_DAYS

DOC = Path(__file__).parents[2] / "docs" / "configuration.md"


def row(key: Key) -> str:
    default = "" if key.default is None else f"`{literal(key.default)}`"
    variable = f"`{key.variable}`" if key.variable else ""
    change = "restart" if key.restart else "now"
    cells = (f"`{key.shown}`", key.help, key.wanted, default, change, variable)
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    head = "| key | meaning | value | default | change | variable |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(row(key) for key in KEYS)


def test_the_table_of_keys_is_what_the_program_knows() -> None:
    found = re.search(r"<!-- keys -->\n(.*)\n<!-- end of keys -->", DOC.read_text(), re.DOTALL)
    assert found is not None
    assert found.group(1) == table(), "docs/configuration.md is behind: this is its table now"


def test_the_keys_are_those_of_the_schema() -> None:
    definitions = schema()["$defs"]
    tables = {
        "pools": "PoolConfig",
        "device": "DeviceConfig",
        "stratum_v2": "FoundingConfig",
        **{
            name: f"{name.capitalize()}Config"
            for name in ("devices", "failover", "api", "log", "hooks", "history")
        },
    }
    wanted: set[tuple[str, ...]] = {
        (name,) for name in schema()["properties"] if name not in tables
    }
    for name, definition in tables.items():
        wanted |= {(name, inner) for inner in definitions[definition]["properties"]}
    found = {(key.path[0], *key.path[1:][-1:]) for key in KEYS if key.path[-1] != "SETTING"}
    assert found == wanted
    assert set(schema()["properties"]) == set(RigConfig.model_fields)


def test_the_statuses_are_those_of_the_program() -> None:
    section = DOC.read_text().partition("## Exit statuses")[2].partition("##")[0]
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    failures = {value for name, value in vars(output).items() if name.startswith("EXIT_")}
    assert told == {0, *failures}


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    from sv2rig.sv2.authority import encode_authority_key
    from sv2rig.sv2.secp256k1 import xonly_public_key

    text = DOC.read_text().partition("explained; it never overwrites one.\n")[2].partition("##")[0]
    key = encode_authority_key(xonly_public_key(b"\x44" * 32))
    file = tmp_path / "rig.toml"
    lines = (line.removeprefix("    ") for line in text.splitlines())
    file.write_text("\n".join(lines).replace("AUTHORITYKEY", key))
    (tmp_path / "spare-user").write_text("me:password")
    loaded = load_config(file, {})
    assert [pool.name for pool in loaded.config.pools] == ["pool.example", "spare"]
    assert loaded.user(1) == "me:password"


# Options of `sv2rig mine` and the keys that say the same.
SAME = {
    "device": "use",
    "start_interval": "start_interval_s",
    "hub_watts": "hub_watts",
    "latency_ms": "latency_ms",
    "threads": "threads",
    "version_rolling": "version_rolling",
    "version_mask": "version_mask",
}


@pytest.mark.parametrize(("option", "name"), SAME.items())
def test_mine_and_the_file_have_the_same_defaults(option: str, name: str) -> None:
    default = inspect.signature(mine.mine).parameters[option].default
    key = find(("devices", name))
    assert key is not None
    assert (default or ()) == key.default if name == "use" else default == key.default


def test_limits_and_defaults_are_those_of_the_parts_that_use_them() -> None:
    key = find(("devices", "latency_ms"))
    assert key is not None
    assert key.wanted == f"a number from {LATENCY.minimum} to {LATENCY.maximum}"
    assert key.default == LATENCY.default
    limits, silence = FailoverLimits(), Silence()
    assert FailoverConfig() == FailoverConfig(
        steady_s=limits.steady_s,
        probe_s=limits.probe_s,
        silent_job_s=silence.job_s,
        silent_ack_s=silence.ack_s,
    )
    history = find(("history", "keep_days"))
    assert history is not None
    assert history.default == KEEP_DAYS
    assert typing.get_args(Event) == ALL_EVENTS == tuple(kind for kind in Kind if kind != "test")
