"""Whether jobs of our own pool pay the user, as the rig's picture and events tell it."""

from __future__ import annotations

import asyncio

import pytest
from loop_device import LoopDevice
from memory_net import MemoryNet
from rig_on_pool import HOST, NOBODYS_SCRIPT, PORT, URL, Clock, PoolProcess, Run
from virtual_time import run_virtual

from sv2rig.bitcoin.address import script_to_address
from sv2rig.bitcoin.networks import Network
from sv2rig.mining.pool_entry import PoolEntry
from sv2rig.rig.commands import CommandError, Commands, PoolWish
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import xonly_public_key

PAID = script_to_address(NOBODYS_SCRIPT, Network.MAINNET)
OTHER = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


Seen = tuple[tuple[int | None, str | None, float | None], int, list[str]]


def seen(address: str | None, *, standard: bool = False, restarts: bool = False) -> Seen:
    """What the picture shows of the payout after five minutes, the pool's height, and warnings."""

    async def main() -> Seen:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        entry = PoolEntry("home", URL, "alice", standard, payout_address=address)
        run = Run([LoopDevice()], net.connect, clock, pools=[entry])
        await asyncio.sleep(300)
        if restarts:
            await pool.kill()
            pool.start()
            await asyncio.sleep(60)
            await run.until("mining")
            await asyncio.sleep(60)

        def is_up_to_date() -> bool:
            shown = run.rig.snapshot().pool.height
            return shown is None or shown == pool.chain.height + 1

        await run.sees(is_up_to_date, 10)
        shown, height = run.rig.snapshot().pool, pool.chain.height + 1
        await run.stop()
        await pool.stop()
        payout = (shown.height, shown.payout_address, shown.payout_share)
        return payout, height, run.lines.with_words("pays nothing")

    return run_virtual(main())


def test_a_job_that_pays_the_user() -> None:
    shown, height, warnings = seen(PAID)
    assert height > 1, "blocks were found, so the height has moved"
    assert shown == (height, PAID, 1.0)
    assert warnings == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_job_that_pays_others_is_told_once_a_connection(restarts: bool) -> None:
    shown, height, warnings = seen(OTHER, restarts=restarts)
    assert shown == (height, OTHER, 0.0)
    assert len(warnings) == 1 + restarts
    words = f"of pool 'home' pays nothing to {OTHER}: the whole reward goes elsewhere"
    assert all(words in warning for warning in warnings)


def test_without_an_address_the_height_is_known_alone() -> None:
    shown, height, warnings = seen(None)
    assert shown == (height, None, None)
    assert warnings == []


def test_a_standard_channel_shows_neither() -> None:
    shown, _, warnings = seen(OTHER, standard=True)
    assert shown == (None, OTHER, None)
    assert warnings == []


def test_no_entry_with_a_wrong_address() -> None:
    with pytest.raises(ValueError, match="address"):
        PoolEntry("home", URL, "alice", payout_address=PAID[:-1] + "5")


def test_a_pool_that_is_added_may_have_one() -> None:
    async def main() -> None:
        net, clock = MemoryNet(), Clock()
        pool = PoolProcess(net, clock)
        run = Run([LoopDevice()], net.connect, clock)
        commands = Commands(run.rig, pools=run.rig.pools, quit=lambda: None)
        key = encode_authority_key(xonly_public_key(b"\x44" * 32))
        url = f"stratum2+tcp://{HOST}:{PORT}/{key}"
        with pytest.raises(CommandError, match="address") as caught:
            commands.add_pool(PoolWish("spare", url, "me", payout_address="bc1qwrong"))
        assert (caught.value.kind, caught.value.field) == ("invalid", "payout_address")
        commands.add_pool(PoolWish("spare", url, "me", payout_address=PAID))
        commands.switch_pool("spare")
        await run.sees(lambda: run.rig.snapshot().pool.payout_share == 1.0)
        assert run.rig.snapshot().pool.payout_address == PAID
        await run.stop()
        await pool.stop()

    run_virtual(main())
