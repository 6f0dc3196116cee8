"""The parts of a rig as its configuration wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sv2rig.boards.driver import all_drivers
from sv2rig.devices.device import Device
from sv2rig.mining.failover import FailoverLimits, PoolEntry
from sv2rig.mining.pool_connection import Silence
from sv2rig.mining.session import SessionOptions
from sv2rig.rig.board_choice import is_board, parse_boards
from sv2rig.rig.config import Loaded, is_secret_user
from sv2rig.rig.config_check import check
from sv2rig.rig.config_errors import ConfigError
from sv2rig.rig.config_model import RigConfig
from sv2rig.rig.device_choice import parse_choice
from sv2rig.rig.happenings import Kind
from sv2rig.rig.hooks import HookPlan
from sv2rig.rig.hotplug import BoardPlan
from sv2rig.rig.open_devices import DeviceOptions, Report, default_choices, open_devices
from sv2rig.sv2.url import parse_pool_url


def check_usable(loaded: Loaded, environment: Mapping[str, str]) -> None:
    """ConfigError where `config check` would find something to mend."""
    findings = [found for found in check(loaded, environment) if not found.is_note]
    if findings:
        raise ConfigError(findings)


def pool_entries(loaded: Loaded) -> list[PoolEntry]:
    """The pools, the preferred one first. ConfigError where a user's file cannot be read."""
    entries = []
    for number, pool in enumerate(loaded.config.pools):
        url = parse_pool_url(pool.url, insecure=pool.insecure_no_verify)
        entries.append(
            PoolEntry(
                pool.name,
                replace(url, authority_key=None) if pool.insecure_no_verify else url,
                loaded.user(number),
                standard_channels=pool.channel == "standard",
                enabled=pool.enabled,
                hides_user=is_secret_user(pool, loaded.sources.of(("pools", number, "user"))),
                payout_address=pool.payout_address,
            )
        )
    return entries


def version_mask(config: RigConfig) -> int:
    """The bits to roll; 0 where rolling is turned off."""
    return int(config.devices.version_mask, 16) if config.devices.version_rolling else 0


def session_options(config: RigConfig, give_up_after_s: float | None) -> SessionOptions:
    """How to mine on them; a daemon tries for ever where it is not told to give up."""
    wanted = config.failover
    return SessionOptions(
        version_rolling_mask=version_mask(config),
        give_up_after_s=wanted.give_up_after_s if give_up_after_s is None else give_up_after_s,
        never_give_up=True,
        failover=FailoverLimits(steady_s=wanted.steady_s, probe_s=wanted.probe_s),
        silence=Silence(job_s=wanted.silent_job_s, ack_s=wanted.silent_ack_s),
    )


def devices_of(config: RigConfig, report: Report) -> list[Device]:
    """Those that are no boards: the ones named, or what suits this machine. DeviceChoiceError
    where one is not there."""
    wanted = config.devices
    bits = 3 if wanted.version_rolling else 0
    choices = [parse_choice(name) for name in wanted.use if not is_board(name)]
    if not wanted.use:
        choices = default_choices(report)
    options = DeviceOptions(wanted.latency_ms, bits, wanted.threads)
    return open_devices(choices, options, report)


def boards_of(config: RigConfig) -> BoardPlan | None:
    """Which boards to take; None where only other devices are named. DeviceChoiceError."""
    wanted = config.devices
    names: Sequence[str] = [name for name in wanted.use if is_board(name)]
    if wanted.use and not names:
        return None
    drivers = all_drivers()
    return BoardPlan(
        drivers,
        parse_boards(names, drivers),
        only_named=bool(wanted.use),
        start_interval_s=wanted.start_interval_s,
        hub_watts=wanted.hub_watts,
        tuning_folder=config.state_dir / "tuning",
    )


def hook_plan(config: RigConfig) -> HookPlan:
    """Which command is run, and when."""
    return HookPlan(config.hooks.command, frozenset(Kind(name) for name in config.hooks.on))
