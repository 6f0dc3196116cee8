"""`sv2rig bench`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from sv2rig.cli import rig_options
from sv2rig.cli.output import EXIT_FAILED, UserError, configure_log, print_json, print_text
from sv2rig.units import hashrate


def bench(
    device: rig_options.Devices = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to measure each device.")] = 5.0,
    latency_ms: rig_options.LatencyMs = 50.0,
    threads: rig_options.Threads = None,
    version_rolling: rig_options.VersionRolling = True,
    json: rig_options.Json = False,
) -> None:
    """Measure hash rates, and how soon devices turn to new work.

    One device after another. The latency is from new work handed over to its first launch
    running, as at a new block.
    """
    from dataclasses import asdict

    from sv2rig.cli.run_rig import choose_devices, device_options
    from sv2rig.compute.worker import PushDevice
    from sv2rig.rig.benchmark import BenchmarkError, benchmark

    configure_log()
    for chosen in choose_devices(
        device or [], device_options(latency_ms, threads, version_rolling)
    ):
        assert isinstance(chosen, PushDevice)  # every back end is one until boards come
        try:
            result = asyncio.run(benchmark(chosen, seconds))
        except BenchmarkError as error:
            raise UserError(f"{chosen.info.device_id}: {error}", EXIT_FAILED) from error
        if json:
            print_json(asdict(result))
        else:
            print_text(
                f"{result.device_id:14} {hashrate(result.hashrate_hs):>12}  latency "
                f"{result.latency_ms:g} ms (99th: {result.latency_p99_ms:g} ms)  {result.variant}"
            )
