"""A chain's bytes for the table engine: jobs out, nonces in, register replies to whoever reads."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.boards.engine import Damaged, Nonce, Reply
from sv2rig.devices.slices import Slice, lowest_bits
from sv2rig.devices.work import Work
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx.chips import Chip
from sv2rig.drivers.bm13xx.jobs import header_job, midstate_job
from sv2rig.drivers.bm13xx.protocol import CommError, Decoder, RegisterReply, write_register

_MIDSTATE_BITS = 2  # four midstates in a job


class ChainWire:
    """sv2rig.boards.table_engine.TableWire of BM1397 to BM1370."""

    def __init__(self, chip: Chip, on_register: Callable[[RegisterReply], None]) -> None:
        self.chip = chip
        self.decoder = Decoder(chip.reply_length)
        self.job_ids = tuple(
            slot * chip.slot_step % chip.job_slots for slot in range(chip.job_slots)
        )
        self._on_register = on_register
        self._mask = reg.ROLLABLE_BITS

    def restart_mask(self) -> None:
        """The chips were just told to roll all that they can."""
        self._mask = reg.ROLLABLE_BITS

    def rolled(self, work: Work) -> int:
        """Which of a Work's version bits one job covers."""
        if self.chip.rolls_versions:
            return reg.ROLLABLE_BITS
        return lowest_bits(work.version_bits, _MIDSTATE_BITS)

    def encode(self, job_id: int, piece: Slice) -> bytes:
        id_byte = self.chip.id_byte(job_id)
        header = piece.header76()
        if not self.chip.rolls_versions:
            return midstate_job(id_byte, header[64:], piece.midstates())
        frames = b""
        if piece.version_bits != self._mask:
            self._mask = piece.version_bits
            frames = write_register(reg.VERSION_MASK, reg.version_mask(self._mask))
        return frames + header_job(id_byte, header)

    def decode(self, data: bytes) -> list[Reply]:
        replies: list[Reply] = []
        for reply in self.decoder.feed(data):
            match reply:
                case CommError(skipped):
                    replies.append(Damaged(f"{skipped} bytes that are no reply"))
                case RegisterReply():
                    self._on_register(reply)
                case _:
                    slot, low = self.chip.slot_of(reply.id_byte)
                    if self.chip.rolls_versions:
                        found = Nonce(reply.nonce, slot, rolled=reply.version_bits)
                    else:
                        found = Nonce(reply.nonce, slot, index=low)
                    replies.append(found)
        return replies
