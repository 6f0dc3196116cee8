"""Hash rates measured before a channel is opened: the pool sets its target by them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sv2rig.devices.work import Work
from sv2rig.rig.rig_device import RigDevice

FIRST_HASHES_TIMEOUT_S = 20.0  # a kernel's first launch may compile for seconds
MEASURE_S = 1.0
_POLL_S = 0.02
# BIP320's lowest bits: as many as a device rolls by itself are taken from here.
_FIRST_VERSION_BIT = 13


async def calibrate(devices: Sequence[RigDevice]) -> dict[str, float]:
    """Hashes a second of each device, all hashing side by side as they will when mining.

    Devices that compute nothing within the time-out are left out.
    """
    rates = await asyncio.gather(*(_measure(device) for device in devices))
    for device in devices:
        device.assign(None)
    return {
        device.info.device_id: rate
        for device, rate in zip(devices, rates, strict=True)
        if rate is not None
    }


async def _measure(device: RigDevice) -> float | None:
    # From one step of the counter to another: a slow device's first launches may take seconds.
    loop = asyncio.get_running_loop()
    device.assign(no_ones_work(device.info.capabilities.version_bits))
    deadline = loop.time() + FIRST_HASHES_TIMEOUT_S
    if not await _progress(device, deadline):
        return None
    began, before = loop.time(), device.hashes_done()
    await asyncio.sleep(MEASURE_S)
    if not await _progress(device, deadline):
        return None
    rate = (device.hashes_done() - before) / (loop.time() - began)
    device.measured(rate)
    return rate


async def _progress(device: RigDevice, deadline: float) -> bool:
    """Waits until the device has computed something more; False if it does not in time."""
    loop = asyncio.get_running_loop()
    before = device.hashes_done()
    while device.hashes_done() == before:
        if loop.time() > deadline or device.is_gone:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def no_ones_work(bits: int) -> Work:
    """Work of an all-zero block with an impossible ticket: it is hashed and brings nothing.

    `bits`: how many version bits it rolls.
    """
    return Work(
        work_id=0,
        channel_id=0,
        job_id=0,
        version=0x20000000,
        prev_hash=bytes(32),
        merkle_root=bytes(32),
        ntime=0,
        nbits=0,
        target=0,
        ticket=0,
        version_bits=((1 << bits) - 1) << _FIRST_VERSION_BIT,
    )
