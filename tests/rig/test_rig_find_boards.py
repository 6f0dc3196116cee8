"""Boards looked for without a running rig."""

from __future__ import annotations

import pytest

from sv2rig.boards.driver import all_drivers
from sv2rig.boards.ports import PortWatcher
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.rig.board_choice import parse_boards
from sv2rig.rig.device_choice import DeviceChoiceError
from sv2rig.rig.find_boards import find_boards

NAMELESS = Sighting("1-1", 0x1234, 0x5678, product="x", ports=(Port("/dev/ttyUSB7"),))
ICARUS = Sighting("1-2", 0x10C4, 0xEA60, ports=(Port("/dev/ttyUSB8"),))


class Seen(PortWatcher):
    def current(self) -> tuple[Sighting, ...]:
        return (NAMELESS, ICARUS)


def test_one_that_no_driver_takes_keeps_no_other_from_being_found() -> None:
    drivers = all_drivers()
    named = parse_boards(["serial:/dev/ttyUSB7", "serial:/dev/ttyUSB8?driver=icarus"], drivers)
    found = find_boards(named, drivers, Seen(), all_must_be_there=False)
    assert [(one.driver.name, one.plug.sighting) for one in found] == [("icarus", ICARUS)]
    with pytest.raises(DeviceChoiceError, match="ttyUSB7"):
        find_boards(named, drivers, Seen())
