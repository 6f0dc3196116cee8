"""`sv2rig demo`."""

from __future__ import annotations

import asyncio

from sv2rig.cli import rig_options
from sv2rig.cli.output import configure_log, log_event


def demo(
    device: rig_options.Devices = None,
    latency_ms: rig_options.LatencyMs = 50.0,
    threads: rig_options.Threads = None,
    version_rolling: rig_options.VersionRolling = True,
    duration: rig_options.Duration = None,
    headless: rig_options.Headless = False,
    json: rig_options.Json = False,
) -> None:
    """A pool with a chain of its own and a rig that mines on it, in one process on loopback.

    Everything is real but the chain: the encrypted protocol, the kernels, the shares, the blocks.
    By default it mines with the OpenCL devices that `mine` would take (with cpu where there is
    none) and one simulated board, each on a standard channel. Nothing leaves this machine.
    """
    from sv2rig.cli.pool import PoolSettings, start_pool
    from sv2rig.cli.run_rig import Show, choose_devices, device_options, run_rig, summarise
    from sv2rig.mining.scheduler import VERSION_MASK
    from sv2rig.mining.session import SessionOptions
    from sv2rig.pool.keys import PoolKeys
    from sv2rig.sv2.secp256k1 import generate_secret
    from sv2rig.sv2.url import parse_pool_url

    configure_log()
    show = Show(headless, json, duration)
    tuning = device_options(latency_ms, threads, version_rolling)
    devices = choose_devices(device or [], tuning, beside=["simulated"])
    options = SessionOptions(
        user="demo",
        standard_channels=True,
        version_rolling_mask=VERSION_MASK if version_rolling else 0,
        give_up_after_s=10.0,
    )

    async def main() -> None:
        # For runs of seconds: shares so often that every device shows some, blocks in between.
        settings = PoolSettings(
            block_interval_s=5.0, shares_per_minute=60.0, job_interval_s=10.0, ack_seconds=0.5
        )
        keys = PoolKeys(generate_secret())
        pool, url, close = await start_pool(keys, "127.0.0.1", 0, settings, _quiet)
        try:
            snapshot = await run_rig(devices, parse_pool_url(url), options, show)
        finally:
            await close()
        summarise(snapshot, show, chain_height=pool.counts.blocks_found)

    asyncio.run(main())


def _quiet(level: str, text: str) -> None:
    """The rig tells the same story; of the pool only trouble is shown."""
    if level in ("warning", "error"):
        log_event(level, f"pool: {text}")
