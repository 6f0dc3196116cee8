"""`sv2rig pool run`."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sv2rig.cli.addresses import host_and_port
from sv2rig.cli.output import (
    EXIT_FAILED,
    UserError,
    configure_log,
    log_event,
    print_json,
    print_text,
)

if TYPE_CHECKING:
    from sv2rig.pool.keys import PoolKeys
    from sv2rig.pool.server import PoolServer

# Nobody holds a key to this script: the simulated chain's coins are worth nothing (BIP173's
# example program).
NOBODYS_ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How a pool on a simulated chain behaves; UserError for what makes no sense."""

    block_interval_s: float
    shares_per_minute: float
    job_interval_s: float
    ack_seconds: float
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("block_interval_s", "shares_per_minute", "job_interval_s", "ack_seconds"):
            if not getattr(self, name) > 0:
                option = "--" + name.removesuffix("_s").replace("_", "-")
                raise UserError(f"{option} must be above 0")


def run(
    simulated_chain: Annotated[
        bool,
        typer.Option(
            "--simulated-chain",
            help="Take templates from a chain that lives in this process: real blocks, real work, "
            "a difficulty that follows the miners. The only source of templates yet.",
        ),
    ] = False,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT to serve miners on; port 0 takes a free one.")
    ] = "127.0.0.1:34254",
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            help="Folder of the authority key; made there if there is none. "
            "Without it a key is made for this run only.",
        ),
    ] = None,
    block_interval: Annotated[
        float, typer.Option(help="Seconds between blocks that the simulated chain aims at.")
    ] = 30.0,
    shares_per_minute: Annotated[
        float, typer.Option(help="Shares wanted from each channel in a minute.")
    ] = 6.0,
    job_interval: Annotated[float, typer.Option(help="Seconds between fresh jobs.")] = 30.0,
    ack_seconds: Annotated[
        float,
        typer.Option(help="Longest time in seconds that an accepted share waits for its answer."),
    ] = 30.0,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated chain.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after so many seconds.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="First line and summary as JSON objects on stdout.")
    ] = False,
) -> None:
    """Serve Stratum V2 to miners: jobs from a chain, shares checked, blocks handed back.

    The first line on standard output is the URL that miners use, the authority key at its end. Log
    lines go to stderr. Ctrl-C stops in order and prints a summary.
    """
    if not simulated_chain:
        raise UserError("say --simulated-chain: templates from a node are not supported yet")
    settings = PoolSettings(block_interval, shares_per_minute, job_interval, ack_seconds, seed)
    host, port = host_and_port(listen)
    configure_log()
    pool_keys = _keys(keys)

    async def main() -> None:
        from sv2rig.cli.signals import stop_requested

        stop = stop_requested()
        pool, url, close = await start_pool(pool_keys, host, port, settings)
        if json:
            print_json({"url": url, "authority_key": pool_keys.authority_text})
        else:
            print_text(url)
        try:
            await asyncio.wait_for(stop.wait(), duration)
        except TimeoutError:
            pass
        finally:
            await close()
        summary = pool_summary(pool)
        if json:
            print_json(summary)
        else:
            print_text(
                f"{summary['shares_accepted']} shares accepted, {summary['shares_rejected']} "
                f"rejected, {summary['blocks_found']} blocks found"
            )

    asyncio.run(main())


def _keys(folder: Path | None) -> PoolKeys:
    from sv2rig.pool.keys import KeysError, PoolKeys, load_or_create_keys
    from sv2rig.sv2.secp256k1 import generate_secret

    if folder is None:
        log_event("warning", "no --keys DIR: this run's authority key is gone when it ends")
        return PoolKeys(generate_secret())
    try:
        keys, created = load_or_create_keys(folder)
    except KeysError as error:
        raise UserError(str(error), EXIT_FAILED) from error
    if created:
        log_event("info", f"made a new authority key in {folder}")
    return keys


async def start_pool(
    keys: PoolKeys,
    host: str,
    port: int,
    settings: PoolSettings,
    report: Any = log_event,
) -> tuple[PoolServer, str, Any]:
    """A pool on a simulated chain, serving; its URL; and what ends it (a coroutine function)."""
    from sv2rig.bitcoin.address import address_to_script
    from sv2rig.bitcoin.networks import Network
    from sv2rig.pool.node import SimulatedNode
    from sv2rig.pool.server import PoolServer
    from sv2rig.pool.simulated_chain import SimulatedChain
    from sv2rig.transport.interface import TransportError
    from sv2rig.transport.tcp import listen

    loop = asyncio.get_running_loop()
    rng = random.Random(settings.seed)
    chain = SimulatedChain(rng, settings.block_interval_s, loop.time(), time.time())
    pool = PoolServer(
        SimulatedNode(chain, time.time),
        keys,
        address_to_script(NOBODYS_ADDRESS, Network.REGTEST),
        report,
        time.time,
        shares_per_minute=settings.shares_per_minute,
        job_interval_s=settings.job_interval_s,
        ack_seconds=settings.ack_seconds,
    )
    try:
        listener = await listen(host, port, pool.serve)
    except TransportError as error:
        raise UserError(str(error), EXIT_FAILED) from error
    running = loop.create_task(pool.run())

    async def close() -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.stop()
        await listener.close()

    return pool, f"stratum2+tcp://{listener.address}/{keys.authority_text}", close


def pool_summary(pool: PoolServer) -> dict[str, int | float]:
    """The pool's counts as the commands print them."""
    counts = pool.counts
    return {
        "connections": counts.connections,
        "shares_accepted": counts.shares_accepted,
        "shares_rejected": counts.shares_rejected,
        "blocks_found": counts.blocks_found,
        "blocks_refused": counts.blocks_refused,
        "work_difficulty": float(counts.work),
    }
