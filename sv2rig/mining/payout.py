"""What the coinbase of an extended job tells the user: the block's height, and their part."""

from __future__ import annotations

from dataclasses import dataclass

from sv2rig.bitcoin.coinbase_reward import coinbase_reward
from sv2rig.sv2.job import Job


@dataclass(frozen=True, slots=True)
class Payout:
    """None is unknown. `share`: the part of the reward, 0 to 1, that goes to the user's script."""

    height: int | None = None
    share: float | None = None


def payout(job: Job, script: bytes | None) -> Payout:
    """What the job's coinbase shows, and what it pays to `script`. Of a standard job, which has no
    coinbase, and of one that is no coinbase nothing is known."""
    if not job.is_extended:
        return Payout()
    extranonce = job.extranonce_prefix + bytes(job.extranonce_size)  # anyone will do
    try:
        reward = coinbase_reward(
            job.coinbase_prefix + extranonce + job.coinbase_suffix, script or b""
        )
    except ValueError:  # what no node would take; the pool is to find out
        return Payout()
    known = script is not None and reward.total > 0
    return Payout(reward.height, reward.paid / reward.total if known else None)


def pays_nothing(job: Job, pool: str, address: str) -> str:
    """The warning's words."""
    return (
        f"job {job.job_id} of pool {pool!r} pays nothing to {address}: the whole reward goes"
        " elsewhere; many pools pay out later"
    )
