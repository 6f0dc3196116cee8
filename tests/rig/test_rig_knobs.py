"""What can be done to one device: all of it, or nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from loop_board import FREQUENCY, LoopBoard

from sv2rig.devices.device import Setting
from sv2rig.rig.knobs import KnobError, set_values

VOLTS = Setting("core_voltage", "V", 1.0, 1.3, 1.15, "supply of the chips")


class CautiousBoard(LoopBoard):
    """Takes less than its setting's range, as boards do whose user allowed no more."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, settings=(FREQUENCY, VOLTS))

    def setting(self, name: str) -> float:
        return self.settings.get(name, {s.name: s.default for s in self.info.settings}[name])

    def adjust(self, name: str, value: float) -> None:
        if name == VOLTS.name and value > VOLTS.default:
            raise ValueError("not without a maximum of its own")
        self.settings[name] = value


def test_where_the_device_refuses_one_value_none_is_set() -> None:
    async def main() -> None:
        board = CautiousBoard()
        before = set_values(board, {"frequency_mhz": 300, "core_voltage": 1.1})
        assert before == {"frequency_mhz": 300, "core_voltage": 1.1}
        with pytest.raises(KnobError, match="not without a maximum"):
            set_values(board, {"frequency_mhz": 500, "core_voltage": 1.2})
        assert set_values(board, {}) == before

    asyncio.run(main())
