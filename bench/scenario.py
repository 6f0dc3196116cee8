"""One hour of mining, the same for every protocol that bench/wire_bytes.py compares.

Steady: the hash rate is known before the channel is opened, no share is refused, nothing breaks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sv2rig.bitcoin.coinbase import CoinbaseParts, coinbase_parts, witness_commitment
from sv2rig.bitcoin.transaction import TxOutput

HOUR_S: Final = 3600
SHARE_EACH_S: Final = 10
JOB_EACH_S: Final = 30
BLOCK_EACH_S: Final = 600
RETARGETS_S: Final = (60, 180, 600, 1800)  # a variable difficulty settling down

START_UTC: Final = 1_790_000_000
HEIGHT: Final = 968_000
VERSION: Final = 0x20000000
NBITS: Final = 0x17020A4B
FIRST_DIFFICULTY: Final = 8192
COINBASES: Final = ("merged", "plain")


@dataclass(frozen=True, slots=True)
class Options:
    """What the size of a message hangs on."""

    user: str = "alice.rig1"
    branches: int = 12  # of the merkle path: a block of 2,048 to 4,095 transactions
    coinbase: str = "merged"
    extranonce_size: int = 8  # the client's part

    def coinbase_parts(self) -> CoinbaseParts:
        """The coinbase around its whole extranonce of 4 bytes of the pool's and the client's.

        "merged" has the shape of a large pool's: a merged-mining tag of 44 bytes in the scriptSig,
        and outputs for the payout, a sidechain's tag and the witness commitment. "plain" has the
        pool's name and the payout and commitment only.
        """
        payout = TxOutput(318_750_000, bytes.fromhex("76a914") + bytes(20) + b"\x88\xac")
        sidechain = TxOutput(0, bytes.fromhex("6a4c29") + bytes(41))
        merged = self.coinbase == "merged"
        return coinbase_parts(
            HEIGHT,
            [payout, sidechain] if merged else [payout],
            4 + self.extranonce_size,
            bytes(44) if merged else b"sv2rig",
            commitment=witness_commitment([]),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """New work; `block` where a new previous hash asks for it."""

    number: int
    utc: int
    block: bool
    prev_hash: bytes
    merkle_root: bytes
    merkle_path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Retarget:
    difficulty: int


@dataclass(frozen=True, slots=True)
class Share:
    number: int
    job_number: int
    utc: int
    nonce: int
    version_bits: int
    extranonce: bytes


Event = Job | Retarget | Share


def hour(options: Options) -> Iterator[Event]:
    """What happens after a channel is open, beginning with the first job.

    360 shares, the first job and 120 more, 6 of which come with a block.
    """
    rng = random.Random(2)
    difficulty = FIRST_DIFFICULTY
    prev_hash = rng.randbytes(32)
    jobs = shares = 0
    for second in range(HOUR_S + 1):
        utc = START_UTC + second
        if second % JOB_EACH_S == 0:
            jobs += 1
            block = second % BLOCK_EACH_S == 0
            prev_hash = rng.randbytes(28) + bytes(4) if block else prev_hash
            path = tuple(rng.randbytes(32) for _ in range(options.branches))
            yield Job(jobs, utc, block, prev_hash, rng.randbytes(32), path)
        if second in RETARGETS_S:
            difficulty = difficulty * 3 // 2
            yield Retarget(difficulty)
        if second and second % SHARE_EACH_S == 0:
            shares += 1
            extranonce = rng.randbytes(options.extranonce_size)
            bits = rng.getrandbits(32) & 0x1FFFE000
            yield Share(shares, jobs, utc, rng.getrandbits(32), bits, extranonce)
