import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.header import from_display
from sv2rig.bitcoin.merkle import merkle_path, merkle_root, root_from_path

# The four transactions of block 100000 and its merkle root, as displayed by any explorer.
BLOCK_100000 = [
    "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
    "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
    "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
    "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
]
ROOT_100000 = "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"

hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def test_block_100000() -> None:
    txids = [from_display(text) for text in BLOCK_100000]
    assert merkle_root(txids) == from_display(ROOT_100000)


def test_one_transaction_is_its_own_root() -> None:
    assert merkle_root([b"\x07" * 32]) == b"\x07" * 32
    assert merkle_path([b"\x07" * 32]) == ()


def test_an_odd_level_pairs_its_last_with_itself() -> None:
    a, b, c = (bytes([n]) * 32 for n in range(3))
    assert merkle_root([a, b, c]) == sha256d(sha256d(a + b) + sha256d(c + c))
    assert merkle_path([a, b, c]) == (b, sha256d(c + c))


@given(hashes, st.binary(min_size=32, max_size=32))
def test_the_path_leads_to_the_root_for_any_coinbase(txids: list[bytes], coinbase: bytes) -> None:
    path = merkle_path(txids)
    assert len(path) == (len(txids) - 1).bit_length()
    assert root_from_path(coinbase, path) == merkle_root([coinbase, *txids[1:]])


@given(hashes, st.data())
def test_every_leaf_counts(txids: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(txids) - 1))
    changed = [*txids]
    changed[index] = sha256d(changed[index])
    assert merkle_root(changed) != merkle_root(txids)


def test_empty_trees_and_short_leaves_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        merkle_root([])
    with pytest.raises(ValueError, match="leaf 1 has 31 bytes"):
        merkle_path([bytes(32), bytes(31)])
