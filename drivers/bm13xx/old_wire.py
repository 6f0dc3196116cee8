"""The bytes of BM1384 and BM1387 chains for the table engine, and what their busy jobs answer."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.boards.engine import Damaged, Nonce, Reply
from sv2rig.boards.push_engine import Probe
from sv2rig.devices.slices import Slice, lowest_bits
from sv2rig.devices.work import Work
from sv2rig.drivers.bm13xx.old_framing import (
    BM1384,
    BUSY_NONCES,
    OldChip,
    OldDecoder,
    busy_tail,
    job_1384,
    job_1387,
)
from sv2rig.drivers.bm13xx.protocol import CommError, NonceReply
from sv2rig.drivers.bm13xx.protocol import Reply as ChipReply

_MIDSTATE_BITS = 2
_SILENT_S = 0.02  # a reply's bytes follow each other closer than this, USB's packets included
_ALL_NONCES = 0xFFFFFFFF


class OldWire:
    """sv2rig.boards.table_engine.TableWire of BM1384 and BM1387.

    A BM1387's job is four midstates and takes four ids. `ticket` is what replies meet.
    `busy_answers` counts nonces of busy jobs: no shares, but the cores that found them live.
    """

    def __init__(self, chip: OldChip, chips: int, ticket: int, now: Callable[[], float]) -> None:
        self.chip = chip
        self.job_ids = tuple(range(0, chip.job_ids, self._ids_a_job))
        self.decoder = OldDecoder(chip, self._proves)
        self.busy_answers = 0
        self._counting = _ALL_NONCES // chips
        self._ticket = ticket
        self._busy = Probe(b"", (0,) * 8, busy_tail(chip), _ALL_NONCES)
        self._now = now
        self._heard = now()
        self._sent: dict[int, Slice] = {}

    @property
    def _ids_a_job(self) -> int:
        return max(self.chip.midstate_counts)

    def rolled(self, work: Work) -> int:
        """Which of a Work's version bits one job covers: a job has all its midstates, or one."""
        if self.chip is BM1384:
            return 0
        bits = lowest_bits(work.version_bits, _MIDSTATE_BITS)
        return bits if bits.bit_count() == _MIDSTATE_BITS else 0

    def encode(self, job_id: int, piece: Slice) -> bytes:
        self._sent[job_id] = piece
        tail, midstates = piece.header76()[64:], piece.midstates()
        if self.chip is BM1384:
            return job_1384(job_id, tail, midstates[0], counting=self._counting)
        return job_1387(job_id, tail, midstates)

    def decode(self, data: bytes) -> list[Reply]:
        now = self._now()
        found = self.decoder.reset() if now - self._heard > _SILENT_S else []
        self._heard = now
        return [
            reply
            for one in [*found, *self.decoder.feed(data)]
            if (reply := self._understood(one)) is not None
        ]

    def _understood(self, reply: ChipReply | CommError) -> Reply | None:
        if isinstance(reply, CommError):
            return Damaged(f"{reply.skipped} bytes that are no reply")
        if not isinstance(reply, NonceReply):
            return None
        if not self._is_found(reply) and self._is_busy(reply):
            self.busy_answers += 1
            return None
        job_id, index = self._split(reply)
        return Nonce(reply.nonce, job_id, index=index)

    def _split(self, reply: NonceReply) -> tuple[int, int]:
        return self.chip.split_id(reply.id_byte, self._ids_a_job)

    def _proves(self, reply: NonceReply) -> bool:
        return self._is_found(reply) or self._is_busy(reply)

    def _is_found(self, reply: NonceReply) -> bool:
        """Whether it answers the newest job with its id."""
        job_id, index = self._split(reply)
        piece = self._sent.get(job_id)
        if piece is None:
            return False
        versions = list(piece.versions())
        if index >= len(versions):
            return False
        return piece.is_met(piece.solution(reply.nonce, versions[index]))

    def _is_busy(self, reply: NonceReply) -> bool:
        """Whether it answers a busy job: the nonces that chips find, or those of easier tickets."""
        if reply.nonce in BUSY_NONCES:
            return True
        return self._busy.is_answered_by(reply.nonce, self._ticket)
