"""What a reported Solution is worth: the host re-hashes every one and trusts none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sv2rig.bitcoin.target import bits_to_target
from sv2rig.devices.work import Solution, Work

_U32 = 0xFFFFFFFF


class Verdict(StrEnum):
    """What became of a Solution. Only a SHARE is submitted."""

    SHARE = "share"  # meets its Job's target
    COUNTED = "counted"  # meets the ticket only: counts for the hash rate
    STALE = "stale"  # rightly found, but its previous hash or its channel is gone
    DUPLICATE = "duplicate"  # this header was reported before
    HARDWARE_ERROR = "hardware error"  # its hash is worse than the device was told to report
    OUT_OF_RANGE = "out of range"  # its hash would do, but the header is not of this Work
    UNKNOWN_WORK = "unknown work"  # never handed out to this device, or forgotten since


@dataclass(frozen=True, slots=True)
class Share:
    """What is submitted. `version` is the full nVersion; `extranonce` is b"" on a standard channel.
    `target` is its Job's; `is_block`: the hash also meets the network's target."""

    channel_id: int
    job_id: int
    nonce: int
    ntime: int
    version: int
    extranonce: bytes
    hash_value: int
    target: int
    is_block: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A Verdict with its reason in words. `work` and `hash_value` (a little-endian integer) are
    None where the Work is unknown; `share` is there for a SHARE only."""

    verdict: Verdict
    reason: str
    work: Work | None = None
    hash_value: int | None = None
    share: Share | None = None

    @property
    def proves_work(self) -> bool:
        """Whether it stands for 2^256 / (ticket + 1) hashes (SolutionMeter)."""
        if self.work is None or self.hash_value is None or self.hash_value > self.work.ticket:
            return False
        return self.verdict in (Verdict.SHARE, Verdict.COUNTED, Verdict.STALE)


def judge(work: Work, solution: Solution) -> Judgement:
    """SHARE, COUNTED, HARDWARE_ERROR or OUT_OF_RANGE, by the header alone.

    A hash that meets the Job's target is a share even where the ticket asked for less.
    """
    for name in ("nonce", "version", "ntime"):
        if not 0 <= getattr(solution, name) <= _U32:
            reason = f"{name} {getattr(solution, name)} does not fit a header"
            return Judgement(Verdict.HARDWARE_ERROR, reason, work)
    value = solution.hash_value(work)
    if value > max(work.ticket, work.target):
        return Judgement(Verdict.HARDWARE_ERROR, "hash is worse than the ticket", work, value)
    if not work.holds(solution):
        return Judgement(Verdict.OUT_OF_RANGE, _what_is_outside(work, solution), work, value)
    if value > work.target:
        return Judgement(Verdict.COUNTED, "meets the ticket", work, value)
    is_block = value <= bits_to_target(work.nbits)
    share = Share(
        channel_id=work.channel_id,
        job_id=work.job_id,
        nonce=solution.nonce,
        ntime=solution.ntime,
        version=solution.version,
        extranonce=work.extranonce,
        hash_value=value,
        target=work.target,
        is_block=is_block,
    )
    reason = "meets the network's target" if is_block else "meets the job's target"
    return Judgement(Verdict.SHARE, reason, work, value, share)


def _what_is_outside(work: Work, solution: Solution) -> str:
    if solution.version & ~work.version_bits != work.version:
        return f"version {solution.version:#010x} is not of work {work.work_id}"
    if not work.ntime <= solution.ntime < work.ntime + work.ntime_count:
        return f"ntime {solution.ntime} is not of work {work.work_id}"
    return f"nonce {solution.nonce:#010x} is not of work {work.work_id}"
