"""What hangs on the control port besides the chips: power, reset, fan, sensors, light."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from sv2rig.boards.line import BoardError
from sv2rig.devices.fault import FaultKind
from sv2rig.devices.voltage import voltage_limit
from sv2rig.drivers.bitaxe_raw import regulator as vr
from sv2rig.drivers.bitaxe_raw import sensors
from sv2rig.drivers.bitaxe_raw.control import Control, RefusedError
from sv2rig.drivers.bitaxe_raw.protocol import (
    IO_POWER_PIN,
    POWER_PIN,
    RESET_PIN,
    i2c_frequency,
    led,
)

I2C_HZ = 100_000
POWER_RISE_S = 0.5
IO_RISE_S = 0.005
NEAR = 0.05  # how far a core voltage may be from what was asked for
BLINKS = 6
_BLINK_S = 0.25


@dataclass(frozen=True, slots=True)
class Readings:
    """None where a part did not answer, or there is none."""

    celsius: float | None
    fan_rpm: float | None = None
    watts: float | None = None


class Hardware(Protocol):
    """One board's, from when its control port is open until that is closed."""

    control: Control
    regulated: bool  # whether the core voltage can be set and the power read

    async def off(self) -> None:
        """Reset low, core power off, fan full; all of it is tried, the first trouble raised."""

    async def power(self, volts: float, ceiling: float | None) -> None:
        """Core power, with reset still low; BoardError if it does not come."""

    async def set_volts(self, volts: float, ceiling: float | None) -> None: ...

    async def set_fan(self, percent: float) -> None: ...

    async def read(self) -> Readings:
        """BoardError, with what kind of fault it is, where the regulator has cut off."""


async def release_reset(control: Control) -> None:
    """From now on the chips answer."""
    await control.set_pin(RESET_PIN, True)


async def blink(control: Control) -> None:
    """White and dark, for three seconds."""
    for _ in range(BLINKS):
        for show in (_white, _dark):
            await control.ask(show)
            await asyncio.sleep(_BLINK_S)


def _white(request_id: int) -> bytes:
    return led(request_id, 0xFF, 0xFF, 0xFF)


def _dark(request_id: int) -> bytes:
    return led(request_id, 0, 0, 0)


async def all_of(steps: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Each of them, whatever the others do; then the first trouble."""
    troubles = []
    for step in steps:
        try:
            await step()
        except BoardError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]


class BitaxeHardware:
    """EMC2101 for fan and diode; a TPS546 where there is one (Gamma)."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.regulated = False
        self._powered = False
        self._mode = 0  # VOUT_MODE: the exponent of voltages

    async def off(self) -> None:
        self._powered = False
        await all_of((self._hold_reset, self._power_off, self._fan_full))

    async def power(self, volts: float, ceiling: float | None) -> None:
        allowed = vr.GAMMA.check(volts, ceiling)
        if not self.regulated:
            return
        limit = min(vr.GAMMA.maximum, voltage_limit(vr.GAMMA.default, ceiling))
        profile = replace(vr.GAMMA, default=allowed, maximum=limit)
        for transfer in (*vr.configure(profile, self._mode), vr.on()):
            await self.control.transfer(transfer)
        await asyncio.sleep(POWER_RISE_S)
        got = await self._volts()
        if abs(got - allowed) > NEAR * allowed:
            status = await self._word(vr.STATUS_WORD)
            raise BoardError(
                f"core voltage is {got:.3f} V where {allowed:g} V was set "
                f"({vr.Status(status).name or 'no fault'}): check its supply",
                FaultKind.POWER,
            )
        self._powered = True

    async def set_volts(self, volts: float, ceiling: float | None) -> None:
        if self.regulated:
            await self.control.transfer(vr.set_voltage(vr.GAMMA, volts, self._mode, ceiling))

    async def set_fan(self, percent: float) -> None:
        await self.control.transfer(sensors.emc2101_fan(percent))

    async def read(self) -> Readings:
        celsius = sensors.emc2101_external(
            await self._register(sensors.EMC_EXTERNAL_HIGH),
            await self._register(sensors.EMC_EXTERNAL_LOW),
        )
        low = await self._register(sensors.EMC_TACH_LOW)  # it latches the high one
        rpm = sensors.emc2101_rpm(low, await self._register(sensors.EMC_TACH_HIGH))
        return Readings(celsius, rpm, await self._watts() if self._powered else None)

    async def _hold_reset(self) -> None:
        await self.control.set_pin(RESET_PIN, False)

    async def _power_off(self) -> None:
        await self.control.ask(lambda request_id: i2c_frequency(request_id, I2C_HZ))
        try:
            self.regulated = vr.known(await self.control.transfer(vr.read_device_id()))
        except RefusedError:
            self.regulated = False  # older boards: their supply cannot be switched
        if self.regulated:
            self._mode = (await self.control.transfer(vr.read_byte(vr.VOUT_MODE)))[0]
            await self.control.transfer(vr.off())

    async def _fan_full(self) -> None:
        for transfer in (*sensors.emc2101_start(), sensors.emc2101_fan(100.0)):
            await self.control.transfer(transfer)

    async def _register(self, register: int) -> int:
        return (await self.control.transfer(sensors.read_register(sensors.EMC2101, register)))[0]

    async def _watts(self) -> float:
        """What the core draws. The regulator's own word on why it is off comes first."""
        status = vr.Status(await self._word(vr.STATUS_WORD))
        if status & vr.CUT_OFF:
            raise BoardError(f"the regulator has cut off: {status.name}", _kind(status))
        amps = vr.of_linear11(await self._word(vr.READ_IOUT))
        return amps * await self._volts()

    async def _volts(self) -> float:
        return vr.of_linear16(await self._word(vr.READ_VOUT), self._mode)

    async def _word(self, command: int) -> int:
        return int.from_bytes(await self.control.transfer(vr.read_word(command)), "little")


def _kind(status: vr.Status) -> FaultKind:
    if status & vr.Status.TEMPERATURE:
        return FaultKind.OVER_TEMPERATURE
    return FaultKind.OVER_CURRENT if status & vr.Status.IOUT_OVER else FaultKind.POWER


class EmberOneHardware:
    """Power switched by pins, a TMP1075 beside the chips and a TMP451 with the first one's diode.
    Its fans are not on the board."""

    regulated = False

    def __init__(self, control: Control) -> None:
        self.control = control

    async def off(self) -> None:
        await all_of(
            [
                partial(self.control.set_pin, pin, False)
                for pin in (RESET_PIN, POWER_PIN, IO_POWER_PIN)
            ]
        )

    async def power(self, _volts: float, _ceiling: float | None) -> None:
        await self.control.set_pin(IO_POWER_PIN, True)
        await asyncio.sleep(IO_RISE_S)
        await self.control.set_pin(POWER_PIN, True)
        await asyncio.sleep(POWER_RISE_S)

    async def set_volts(self, _volts: float, _ceiling: float | None) -> None:
        """Fixed by the board."""

    async def set_fan(self, _percent: float) -> None:
        """There is none."""

    async def read(self) -> Readings:
        near = await self.control.transfer(
            sensors.read_register(sensors.TMP1075, sensors.TMP_TEMPERATURE, 2)
        )
        status = await self._register(sensors.TMP451_STATUS)
        local = sensors.tmp451_celsius(
            await self._register(sensors.TMP451_LOCAL_HIGH),
            await self._register(sensors.TMP451_LOCAL_LOW),
        )
        die = sensors.tmp451_remote(
            status,
            await self._register(sensors.TMP451_REMOTE_HIGH),
            await self._register(sensors.TMP451_REMOTE_LOW),
        )
        known = [sensors.tmp1075_celsius(near), local, *([] if die is None else [die])]
        if not all(sensors.plausible(one) for one in known):
            return Readings(None)
        return Readings(max(known))

    async def _register(self, register: int) -> int:
        return (await self.control.transfer(sensors.read_register(sensors.TMP451, register)))[0]
