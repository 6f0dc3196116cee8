"""Every engine that this machine can build, against hashlib and against real headers."""

from __future__ import annotations

import random

from sv2rig.devices.work import Work


def random_work(seed: int, ticket: int, version_bits: int = 0, count: int = 4096) -> Work:
    rng = random.Random(seed)
    return Work(
        work_id=seed,
        channel_id=1,
        job_id=1,
        version=0x20000000,
        prev_hash=rng.randbytes(32),
        merkle_root=rng.randbytes(32),
        ntime=rng.getrandbits(31),
        nbits=0x1D00FFFF,
        target=ticket,
        ticket=ticket,
        version_bits=version_bits,
        nonce_start=rng.randrange(1 << 31),
        nonce_count=count,
    )
