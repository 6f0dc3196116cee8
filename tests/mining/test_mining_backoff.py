"""Back-off: bounds, growth, jitter and reset."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sv2rig.mining.backoff import FIRST_S, LONGEST_S, Backoff


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_every_wait_lies_between_half_and_whole_of_a_doubling_bound(seed: int, count: int) -> None:
    backoff = Backoff(random.Random(seed))
    for attempt in range(count):
        whole = min(LONGEST_S, FIRST_S * 2**attempt)
        assert whole / 2 <= backoff.next_wait() <= whole


def test_reset_starts_over_and_two_miners_differ() -> None:
    one, other = Backoff(random.Random(1)), Backoff(random.Random(2))
    assert [one.next_wait() for _ in range(5)] != [other.next_wait() for _ in range(5)]
    one.reset()
    assert one.next_wait() <= FIRST_S
