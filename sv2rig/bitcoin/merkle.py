"""Bitcoin's merkle tree. All hashes are raw, 32 bytes."""

from collections.abc import Sequence

from sv2rig.bitcoin.hashing import sha256d


def _parents(level: Sequence[bytes]) -> list[bytes]:
    # A level of odd length pairs its last hash with itself.
    padded = [*level, level[-1]] if len(level) % 2 else level
    return [sha256d(padded[i] + padded[i + 1]) for i in range(0, len(padded), 2)]


def _leaves(txids: Sequence[bytes]) -> Sequence[bytes]:
    if not txids:
        raise ValueError("a merkle tree needs at least one transaction, the coinbase")
    for index, txid in enumerate(txids):
        if len(txid) != 32:
            raise ValueError(f"merkle leaf {index} has {len(txid)} bytes, not 32")
    return txids


def merkle_root(txids: Sequence[bytes]) -> bytes:
    """The root over `txids`, coinbase first; ValueError without any."""
    level = _leaves(txids)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def merkle_path(txids: Sequence[bytes]) -> tuple[bytes, ...]:
    """The coinbase's siblings from the leaves up, as Stratum jobs carry them.

    `txids[0]` stands for the coinbase; the path does not depend on its value.
    """
    level = _leaves(txids)
    path = []
    while len(level) > 1:
        path.append(level[1])
        level = _parents(level)
    return tuple(path)


def root_from_path(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root over a coinbase txid `leaf` and its siblings."""
    root = leaf
    for sibling in path:
        root = sha256d(root + sibling)
    return root
