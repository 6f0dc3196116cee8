"""Slices: together a Work, and no header twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.sha256 import midstate
from sv2rig.devices.slices import cut, lowest_bits
from sv2rig.devices.work import Work

MASK = 0x1FFFE000


def work(version_bits: int, ntime_count: int = 1) -> Work:
    return Work(
        work_id=7,
        channel_id=1,
        job_id=2,
        version=0x20000000 & ~version_bits,
        prev_hash=bytes(range(32)),
        merkle_root=bytes(range(32, 64)),
        ntime=1_700_000_000,
        nbits=0x1D00FFFF,
        target=1 << 200,
        ticket=1 << 224,
        version_bits=version_bits,
        ntime_count=ntime_count,
    )


few_bits = st.lists(st.integers(13, 28), max_size=6).map(
    lambda places: sum(1 << p for p in set(places))
)


@given(bits=few_bits, rolled=few_bits, ntimes=st.integers(1, 3))
def test_slices_hold_every_header_of_the_work_once(bits: int, rolled: int, ntimes: int) -> None:
    whole = work(bits, ntimes)
    pieces = list(cut(whole, rolled))
    headers = [(piece.ntime, v) for piece in pieces for v in piece.versions()]
    wanted = [(whole.ntime + i, v) for i in range(ntimes) for v in whole.versions()]
    assert sorted(headers) == sorted(wanted)
    assert sum(piece.hashes for piece in pieces) == whole.hashes
    assert all(piece.version_bits & ~rolled == 0 for piece in pieces)


def test_a_slice_of_four_versions_has_their_midstates() -> None:
    piece = next(cut(work(MASK), lowest_bits(MASK, 2)))
    versions = list(piece.versions())
    assert versions == [0x20000000, 0x20002000, 0x20004000, 0x20006000]
    assert piece.midstates() == [midstate(piece.header76(v)[:64]) for v in versions]


@given(mask=st.integers(0, (1 << 32) - 1), count=st.integers(0, 40))
def test_lowest_bits(mask: int, count: int) -> None:
    found = lowest_bits(mask, count)
    assert found & ~mask == 0
    assert found.bit_count() == min(count, mask.bit_count())
    rest = mask ^ found
    assert not rest or not found or (rest & -rest) > found
