"""Which device a command means, and how pools are listed."""

from __future__ import annotations

import pytest

from sv2rig.cli.control import one_meant
from sv2rig.cli.control_history import sample_lines
from sv2rig.cli.control_pools import pool_lines
from sv2rig.cli.output import UserError

DEVICES = [
    {"id": "cpu", "backend": "cpu"},
    {"id": "opencl:0", "backend": "opencl"},
    {"id": "icarus:A1", "backend": "icarus"},
    {"id": "icarus:A12", "backend": "icarus"},
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cpu", "cpu"),
        ("c", "cpu"),
        ("opencl", "opencl:0"),
        ("icarus:A1", "icarus:A1"),
        ("icarus:A12", "icarus:A12"),
        ("gekko", "gekko"),
    ],
)
def test_a_device_is_named_by_id_beginning_or_back_end(name: str, meant: str) -> None:
    assert one_meant(name, DEVICES) == meant


def test_what_may_be_several_devices_lists_them() -> None:
    with pytest.raises(UserError, match="'icarus' may be each of icarus:A1, icarus:A12"):
        one_meant("icarus", DEVICES)


def test_pools_stand_in_columns_and_the_reason_comes_last() -> None:
    up = {"name": "a", "state": "mining", "url": "stratum2+tcp://a:1/K", "detail": ""}
    down = {"name": "backup", "state": "down", "url": "stratum2+tcp://bbb:1/K", "detail": "refused"}
    assert pool_lines([{**up, "is_active": True}, {**down, "is_active": False}]) == [
        "* a       mining  stratum2+tcp://a:1/K",
        "  backup  down    stratum2+tcp://bbb:1/K  refused",
    ]


def test_history_says_that_spans_begin_at_their_times() -> None:
    point = {"time": 0, "hashrate_hs": 1e12, "temperature_c": None, "power_w": 17.0}
    head, line = sample_lines({"step_s": 3600, "points": [point]})
    assert head.split() == ["1h00m", "from", "hash", "rate", "hottest", "power"]
    assert line.endswith("1 TH/s      – °C     17 W")
    assert len(head) == len(line)
