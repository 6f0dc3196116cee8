"""Pools in a reload: commands stand above the configuration until it changes what they changed."""

from __future__ import annotations

from dataclasses import replace

from sv2rig.mining.failover import PoolEntry
from sv2rig.rig.reload import layered_pools
from sv2rig.sv2.url import parse_pool_url

URL = "stratum2+tcp://{}.example:3333/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


def entry(name: str, user: str = "me") -> PoolEntry:
    return PoolEntry(name, parse_pool_url(URL.format(name)), user)


A, B, C, D = (entry(name) for name in "abcd")
B_OFF = replace(B, enabled=False)


def test_what_commands_did_stays_where_the_file_says_the_same() -> None:
    for in_force in [(B, A), (A,), (A, B_OFF), (A, B, C), (C, B, A)]:
        assert layered_pools((A, B), (A, B), in_force) == in_force


def test_what_the_file_changes_is_as_it_says() -> None:
    new_b = entry("b", "other")
    assert layered_pools((A, B), (A, new_b), (A, B_OFF, C)) == (A, new_b, C)
    assert layered_pools((A, B), (A, new_b), (A,)) == (A, new_b), "it is back"
    assert layered_pools((A, B), (A,), (B_OFF, A, C)) == (A, C)
    assert layered_pools((A, B), (B, A), (A, B_OFF, C)) == (B_OFF, A, C)
    assert layered_pools((A, B), (A, B, D), (B, A)) == (B, A, D)
    assert layered_pools((A, B), (A, B, C), (A, B, entry("c", "x"))) == (A, B, C)
    assert layered_pools((A, B), (B,), (A,)) == (B,), "a rig needs one"
