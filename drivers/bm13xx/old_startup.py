"""What BM1384 and BM1387 chains are told from reset to their first job.

After gekko's order (REFERENCE.md): hello, count replies, addresses, the line's speed (on
BM1387; the host follows), gate block, clocks, busy jobs to open the cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sv2rig.drivers.bm13xx import old_framing as old
from sv2rig.drivers.bm13xx.old_framing import BM1384, BM1387, OldChip
from sv2rig.drivers.bm13xx.registers import ticket_mask
from sv2rig.drivers.bm13xx.startup import COUNT_SECONDS, Step


def hello(chip: OldChip) -> Step:
    """Every chip answers with its id."""
    frame = old.read_all_1384() if chip is BM1384 else old.read_register(old.ADDRESS)
    return Step(frame, COUNT_SECONDS)


def address(chip: OldChip, addresses: Sequence[int]) -> Iterator[Step]:
    """Silence the chain and give each chip its address."""
    if chip is BM1384:
        yield Step(old.chain_inactive_1384())
        for one in addresses:
            yield Step(old.set_address_1384(one))
        return
    for _ in range(3):
        yield Step(old.chain_inactive(), 0.005)
    for one in addresses:
        yield Step(old.set_address(one), 0.005)


def set_line_speed(divider: int) -> Step:
    """BM1387: the last frame at the old speed."""
    return Step(old.write_register(old.MISC, old.baud_value(divider)))


def open_chain(divider: int, ticket_bits: int) -> Iterator[Step]:
    """BM1387, at the new speed: gate the blocks, set the ticket (zero bits, 32 and up)."""
    yield Step(old.write_register(old.MISC, old.gate_block_value(divider)))
    yield Step(old.write_register(old.TICKET_MASK, ticket_mask(ticket_bits)))


def set_clock(chip: OldChip, mhz: float) -> Step:
    """The clock setting closest to `mhz`, for all chips; FrequencyError outside the range."""
    return Step(old.clock_write_1384(mhz) if chip is BM1384 else old.clock_write(mhz)[0])


def open_cores(chip: OldChip, midstates: int) -> Iterator[Step]:
    """One busy job a core."""
    for index in range(chip.cores):
        if chip is BM1387:
            job = old.busy_job_1387(index * midstates % chip.job_ids, midstates)
        else:
            job = old.busy_job_1384(index % chip.job_ids)
        yield Step(job, 0.001)
