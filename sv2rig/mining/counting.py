"""What judgements add to the tallies, and the lines that people read about them."""

from __future__ import annotations

from sv2rig.mining.context import MiningContext, ShareDone
from sv2rig.mining.judgement import Judgement, Verdict


class Counting:
    """Counts what was judged, a device at a time."""

    def __init__(self, context: MiningContext) -> None:
        self._context = context

    def count(self, device_id: str, judgement: Judgement, pool: str, pool_is_away: bool) -> None:
        """One judgement of a Solution of this device, found for this pool."""
        tally = self._context.tallies.of(device_id)
        if judgement.hash_value is not None and judgement.verdict is not Verdict.HARDWARE_ERROR:
            tally.saw_hash(judgement.hash_value)
        match judgement.verdict:
            case Verdict.STALE:
                self._count_stale(device_id, judgement, pool, pool_is_away)
            case Verdict.HARDWARE_ERROR | Verdict.OUT_OF_RANGE | Verdict.UNKNOWN_WORK:
                tally.hardware_errors += 1
                self._context.report("warning", f"hardware error: {judgement.reason}", device_id)
            case _:
                pass

    def _count_stale(
        self, device_id: str, judgement: Judgement, pool: str, pool_is_away: bool
    ) -> None:
        """Only what would have been a share counts as stale; a ticket costs nobody anything."""
        work, value = judgement.work, judgement.hash_value
        if work is None or value is None or value > work.target:
            return
        self._context.tallies.of(device_id).stale += 1
        utc = self._context.utc()
        reason = judgement.reason
        self._context.share_done(
            ShareDone(device_id, pool, "stale", value, work.target, utc, reason=reason)
        )
        if pool_is_away:
            text = "a share was found while the pool was away; its job is gone with the connection"
            self._context.report("warning", text, device_id)
