"""The self-test's checks of one engine: it must find the known nonces, all and no others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from sv2rig.bitcoin.target import bits_to_target
from sv2rig.compute.engine import MAX_VERSION_BITS, Engine
from sv2rig.compute.known_answers import Question, random_question, wrong_answer
from sv2rig.devices.work import NONCES, Solution, Work
from sv2rig.rig.check import Check, CheckFailedError
from sv2rig.rig.known_blocks import KnownBlock, known_blocks

FIXED_SEED = 1
VERSION_BITS = (0, 0x2000, 0x10002000, 0x14002000)  # of random headers: 1, 2, 4 and 8 versions
_VERSION_SIZE = 32  # bits of a header's version
_HITS = 128  # expected of a random header: some for each of eight versions, none lost in a buffer
_EVERY_OTHER = 1 << 255  # more hits than any result buffer holds


@dataclass(frozen=True, slots=True)
class Reach:
    """How many nonces a check searches: around a real block's, and of a random header.

    The random ones are hashed by hashlib too: once for each seed and number of versions.
    """

    around_block: int
    of_random: int


FAST = Reach(1 << 16, 1 << 16)
SLOW = Reach(1 << 11, 1 << 12)  # for half a million hashes a second and less


def engine_checks(engine: Engine, subject: str, reach: Reach, seed: int) -> Iterator[Check]:
    """Known blocks, blocks among rolled versions, random headers of two seeds, a flood of hits."""

    def check(name: str, questions: Sequence[Question], more: str = "") -> Check:
        return Check(name, subject, lambda: answer_all(engine, questions, more))

    genesis, *others = known_blocks()
    yield check("genesis block", [mined(genesis, reach)])
    yield check(
        "real blocks",
        [mined(block, reach) for block in others],
        f": {', '.join(block.name for block in others)}",
    )
    for count in range(1, MAX_VERSION_BITS + 1):
        yield check(
            f"real blocks among {1 << count} versions",
            [mined(block, reach, bits) for block, bits in rolled(known_blocks(), count)],
        )
    yield check("random headers", random_headers(FIXED_SEED, reach))
    yield check("random headers, new seed", random_headers(seed, reach), f", seed {seed}")
    yield check("overfull result buffer", floods())


def answer_all(engine: Engine, questions: Sequence[Question], more: str = "") -> str:
    """CheckFailedError naming the questions that the engine answers wrong."""
    wrong = [said for question in questions if (said := wrong_answer(engine, question))]
    if wrong:
        shown = "; ".join(wrong[:3]) + ("; ..." if len(wrong) > 3 else "")
        raise CheckFailedError(f"{len(wrong)} of {len(questions)} wrong{more}: {shown}")
    known = sum(len(question.answer) for question in questions)
    hashes = sum(question.work.hashes for question in questions)
    return f"found exactly the {known} known nonces among {hashes} hashes{more}"


def rolled(blocks: Sequence[KnownBlock], count: int) -> Iterator[tuple[KnownBlock, int]]:
    """Each block with `count` version bits to roll.

    They are chosen so that the real versions come at each of the 2**count places among those
    tried: a kernel may be right for its first midstate alone.
    """
    used = [0] * (1 << count)
    for block in blocks:
        bits_at = [_bits_at(block.header.version, place, count) for place in range(1 << count)]
        place = min((p for p, bits in enumerate(bits_at) if bits), key=lambda p: (used[p], p))
        used[place] += 1
        yield block, bits_at[place]


def _bits_at(version: int, place: int, count: int) -> int:
    """Version bits of which this version is the combination number `place`; 0 if there are none."""
    bits, position = 0, 0
    for digit in range(count):
        while position < _VERSION_SIZE and version >> position & 1 != place >> digit & 1:
            position += 1
        if position == _VERSION_SIZE:
            return 0
        bits |= 1 << position
        position += 1
    return bits


def mined(block: KnownBlock, reach: Reach, version_bits: int = 0) -> Question:
    """To find a real block's nonce and version.

    With one version the ticket is the block's own target. With several it is the block's hash,
    the tightest that still lets it pass: a second hit in the genesis block's easy target would be
    rare, but no error.
    """
    header = block.header
    before = random.Random(block.height).randrange(reach.around_block)
    first = max(header.nonce - before, 0)
    target = bits_to_target(header.nbits)
    work = Work(
        work_id=block.height,
        channel_id=0,
        job_id=0,
        version=header.version & ~version_bits,
        prev_hash=header.prev_hash,
        merkle_root=header.merkle_root,
        ntime=header.ntime,
        nbits=header.nbits,
        target=target,
        ticket=header.hash_value() if version_bits else target,
        version_bits=version_bits,
        nonce_start=first,
        nonce_count=min(reach.around_block, NONCES - first),
    )
    found = Solution(block.height, header.nonce, header.version, header.ntime)
    return Question(f"block {block.name}", work, frozenset({found}))


@cache
def random_headers(seed: int, reach: Reach) -> tuple[Question, ...]:
    """A random header for each number of versions, as many hashes for each."""
    easy = (_HITS << 256) // reach.of_random - 1
    return tuple(
        random_question(
            f"{1 << bits.bit_count()} versions, seed {seed}",
            seed + index,
            easy,
            reach.of_random >> bits.bit_count(),
            bits,
        )
        for index, bits in enumerate(VERSION_BITS)
    )


@cache
def floods() -> tuple[Question, ...]:
    return tuple(
        random_question(
            f"every other hash of {1 << bits.bit_count()} versions", 99, _EVERY_OTHER, 777, bits
        )
        for bits in (0, VERSION_BITS[-1])
    )
