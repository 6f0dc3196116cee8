"""The configuration's wishes and the commands' above them."""

from __future__ import annotations

from collections.abc import Mapping

from sv2rig.rig.config_model import DeviceConfig
from sv2rig.rig.layered_wishes import LayeredWishes
from sv2rig.rig.wishes import PassingWishes

AXE = "bitaxe_raw:A1"


def configured(enabled: bool = True, **settings: float) -> Mapping[str, DeviceConfig]:
    return {AXE: DeviceConfig.model_validate({"enabled": enabled, **settings})}


def test_a_command_stands_above_the_configuration_and_is_told_of() -> None:
    kept = PassingWishes()
    wishes = LayeredWishes(configured(frequency=450.0, fan_target_c=60.0), kept)
    assert wishes.settings(AXE) == {"frequency": 450.0, "fan_target_c": 60.0}
    assert list(wishes.differences()) == []
    wishes.keep_settings(AXE, {**wishes.settings(AXE), "frequency": 500.0})
    assert kept.settings(AXE) == {"frequency": 500.0}  # no more than what the command said
    assert wishes.settings(AXE) == {"frequency": 500.0, "fan_target_c": 60.0}
    [(device, words)] = LayeredWishes(configured(frequency=450.0), kept).differences()
    assert device == AXE
    assert words == "frequency is 500, as it was set by command; the configuration says 450"
    assert wishes.settings("cpu:0") == {}


def test_what_the_configuration_changes_stands_above_earlier_commands() -> None:
    wishes = LayeredWishes(configured(frequency=450.0), PassingWishes())
    wishes.keep_settings(AXE, {"frequency": 500.0, "fan_target_c": 50.0})
    wishes.reconfigure(configured(frequency=450.0, core_voltage_v=1.1))
    assert wishes.settings(AXE)["frequency"] == 500.0  # it did not change
    wishes.reconfigure(configured(frequency=475.0))
    assert wishes.settings(AXE) == {"frequency": 475.0, "fan_target_c": 50.0}
    wishes.reconfigure({})
    assert wishes.settings(AXE) == {"fan_target_c": 50.0}


def test_a_setting_back_to_what_the_configuration_says_is_kept() -> None:
    wishes = LayeredWishes(configured(frequency=450.0), PassingWishes())
    wishes.keep_settings(AXE, {"frequency": 500.0})
    wishes.keep_settings(AXE, {"frequency": 450.0})
    assert wishes.settings(AXE) == {"frequency": 450.0}


def test_disabled_by_the_configuration_by_command_or_both() -> None:
    kept = PassingWishes()
    wishes = LayeredWishes(configured(enabled=False), kept)
    assert wishes.disabled() == {AXE}
    wishes.keep_disabled(AXE, False)  # until the rig ends
    assert wishes.disabled() == frozenset()
    assert LayeredWishes(configured(enabled=False), kept).disabled() == {AXE}
    wishes.keep_disabled(AXE, True)
    wishes.keep_disabled("cpu:0", True)
    assert wishes.disabled() == {AXE, "cpu:0"}
    wishes.reconfigure(configured(enabled=True))  # a change of the configuration counts
    assert wishes.disabled() == {"cpu:0"}
    wishes.reconfigure(configured(enabled=False))
    assert wishes.disabled() == {AXE, "cpu:0"}
