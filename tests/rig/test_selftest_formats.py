"""The self-test's checks of formats pass on true answers and fail on each damaged one."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sv2rig.rig import bitcoin_checks, known_blocks, protocol_checks
from sv2rig.rig.check import Check, CheckFailedError, Outcome, carry_out, expect_equal
from sv2rig.rig.known_blocks import block_413567, vector

FILES = ("headers.json", "block413567.raw.gz", "sv2_noise_kat.json", "bip340_test_vectors.csv")


def outcomes() -> dict[str, Outcome]:
    checks = [*bitcoin_checks.bitcoin_checks(), *protocol_checks.protocol_checks()]
    return {check.name: carry_out(check) for check in checks}


def test_everything_passes_on_true_answers() -> None:
    found = outcomes()
    assert len(found) == 9
    assert all(outcome.ok for outcome in found.values()), found
    assert "from 1557 transactions" in found["block 413567 merkle root"].detail


def test_known_blocks_prove_themselves_and_are_of_many_years() -> None:
    blocks = known_blocks.known_blocks()
    for block in blocks:
        raw = block.header.pack()
        digest = hashlib.sha256(hashlib.sha256(raw).digest()).digest()
        assert digest == block.block_hash
        size, mantissa = block.header.nbits >> 24, block.header.nbits & 0x7FFFFF
        assert int.from_bytes(digest, "little") <= mantissa << 8 * (size - 3)
    assert [block.height for block in blocks] == sorted({block.height for block in blocks})
    assert blocks[0].height == 0
    assert len({block.year for block in blocks[1:]}) >= 10
    assert 413567 in {block.height for block in blocks}
    assert block_413567()[:80] in {block.header.pack() for block in blocks}


@pytest.fixture
def damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes, bytes], None]:
    """Replaces bytes in a copy of a file of known answers, which is then the one that is read."""
    for name in FILES:
        (tmp_path / name).write_bytes(vector(name))
    monkeypatch.setattr(known_blocks, "_VECTORS", tmp_path)

    def replace(name: str, old: bytes, new: bytes) -> None:
        path = tmp_path / name
        packed = name.endswith(".gz")
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        assert data.count(old) == 1
        data = data.replace(old, new)
        path.write_bytes(gzip.compress(data, 1) if packed else data)

    return replace


@pytest.mark.parametrize(
    ("file", "old", "new", "caught_by"),
    [
        ("headers.json", b"1dac2b7c", b"1dac2b7d", ["block hashes"]),
        ("headers.json", b"6198f272d6577325d4069", b"6198f272d6577325d4068", ["block hashes"]),
        ("bip340_test_vectors.csv", b"E907831F", b"E907831E", ["BIP340 vectors"]),
        (
            "sv2_noise_kat.json",
            b"527539398ef18457",
            b"527539398ef18458",
            ["Noise known answer"],
        ),
        (
            "sv2_noise_kat.json",
            b"987cb8a6afb488be",
            b"987cb8a6afb488bf",
            ["Noise known answer", "encrypted frame each way"],
        ),
    ],
)
def test_a_damaged_answer_fails_its_check(
    damage: Callable[[str, bytes, bytes], None],
    file: str,
    old: bytes,
    new: bytes,
    caught_by: list[str],
) -> None:
    damage(file, old, new)
    assert [name for name, outcome in outcomes().items() if outcome.ok is False] == caught_by


def test_one_changed_byte_of_a_transaction_changes_the_merkle_root(
    damage: Callable[[str, bytes, bytes], None],
) -> None:
    end = block_413567()[-40:]
    damage("block413567.raw.gz", end, end[:20] + bytes([end[20] ^ 1]) + end[21:])
    found = outcomes()
    assert found["block 413567 merkle root"].ok is False
    assert "the merkle root is " in found["block 413567 merkle root"].detail
    assert found["block 413567 coinbase"].ok is False


@pytest.mark.parametrize(
    ("module", "name", "value", "caught_by"),
    [
        (bitcoin_checks, "_COMPACT_BITS", ((0x1D00FFFF, 1),), ["compact bits"]),
        (protocol_checks, "_KEY_PAYLOAD", bytes(32), ["authority key"]),
        (
            protocol_checks,
            "_SHARE",
            (protocol_checks._SHARE[0], protocol_checks._JOB[1]),
            ["frames", "encrypted frame each way"],
        ),
    ],
)
def test_each_other_known_answer_counts(
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    value: object,
    caught_by: list[str],
) -> None:
    monkeypatch.setattr(module, name, value)
    assert [check for check, outcome in outcomes().items() if outcome.ok is False] == caught_by


def test_any_exception_is_that_checks_failure() -> None:
    def breaks() -> str:
        raise ZeroDivisionError("by nought")

    outcome = carry_out(Check("name", "subject", breaks))
    assert (outcome.ok, outcome.detail) == (False, "ZeroDivisionError: by nought")
    assert outcome.seconds >= 0


def test_differences_are_told_with_both_values() -> None:
    with pytest.raises(CheckFailedError, match=r"^the key is 01, should be 02$"):
        expect_equal("the key", b"\x01", b"\x02")
    expect_equal("the key", b"\x01", b"\x01")
