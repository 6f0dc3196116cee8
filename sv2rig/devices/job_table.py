"""The Works a device may still answer for: the ones in hand, and replaced ones for a while."""

from __future__ import annotations

from collections import OrderedDict

from sv2rig.devices.work import Solution, Work


class JobTable:
    """Works by id. A replaced Work is kept for `max_age_s` seconds, and at most `max_replaced` of
    them, oldest forgotten first; a Work in hand is kept until it is replaced. Time is monotonic
    seconds, passed in. It also remembers which Solutions of each Work were reported.
    """

    def __init__(self, max_replaced: int = 64, max_age_s: float = 120.0) -> None:
        self._max_replaced = max_replaced
        self._max_age_s = max_age_s
        self._in_hand: dict[int, Work] = {}
        self._replaced: OrderedDict[int, tuple[Work, float]] = OrderedDict()
        self._reported: dict[int, set[Solution]] = {}

    def __len__(self) -> int:
        return len(self._in_hand) + len(self._replaced)

    def add(self, work: Work) -> None:
        """Take a Work in hand; ValueError if its id is known already."""
        if work.work_id in self._in_hand or work.work_id in self._replaced:
            raise ValueError(f"work {work.work_id} is in the job table already")
        self._in_hand[work.work_id] = work

    def replace(self, work_id: int, now: float) -> None:
        """The device no longer searches this Work, but may still answer for it. Unknown ids and
        ids replaced before are left as they are."""
        work = self._in_hand.pop(work_id, None)
        if work is not None:
            self._replaced[work_id] = (work, now)
        self.expire(now)

    def expire(self, now: float) -> None:
        """Forget replaced Works that are too old or too many."""
        while self._replaced:
            work_id, (_, replaced_at) = next(iter(self._replaced.items()))
            if len(self._replaced) <= self._max_replaced and now - replaced_at <= self._max_age_s:
                return
            del self._replaced[work_id]
            self._reported.pop(work_id, None)

    def get(self, work_id: int, now: float) -> Work | None:
        """The Work of this id, or None if it was never added or is forgotten."""
        self.expire(now)
        if work_id in self._in_hand:
            return self._in_hand[work_id]
        entry = self._replaced.get(work_id)
        return None if entry is None else entry[0]

    def first_report(self, solution: Solution) -> bool:
        """Whether this Solution of a known Work is new; it is remembered as long as its Work."""
        if solution.work_id not in self._in_hand and solution.work_id not in self._replaced:
            raise KeyError(f"work {solution.work_id} is not in the job table")
        reported = self._reported.setdefault(solution.work_id, set())
        if solution in reported:
            return False
        reported.add(solution)
        return True
