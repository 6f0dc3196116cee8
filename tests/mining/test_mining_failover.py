"""The policy of several pools, by itself."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sv2rig.mining.backoff import Backoff
from sv2rig.mining.failover import (
    Failover,
    FailoverLimits,
    PoolEntry,
    PoolRefusedError,
    PoolState,
)
from sv2rig.sv2.url import PoolUrl

NAMES = ("a", "b", "c", "d")
LIMITS = FailoverLimits(steady_s=120, probe_s=20, refused_s=600)


def entry(name: str, enabled: bool = True) -> PoolEntry:
    url = PoolUrl("stratum2+tcp", f"{name}.example", 34254, None)
    return PoolEntry(name, url, f"user-of-{name}", enabled=enabled)


def failover(*names: str) -> Failover:
    rng = random.Random(1)
    return Failover([entry(name) for name in names], lambda: Backoff(rng), LIMITS, 0.0)


def started(policy: Failover, now: float) -> str | None:
    pool = policy.start_next(now)
    return pool.name if pool else None


def probes(policy: Failover, begin: int, end: int) -> list[float]:
    """Every probe is answered, second by second; when there was one."""
    times = []
    for now in range(begin, end):
        pool = policy.next_probe(now)
        if pool is not None:
            times.append(float(now))
            policy.answered(pool, now)
    return times


def state(policy: Failover, name: str) -> PoolState:
    return next(one.state for one in policy.standings() if one.entry.name == name)


def mining_on_b() -> Failover:
    """a failed at 0, b is mined on."""
    policy = failover("a", "b")
    assert started(policy, 0) == "a"
    policy.failed("a", "connection refused", 0)
    assert started(policy, 0) == "b"
    policy.mines("b", 0)
    return policy


def test_the_next_is_tried_at_once_and_when_all_are_down_each_waits_its_back_off() -> None:
    policy = failover("a", "b", "c")
    for name in ("a", "b", "c"):
        assert started(policy, 0) == name
        policy.failed(name, "gone", 0)
    assert started(policy, 0) is None
    due = policy.next_try()
    assert due is not None
    assert 0.5 <= due <= 1
    assert started(policy, due - 0.01) is None
    assert started(policy, due) in ("a", "b", "c")


def test_a_better_pool_is_gone_back_to_when_it_was_steady_and_not_before() -> None:
    policy = mining_on_b()
    assert probes(policy, 0, 140) == [20, 40, 60, 80, 100, 120]
    assert policy.leaves_for(139) is None, "it has answered for 100 s"
    assert probes(policy, 140, 141) == [140]
    assert policy.leaves_for(140) == entry("a"), "for 120 s"
    policy.left("b", 140)
    assert started(policy, 140) == "a"
    assert state(policy, "b") is PoolState.STANDBY


def test_one_missed_probe_begins_anew() -> None:
    policy = mining_on_b()
    probes(policy, 0, 121)
    pool = policy.next_probe(140)
    assert pool == entry("a")
    policy.unanswered(pool, "timed out", False, 140)
    assert state(policy, "a") is PoolState.DOWN
    probes(policy, 141, 279)
    assert policy.leaves_for(279) is None
    probes(policy, 279, 281)
    assert policy.leaves_for(280) == entry("a")


def test_a_pool_that_flaps_must_be_steady_twice_as_long_each_time() -> None:
    policy = mining_on_b()
    now, gone_back = 0, []
    while now < 4000:
        probes(policy, now, now + 1)
        if policy.leaves_for(now):
            gone_back.append(now)
            policy.left("b", now)
            assert started(policy, now) == "a"
            policy.mines("a", now)
            policy.failed("a", "closed", now + 10)
            now += 10
            assert started(policy, now) == "b"
            policy.mines("b", now)
        now += 1
    steps = [after - before for before, after in itertools.pairwise(gone_back)]
    assert all(after > 1.8 * before for before, after in itertools.pairwise(steps))
    assert len(gone_back) == 5


def test_what_mined_steadily_is_trusted_again() -> None:
    policy = mining_on_b()
    probes(policy, 0, 141)
    assert policy.leaves_for(140)
    policy.left("b", 140)
    started(policy, 140)
    policy.mines("a", 140)
    policy.proven("a", 300)
    policy.failed("a", "closed", 300)
    assert started(policy, 300) == "b"
    policy.mines("b", 300)
    probes(policy, 300, 441)
    assert policy.leaves_for(440) == entry("a")


def test_a_refused_pool_is_passed_over_for_long() -> None:
    policy = failover("a", "b")
    started(policy, 0)
    policy.refused("a", "wrong key", 0)
    assert started(policy, 0) == "b"
    policy.mines("b", 0)
    assert probes(policy, 0, 600) == []
    assert probes(policy, 600, 610) == [600]
    policy.failed("b", "gone", 100)
    policy.lift_refusals(100)


def test_the_users_choice_stays_until_it_fails() -> None:
    policy = failover("a", "b", "c")
    started(policy, 0)
    policy.mines("a", 0)
    policy.switch("c", 1)
    assert policy.leaves_for(1) == entry("c")
    policy.left("a", 1)
    assert started(policy, 1) == "c"
    policy.mines("c", 1)
    assert probes(policy, 1, 1000) == []
    assert policy.leaves_for(1000) is None, "not for a better one"
    policy.failed("c", "gone", 1000)
    assert started(policy, 1000) == "a"


def test_a_switch_to_what_was_refused_or_down_tries_it_at_once() -> None:
    policy = failover("a", "b")
    started(policy, 0)
    policy.refused("a", "wrong key", 0)
    started(policy, 0)
    policy.mines("b", 0)
    policy.switch("a", 1)
    policy.left("b", 1)
    assert started(policy, 1) == "a"


@pytest.mark.parametrize("how", ["disable", "remove"])
def test_the_active_pool_disabled_or_removed_is_left(how: str) -> None:
    policy = failover("a", "b")
    started(policy, 0)
    policy.mines("a", 0)
    getattr(policy, how)("a", 1)
    assert policy.active is None
    policy.failed("a", "we left", 1)
    assert started(policy, 1) == "b"


def test_redirects_stay_with_their_pool_but_not_for_ever() -> None:
    policy = failover("a", "b")
    now = 0.0
    for _ in range(3):
        assert started(policy, now) == "a"
        policy.redirected("a", "go there", now)
        assert started(policy, now) is None
        due = policy.next_try()
        assert due is not None
        now = due
    assert started(policy, now) == "a"
    policy.redirected("a", "go there", now)
    assert started(policy, now) == "b"


def test_wishes_that_cannot_be_carried_out_are_refused_in_words_and_change_nothing() -> None:
    policy = failover("a", "b")
    policy.disable("b", 0)
    before = policy.standings()
    wishes: list[tuple[Callable[[], object], str]] = [
        (lambda: policy.switch("b", 0), "'b' is disabled"),
        (lambda: policy.switch("x", 0), "no pool 'x'; there are: a, b"),
        (lambda: policy.remove("x", 0), "no pool 'x'"),
        (lambda: policy.add(entry("a"), 0), "two pools called 'a'"),
        (lambda: policy.order(["a"]), "each pool once: a, b"),
        (lambda: policy.order(["a", "a"]), "each pool once"),
        (lambda: policy.replace([], 0), "one pool at least"),
        (lambda: policy.replace([entry("c"), entry("c")], 0), "two pools called 'c'"),
    ]
    for wish, words in wishes:
        with pytest.raises(PoolRefusedError, match=words):
            wish()
    assert policy.standings() == before


def test_a_reload_keeps_what_has_not_changed() -> None:
    policy = failover("a", "b")
    started(policy, 0)
    policy.mines("a", 0)
    policy.replace([entry("c"), entry("a")], 5)
    assert policy.active == entry("a")
    assert state(policy, "a") is PoolState.MINING
    policy.replace([replace(entry("a"), user="another")], 6)
    assert policy.active is None, "the user has changed: never mined on as the old one"


class Pools(RuleBasedStateMachine):
    """Whatever pools do and users wish, as the session carries it out."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.policy = failover("a", "b", "c")
        self.tries: list[tuple[float, str]] = []

    def start(self) -> None:
        if self.policy.active is None:
            pool = self.policy.start_next(self.now)
            if pool is not None:
                assert pool.enabled
                self.tries.append((self.now, pool.name))

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 20.0, 130.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def it_connects(self) -> None:
        self.start()

    @precondition(lambda self: self.policy.active)
    @rule(how=st.sampled_from(["mines", "proven", "failed", "refused", "redirected"]))
    def the_pool(self, how: str) -> None:
        assert self.policy.active is not None
        args = (self.now,) if how in ("mines", "proven") else ("so it is", self.now)
        getattr(self.policy, how)(self.policy.active.name, *args)

    @rule(there=st.sampled_from(["yes", "no", "refused"]))
    def probe(self, there: str) -> None:
        pool = self.policy.next_probe(self.now)
        if pool is not None:
            assert pool.enabled
            assert pool != self.policy.active
            if there == "yes":
                self.policy.answered(pool, self.now)
            else:
                self.policy.unanswered(pool, "no", there == "refused", self.now)

    @rule()
    def it_follows(self) -> None:
        to, active = self.policy.leaves_for(self.now), self.policy.active
        if to is not None and active is not None:
            assert to != active
            self.policy.left(active.name, self.now)
            self.start()
            assert self.policy.active == to

    @rule(
        how=st.sampled_from(["switch", "enable", "disable", "remove"]), name=st.sampled_from(NAMES)
    )
    def the_user(self, how: str, name: str) -> None:
        self.tries.clear()
        with contextlib.suppress(PoolRefusedError):
            getattr(self.policy, how)(name, self.now)

    @rule(name=st.sampled_from(NAMES), enabled=st.booleans())
    def the_user_adds(self, name: str, enabled: bool) -> None:
        self.tries.clear()
        with contextlib.suppress(PoolRefusedError):
            self.policy.add(entry(name, enabled), self.now)

    @rule(order=st.randoms(use_true_random=False))
    def the_user_orders(self, order: random.Random) -> None:
        names = [one.name for one in self.policy.entries]
        order.shuffle(names)
        self.policy.order(names)

    @invariant()
    def never_on_a_disabled_pool(self) -> None:
        active = self.policy.active
        assert active is None or (active.enabled and active in self.policy.entries)
        assert sum(one.is_active for one in self.policy.standings()) == (active is not None)

    @invariant()
    def never_a_hot_loop(self) -> None:
        """One pool is tried at most once in the shortest back-off, unless it is gone back to."""
        for name in NAMES:
            times = [at for at, tried in self.tries if tried == name]
            assert all(b - a >= 0.5 or b - a == 0 for a, b in itertools.pairwise(times))
            assert max((times.count(at) for at in times), default=0) <= 2

    @invariant()
    def an_enabled_pool_is_always_tried_in_the_end(self) -> None:
        if self.policy.active is not None:
            return
        due = self.policy.next_try()
        enabled = [one for one in self.policy.entries if one.enabled]
        assert (due is not None) == bool(enabled)
        assert due is None or due <= self.now + 600


TestPools = Pools.TestCase
TestPools.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_pool_that_is_left_and_chosen_again_before_that_is_done_is_mined_on() -> None:
    policy = mining_on_b()
    policy.switch("b", 1)
    policy.switch("a", 2)
    assert policy.leaves_for(2) == entry("a")
    policy.switch("b", 2)
    policy.left("b", 2.3)
    assert started(policy, 2.3) == "b"


def test_a_chosen_pool_that_refuses_a_probe_holds_up_no_other() -> None:
    policy = mining_on_b()
    asked = policy.next_probe(20)
    assert asked is not None
    policy.switch("a", 20)
    policy.unanswered(asked, "no such user", True, 20.1)
    policy.left("b", 20.2)
    assert started(policy, 20.2) == "b"


@pytest.mark.parametrize("steady_s", [10, 120, 7200])
def test_another_limit_holds_for_pools_that_are_there_already(steady_s: int) -> None:
    policy = mining_on_b()
    policy.limits = FailoverLimits(steady_s=steady_s, probe_s=5)
    assert probes(policy, 20, 20 + steady_s)
    assert policy.leaves_for(20 + steady_s) is None
    assert probes(policy, 20 + steady_s, 40 + steady_s)
    assert policy.leaves_for(40 + steady_s) == entry("a")


def test_a_limit_above_the_longest_is_not_cut_short_by_a_failure() -> None:
    rng = random.Random(1)
    limits = FailoverLimits(steady_s=7200, probe_s=20)
    policy = Failover([entry("a"), entry("b")], lambda: Backoff(rng), limits, 0.0)
    assert started(policy, 0) == "a"
    policy.failed("a", "gone", 0)
    assert started(policy, 0) == "b"
    policy.mines("b", 0)
    probes(policy, 20, 7300)
    assert policy.leaves_for(7300) == entry("a")
    policy.left("b", 7300)
    assert started(policy, 7300) == "a"
    policy.failed("a", "gone again", 7301)
    assert started(policy, 7301) == "b"
    policy.mines("b", 7301)
    probes(policy, 7330, 7330 + 7100)
    assert policy.leaves_for(7330 + 7100) is None
