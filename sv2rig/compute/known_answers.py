"""What a right engine finds: a real block's nonce, and on random headers exactly hashlib's set."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.compute.engine import Engine, search
from sv2rig.devices.work import NONCES, Solution, Work

_GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
    "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
_AROUND = 10_000  # nonces searched before and after a real block's


@dataclass(frozen=True, slots=True)
class Question:
    """A Work and the Solutions that an engine must find in it, no more and no fewer."""

    name: str
    work: Work
    answer: frozenset[Solution]


def block_question(name: str, header: bytes) -> Question:
    """To find a mined header's nonce among its neighbours; its own hash is the ticket."""
    nonce = int.from_bytes(header[76:80], "little")
    first = max(nonce - _AROUND, 0)
    ticket = int.from_bytes(sha256d(header), "little")
    work = Work(
        work_id=1,
        channel_id=0,
        job_id=0,
        version=int.from_bytes(header[0:4], "little"),
        prev_hash=header[4:36],
        merkle_root=header[36:68],
        ntime=int.from_bytes(header[68:72], "little"),
        nbits=int.from_bytes(header[72:76], "little"),
        target=ticket,
        ticket=ticket,
        nonce_start=first,
        nonce_count=min(nonce + _AROUND, NONCES) - first,
    )
    return Question(name, work, frozenset({Solution(1, nonce, work.version, work.ntime)}))


def random_question(
    name: str, seed: int, ticket: int, nonces: int, version_bits: int = 0
) -> Question:
    """A header of random bytes; hashlib says what there is to find."""
    rng = random.Random(seed)
    work = Work(
        work_id=seed,
        channel_id=0,
        job_id=0,
        version=0x20000000,
        prev_hash=rng.randbytes(32),
        merkle_root=rng.randbytes(32),
        ntime=rng.getrandbits(32),
        nbits=0x207FFFFF,
        target=ticket,
        ticket=ticket,
        version_bits=version_bits,
        nonce_start=rng.randrange(NONCES - nonces),
        nonce_count=nonces,
    )
    return Question(name, work, frozenset(_by_hashlib(work)))


def _by_hashlib(work: Work) -> Iterator[Solution]:
    """Header by header, so that the hashlib engine too is judged by something else."""
    for version in work.versions():
        head = work.header(0, version, work.ntime)[:76]
        for nonce in range(work.nonce_start, work.nonce_start + work.nonce_count):
            inner = hashlib.sha256(head + nonce.to_bytes(4, "little")).digest()
            if int.from_bytes(hashlib.sha256(inner).digest(), "little") <= work.ticket:
                yield Solution(work.work_id, nonce, version, work.ntime)


@cache
def questions() -> tuple[Question, ...]:
    """Enough to tell a wrong kernel from a right one in a few milliseconds of an engine's time."""
    easy, every_other = (1 << 247) - 1, 1 << 255
    return (
        block_question("genesis block", _GENESIS),
        random_question("random header", 1, easy, 3001),
        random_question("random header, 2 versions", 2, easy, 1001, 0x2000),
        random_question("random header, 8 versions", 3, easy, 1001, 0x1C000000),
        random_question("overfull buffer", 4, every_other, 2001),
        random_question("overfull buffer, 8 versions", 5, every_other, 301, 0xE000),
    )


def wrong_answers(engine: Engine) -> Iterator[str]:
    """In words, each question that the engine answers wrong."""
    for question in questions():
        if wrong := wrong_answer(engine, question):
            yield wrong


def wrong_answer(engine: Engine, question: Question) -> str | None:
    """In words, what is wrong with the engine's answer; None if it is right."""
    found = search(engine, question.work)
    missed = len(question.answer.difference(found))
    invented = len(set(found).difference(question.answer))
    if missed or invented or len(found) != len(set(found)):
        return (
            f"{question.name}: {missed} of {len(question.answer)} missed, "
            f"{invented} wrong, {len(found) - len(set(found))} told twice"
        )
    return None
