"""What load_config makes of files and variables, and in what words it refuses them."""

# ruff: noqa: E501 - a mistake and its words on one line

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.rig.config import ConfigError, ConfigMissingError, Loaded, RigConfig, load_config
from sv2rig.rig.config_model import ALL_EVENTS, split_listen
from sv2rig.rig.config_show import shown, tables, toml
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

KEY = encode_authority_key(xonly_public_key(b"\x44" * 32))
URL = f"stratum2+tcp://pool.example:3333/{KEY}"
POOL = f'[[pools]]\nurl = "{URL}"\nuser = "me"\n'  # lines 1 to 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rig.toml"


def loaded(file: Path, text: str, **environ: str) -> Loaded:
    file.write_text(text, encoding="utf-8")
    return load_config(file, environ)


def refused(file: Path, text: str, **environ: str) -> list[str]:
    """The lines of the refusal, without the folder."""
    with pytest.raises(ConfigError) as failure:
        loaded(file, text, **environ)
    return str(failure.value).replace(f"{file.parent}/", "").splitlines()


def test_the_least_that_is_needed_and_the_defaults(file: Path) -> None:
    config = loaded(file, POOL).config
    [pool] = config.pools
    assert (pool.url, pool.name, pool.channel, pool.enabled) == (
        URL,
        "pool.example",
        "extended",
        True,
    )
    assert pool.user is not None
    assert pool.user.get_secret_value() == "me"
    assert config.devices.latency_ms == 50.0
    assert config.devices.version_mask == "1fffe000"
    assert config.hooks.on == ALL_EVENTS
    assert config.api.listen is None


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(file: Path) -> None:
    key = "devices.latency_ms"
    default = loaded(file, POOL)
    assert (default.config.devices.latency_ms, default.origins[key]) == (50.0, "default")
    text = f"{POOL}[devices]\nlatency_ms = 20\n"
    written = loaded(file, text)
    assert (written.config.devices.latency_ms, written.origins[key]) == (20.0, f"{file}:5")
    variable = loaded(file, text, SV2RIG_DEVICES__LATENCY_MS="10")
    assert variable.config.devices.latency_ms == 10.0
    assert variable.origins[key] == "environment variable SV2RIG_DEVICES__LATENCY_MS"


def test_variables_reach_into_lists_and_may_add_to_them(file: Path) -> None:
    environ = {
        "SV2RIG_POOLS__0__USER": "other",
        "SV2RIG_POOLS__1__URL": URL.replace("pool", "spare"),
        "SV2RIG_POOLS__1__USER": "me",
        "SV2RIG_POOLS__1__ENABLED": "false",
        "SV2RIG_DEVICES__USE": "cpu, opencl:0",
        "SV2RIG_HOOKS__COMMAND": '["/bin/echo", "a, b"]',
        "SV2RIG_LOG__LEVEL": "debug",
        "SV2RIG_EVENT_TEXT": "what a hook is told is no key",
        "PATH": "/bin",
    }
    config = loaded(file, POOL, **environ).config
    assert [pool.name for pool in config.pools] == ["pool.example", "spare.example"]
    assert config.pools[0].user is not None
    assert config.pools[0].user.get_secret_value() == "other"
    assert not config.pools[1].enabled
    assert config.devices.use == ("cpu", "opencl:0")
    assert config.hooks.command == ("/bin/echo", "a, b")
    assert config.log.level == "debug"


def test_the_environment_alone_will_do(tmp_path: Path) -> None:
    environ = {"SV2RIG_POOLS__0__URL": URL, "SV2RIG_POOLS__0__USER": "me", "HOME": str(tmp_path)}
    result = load_config(None, environ)
    assert result.path is None
    assert result.config.pools[0].url == URL


def test_where_a_configuration_is_looked_for(tmp_path: Path) -> None:
    places = {name: tmp_path / name / "sv2rig" / "rig.toml" for name in ("xdg", "home/.config")}
    for name, place in places.items():
        place.parent.mkdir(parents=True)
        place.write_text(POOL.replace("me", name))
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    for path in (named, given):
        path.write_text(POOL)
    environ = {"HOME": str(tmp_path / "home")}
    assert load_config(None, environ).path == places["home/.config"]
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    assert load_config(None, environ).path == places["xdg"]
    environ["SV2RIG_CONFIG"] = str(named)
    assert load_config(None, environ).path == named
    assert load_config(given, environ).path == given


def test_without_any_the_places_and_init_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigMissingError) as failure:
        load_config(None, {"HOME": str(tmp_path)})
    assert str(failure.value) == (
        "there is no configuration: no pool and no user is known. Looked for: "
        f"{tmp_path}/.config/sv2rig/rig.toml, /etc/sv2rig/rig.toml. `sv2rig init` writes a "
        "configuration; -c FILE or SV2RIG_CONFIG names one that is elsewhere"
    )


def test_a_file_that_is_not_there_or_no_text(file: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        load_config(file, {})
    assert str(failure.value) == f"{file}: No such file or directory"
    file.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError) as failure:
        load_config(file, {})
    assert str(failure.value) == f"{file}:2: is no text in UTF-8"
    file.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="is larger than 1048576 bytes"):
        load_config(file, {})


TOKEN = "hunter2"
# What is wrong behind POOL's three lines, and the line that says so.
WRONG: list[tuple[str, str]] = [
    ('nme = "x"', "rig.toml:1: nme: there is no such key; did you mean name?"),
    ("[devices]\nlatency-ms = 5", ":5: devices.latency-ms: there is no such key; did you mean latency_ms?"),
    ("[log]\nthreads = 5", ":5: log.threads: there is no such key here; did you mean devices.threads?"),
    ("[zzz]", ":4: zzz: there is no such key; there are: name, state_dir, pools, devices, device, "
     "failover, api, log, hooks, history, stratum_v2"),
    ("usr = 'x'", ":4: pools[0].usr: there is no such key; did you mean user?"),
    ('[devices]\nthreads = "4"', ':5: devices.threads: found "4" (text), wanted a whole number, at least 1'),
    ("[devices]\nthreads = 0", ":5: devices.threads: found 0, wanted a whole number, at least 1"),
    ("[devices]\nthreads = true", ":5: devices.threads: found true, wanted a whole number, at least 1"),
    ("[devices]\nlatency_ms = 1.9", ":5: devices.latency_ms: found 1.9, wanted a number from 2 to 1000"),
    ("[devices]\nlatency_ms = 1001", ":5: devices.latency_ms: found 1001, wanted a number from 2 to 1000"),
    ("[devices]\nhub_watts = nan", ":5: devices.hub_watts: found nan, wanted a number, at least 1"),
    ("[devices]\nstart_interval_s = -1", ":5: devices.start_interval_s: found -1, wanted a number, at least 0"),
    ('[devices]\nuse = "cpu"', ':5: devices.use: found "cpu" (text), wanted a list of: text in quotes'),
    ('[devices]\nuse = [\n"cpu",\n7]', ":7: devices.use[1]: found 7, wanted text in quotes"),
    ("[devices]\nversion_rolling = 1", ":5: devices.version_rolling: found 1, wanted true or false"),
    ('[devices]\nversion_mask = "x"', ":5: devices.version_mask: found 'x', wanted a hexadecimal number"),
    ('[devices]\nversion_mask = "ffffffff"', ":5: devices.version_mask: found 'ffffffff', wanted no bits outside "
     "1fffffe0 (BIP323)"),
    ('[device."icarus:A"]\nfrequency = "x"', ':5: device."icarus:A".frequency: found "x" (text), wanted a number'),
    ('[device."icarus:A"]\nfrequency = true', ':5: device."icarus:A".frequency: found true, wanted a number'),
    ('[device]\n"icarus:A" = 3', ':5: device."icarus:A": found 3, wanted a table'),
    ('[log]\nlevel = "loud"', ':5: log.level: found "loud" (text), wanted one of debug, info, warning, error'),
    ('[hooks]\non = ["blok"]', ':5: hooks.on[0]: found "blok" (text), wanted one of block_found, device_lost, '
     "device_back, hot, pool_down, pool_back"),
    ('[log]\nlevel = "a\\nb"', ':5: log.level: found "a\\nb" (text), wanted one of debug, info, warning, error'),
    ("[[log]]", ":4: log: found a list, wanted a table"),
    ("[api]\nsocket = 3", ":5: api.socket: found 3, wanted a path in quotes"),
    ('[api]\nlisten = "8080"', ":5: api.listen: found '8080', wanted HOST:PORT, as in 127.0.0.1:4048"),
    ('[api]\nlisten = "::1:80"', ":5: api.listen: found '::1:80', wanted an IPv6 address in brackets, as in [::1]:4048"),
    ('[api]\nlisten = "0.0.0.0:80"', ":5: api.listen: found '0.0.0.0:80' without a token: whoever reaches that "
     "address could command the rig; give token_file, or listen on 127.0.0.1"),
    ('[api]\ntls_cert = "a.pem"', ":4: api.tls_key: is missing: TLS needs tls_cert and tls_key"),
    (f'[api]\ntoken = "{TOKEN}"', ":5: api.token: a secret does not stand here: put it into a file and name "
     "that as token_file"),
    (f'[[pools]]\nurl = "{URL}"', ":4: pools[1].user: user or user_file, one of them: neither is given"),
    ('[[pools]]\nuser = "a"', ":4: pools[1].url: is missing: stratum2+tcp://HOST:PORT/AUTHORITYKEY, as the pool publishes it"),
    ('[[pools]]\nuser = "a"\nurl = "x"', ":6: pools[1].url: 'x' does not begin with a scheme; the expected form is "
     "stratum2+tcp://HOST:PORT/AUTHORITYKEY"),
    ('[[pools]]\nuser = "a"\nurl = "stratum2+tcp://h"', ":6: pools[1].url: the pool's authority key is missing: the "
     "pool publishes it, and without it nobody can tell the pool from an impostor; the expected "
     "form is stratum2+tcp://HOST:PORT/AUTHORITYKEY"),
    (f'[[pools]]\nuser = "a"\nurl = "{URL}"', ":1: pools: two pools are called pool.example: give each a name"),
    (f'[[pools]]\nuser = "{"u" * 256}"\nurl = "{URL}"', ":5: pools[1].user: found 256 bytes, wanted 1 to 255, in the "
     "pool's words"),
    (f'[[pools]]\nuser = ""\nurl = "{URL}"', ":5: pools[1].user: found 0 bytes, wanted 1 to 255, in the pool's words"),
    (f'[[pools]]\nuser = 7\nurl = "{URL}"', ":5: pools[1].user: found something else, wanted text in quotes"),
    ("a = ", ":4: is no TOML at column 5: a value is missing or wrong: is a text without quotes?"),
    ('user = "twice"', ":4: is no TOML at column 15: Cannot overwrite a value"),
    ('a = "b\nc = 1', ":4: is no TOML at column 7: a text does not end: is a quote not closed?"),
    ("a = 'b\nc = 1", ":4: is no TOML: a text does not end: is a quote not closed?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[text for text, _ in WRONG])
def test_each_mistake_has_its_line_and_its_words(file: Path, text: str, line: str) -> None:
    before, after = (f"{text}\n", POOL) if line.startswith("rig.toml") else (POOL, f"{text}\n")
    [words] = refused(file, before + after)
    assert words == (line if line.startswith("rig.toml") else f"rig.toml{line}")
    assert TOKEN not in words


def test_no_pool_is_an_error_of_the_file(file: Path) -> None:
    wanted = "pools: there is no pool to mine on: write one as [[pools]] url, user"
    assert refused(file, "") == [f"rig.toml: {wanted}"]
    assert refused(file, "[pools]\n") == [
        "rig.toml:1: pools: found a table, wanted tables, each headed [[pools]]"
    ]


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(file: Path) -> None:
    text = f'{POOL}[log]\nlevel = 3\n[devices]\nthreds = 1\n[api]\ntoken = "{TOKEN}"\n'
    lines = refused(file, text, SV2RIG_LOGS__LEVEL="info")
    assert [line.split(": ")[0] for line in lines] == [
        "rig.toml:5",
        "rig.toml:7",
        "rig.toml:9",
        "environment variable SV2RIG_LOGS__LEVEL",
    ]
    assert TOKEN not in "".join(lines)


VARIABLES = {
    ("SV2RIG_LOGS__LEVEL", "info"): "there is no such key; did you mean SV2RIG_LOG__LEVEL?",
    ("SV2RIG_POOL__3__USER", "x"): "there is no such key; did you mean SV2RIG_POOLS__3__USER?",
    ("SV2RIG_DEVICE__ICARUS__FREQUENCY", "4"): "settings of one device stand in the file only, "
    'under [device."ID"]',
    ("SV2RIG_STRATUM_V2__POOL_URL", "x"): "there is no such key; SV2RIG_ is followed by one of: "
    "name, state_dir, pools, devices, failover, api, log, hooks, history",
    ("SV2RIG_ZZZ", "4"): "there is no such key; SV2RIG_ is followed by one of: name, state_dir, "
    "pools, devices, failover, api, log, hooks, history",
    ("SV2RIG_DEVICES__THREADS", "four"): 'devices.threads: found "four" (text), wanted a whole '
    "number, at least 1",
    ("SV2RIG_DEVICES__THREADS", "0"): "devices.threads: found 0, wanted a whole number, at least 1",
    ("SV2RIG_DEVICES__USE", "[cpu"): "devices.use: found '[cpu', wanted a JSON list, or words with "
    "commas",
    ("SV2RIG_POOLS__5__USER", "x"): "pools[5].user: there is no number 1 before number 5",
}


@pytest.mark.parametrize(("name", "value"), VARIABLES)
def test_wrong_variables(file: Path, name: str, value: str) -> None:
    [line] = refused(file, POOL, **{name: value})
    assert line == f"environment variable {name}: {VARIABLES[name, value]}"


def test_a_list_that_is_none_in_the_file_stays_an_error_with_a_variable(file: Path) -> None:
    lines = refused(file, "pools = 3\n", SV2RIG_POOLS__0__USER="x")
    assert any("the file has something else there" in line for line in lines)


def test_secrets_come_from_files_whose_paths_are_relative_to_the_configuration(file: Path) -> None:
    (file.parent / "user.txt").write_text("me.worker:s3cret\n")
    (file.parent / "token.txt").write_text(f"{TOKEN}\nanother line\n")
    text = f'[[pools]]\nurl = "{URL}"\nuser_file = "user.txt"\n'
    text += '[api]\ntoken_file = "token.txt"\nlisten = "0.0.0.0:1"\n'
    result = loaded(file, text)
    assert result.user(0) == "me.worker:s3cret"
    token = result.api_token()
    assert token is not None
    assert token.get_secret_value() == TOKEN
    assert result.secrets() == ["me.worker:s3cret", TOKEN]
    told = repr(result) + toml(shown(result), result.origins)
    assert TOKEN not in told
    assert "s3cret" not in told
    (file.parent / "user.txt").write_text("")
    with pytest.raises(ConfigError, match=r"rig.toml:3: pools.0..user_file: .*found 0 bytes"):
        result.user(0)
    (file.parent / "token.txt").unlink()
    with pytest.raises(ConfigError, match=r"rig.toml:5: api.token_file: .*No such file"):
        result.api_token()


def test_secrets_by_environment_are_not_shown_and_a_user_in_the_file_is(file: Path) -> None:
    text = f'{POOL}[hooks]\ncommand = ["curl", "-d@-", "https://me:pw@chat.example/T0/{TOKEN}"]\n'
    result = loaded(
        file,
        text,
        SV2RIG_API__TOKEN=TOKEN,
        SV2RIG_POOLS__1__URL=URL.replace("pool", "other"),
        SV2RIG_POOLS__1__USER="x:geheim",
    )
    told = toml(shown(result), result.origins)
    assert 'user = "me"' in told
    assert '"https://chat.example/(secret)"' in told
    for secret in (TOKEN, "geheim", "me:pw"):
        assert secret not in told
    assert TOKEN not in repr(result)
    assert "geheim" not in repr(result.config)
    assert result.secrets() == ["x:geheim", TOKEN]


def test_systemd_says_where_state_is_kept(file: Path) -> None:
    result = loaded(file, POOL, STATE_DIRECTORY="/var/lib/sv2rig:/var/lib/other")
    assert result.config.state_dir == Path("/var/lib/sv2rig")
    assert result.origins["state_dir"] == "environment variable STATE_DIRECTORY"
    written = loaded(file, f'state_dir = "here"\n{POOL}', STATE_DIRECTORY="/var/lib/sv2rig")
    assert written.config.state_dir == file.parent / "here"


@pytest.mark.parametrize(
    ("text", "pair"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:65535", ("::1", 65535)), ("a:1", ("a", 1))],
)
def test_listen_addresses(text: str, pair: tuple[str, int]) -> None:
    assert split_listen(text) == pair
    for bad in (f"{text}9999999", text.rpartition(":")[0], ":1", "a:", "a:-1"):
        with pytest.raises(ValueError, match="wanted"):
            split_listen(bad)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.9.9.9:1"])
def test_this_machine_alone_needs_no_token(file: Path, listen: str) -> None:
    assert loaded(file, f'{POOL}[api]\nlisten = "{listen}"\n').config.api.listen == listen


texts = st.text(min_size=1, max_size=20)
floats = st.floats(min_value=2, max_value=1000)
pools = st.fixed_dictionaries(
    {"url": st.just(URL), "user": texts, "name": texts},
    optional={"channel": st.sampled_from(["extended", "standard"]), "enabled": st.booleans()},
)
tables_of_file: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"pools": st.lists(pools, min_size=1, max_size=3, unique_by=lambda pool: pool["name"])},
    optional={
        "name": st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
        "devices": st.fixed_dictionaries(
            {},
            optional={
                "use": st.lists(texts),
                "start_interval_s": st.floats(0, 1e9),
                "hub_watts": floats,
                "latency_ms": floats,
                "threads": st.integers(1, 1 << 40),
                "version_rolling": st.booleans(),
            },
        ),
        "device": st.dictionaries(
            texts,
            st.dictionaries(
                texts.filter(lambda name: name != "enabled"),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            max_size=3,
        ),
        "hooks": st.fixed_dictionaries(
            {"command": st.lists(texts), "on": st.lists(st.sampled_from(ALL_EVENTS))}
        ),
        "history": st.fixed_dictionaries({"keep_days": st.integers(1, 10_000)}),
    },
)  # fmt: skip


@given(tables_of_file)
def test_any_configuration_is_the_same_after_it_was_written(table: dict[str, Any]) -> None:
    config = RigConfig.model_validate(table)
    text = toml(tables(config))
    assert RigConfig.model_validate(tomllib.loads(text)) == config


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('state_dir = "~nobody-of-that-name/x"', "nobody knows whose home that is"),
        ('state_dir = "a\\u0000b"', "no path has a NUL in it"),
    ],
)
def test_a_path_that_can_be_none_is_refused_in_words(file: Path, line: str, words: str) -> None:
    [refusal] = refused(file, f"{line}\n{POOL}")
    assert refusal.startswith("rig.toml:1: state_dir: ")
    assert words in refusal
