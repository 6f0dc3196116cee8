"""From a configuration to the parts of a rig."""

from __future__ import annotations

from pathlib import Path

import pytest

from sv2rig.rig.config import ConfigError, Loaded, load_config
from sv2rig.rig.configured import (
    boards_of,
    check_usable,
    devices_of,
    hook_plan,
    pool_entries,
    session_options,
    version_mask,
)
from sv2rig.rig.happenings import Kind

KEY = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
URL = f"stratum2+tcp://pool.example:3336/{KEY}"


def load(folder: Path, text: str, **environment: str) -> Loaded:
    path = folder / "rig.toml"
    path.write_text(text)
    return load_config(path, environment)


def test_pools(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("carol:secret-password\n")
    loaded = load(
        tmp_path,
        f'[[pools]]\nurl = "{URL}"\nuser = "alice"\nchannel = "standard"\n'
        f'[[pools]]\nname = "b"\nurl = "{URL}"\nuser_file = "user"\nenabled = false\n'
        f'[[pools]]\nname = "c"\nurl = "{URL}"\nuser = "dave"\ninsecure_no_verify = true\n',
    )
    first, second, third = pool_entries(loaded)
    assert (first.name, first.user, first.shown_user) == ("pool.example", "alice", "alice")
    assert (first.standard_channels, first.enabled) == (True, True)
    assert first.url.authority_key is not None
    assert (second.name, second.user, second.enabled) == ("b", "carol:secret-password", False)
    assert second.shown_user == "(secret)"
    assert third.url.authority_key is None
    assert not third.standard_channels


def test_options(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        f'[[pools]]\nurl = "{URL}"\nuser = "alice"\n'
        "[failover]\nsteady_s = 5\nprobe_s = 6\nsilent_job_s = 7\nsilent_ack_s = 8\n"
        "give_up_after_s = 9\n"
        '[devices]\nversion_mask = "00ffe000"\n'
        'use = ["simulated?rate=1M", "serial:A1?driver=icarus"]\n'
        "start_interval_s = 3\nhub_watts = 15\n"
        '[hooks]\ncommand = ["true"]\non = ["hot"]\n',
    )
    config = loaded.config
    options = session_options(config, None)
    assert (options.give_up_after_s, options.never_give_up) == (9.0, True)
    assert session_options(config, 0.0).give_up_after_s == 0.0
    assert (options.failover.steady_s, options.failover.probe_s) == (5.0, 6.0)
    assert (options.silence.job_s, options.silence.ack_s) == (7.0, 8.0)
    assert version_mask(config) == options.version_rolling_mask == 0x00FFE000
    [device] = devices_of(config, lambda *_: None)
    assert device.info.device_id == "simulated:0"
    boards = boards_of(config)
    assert boards is not None
    assert [choice.opt_in.what for choice in boards.named] == ["A1"]
    assert boards.only_named
    assert (boards.start_interval_s, boards.hub_watts) == (3.0, 15.0)
    assert boards.tuning_folder == config.state_dir / "tuning"
    plan = hook_plan(config)
    assert plan.command == ("true",)
    assert plan.on == {Kind.HOT}


def test_rolling_off_and_no_boards(tmp_path: Path) -> None:
    text = (
        f'[[pools]]\nurl = "{URL}"\nuser = "a"\n[devices]\nuse = ["cpu"]\nversion_rolling = false\n'
    )
    config = load(tmp_path, text).config
    assert version_mask(config) == 0
    assert boards_of(config) is None


def test_what_config_check_finds_is_refused(tmp_path: Path) -> None:
    text = f'[[pools]]\nurl = "{URL}"\nuser = "a"\n'
    check_usable(load(tmp_path, text), {})
    with pytest.raises(ConfigError, match=r"rig\.toml:5: hooks\.command: .*no program"):
        check_usable(load(tmp_path, f'{text}[hooks]\ncommand = ["/none"]\n'), {})
