"""BM1384 and BM1387: frames without a preamble, other command numbers, midstate jobs.

Transport and CRC5 are those of the later chips; the commands are not, and nothing here is shared
with protocol.py but the shape of what comes back. REFERENCE.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sv2rig.boards.byte_order import mid_rev, tail_rev
from sv2rig.boards.crc import crc5, crc5_bits, crc16_false
from sv2rig.boards.pll import BM1387_PLL, bm1384_clock_code
from sv2rig.drivers.bm13xx.protocol import CommError, Damage, NonceReply, RegisterReply, Reply

ADDRESS, HASH_RATE, PLL, HASH_COUNTING, TICKET_MASK, MISC, I2C = (
    0x00, 0x08, 0x0C, 0x14, 0x18, 0x1C, 0x20,
)  # fmt: skip
_NONCE_FLAG = 0x80
_MAX_ID_1384 = 0x1F


@dataclass(frozen=True, slots=True)
class OldChip:
    """BM1384 or BM1387.

    Jobs have ids from 0 to `job_ids` - 1. A job of four midstates (BM1387) takes four ids: a
    reply carries the job's id plus the midstate's index. `default_mhz` is its usual clock.
    """

    name: str
    chip_id: int
    cores: int
    lowest_mhz: float
    default_mhz: float
    job_ids: int
    reply_length: int
    midstate_counts: tuple[int, ...]

    def hash_rate(self, mhz: float, chips: int) -> float:
        """Expected hashes a second."""
        return mhz * 1e6 * self.cores * chips

    def split_id(self, reply_id: int, midstates: int) -> tuple[int, int]:
        """(the job's id, midstate index) where ids step by the number of midstates."""
        return reply_id - reply_id % midstates, reply_id % midstates


BM1384 = OldChip("BM1384", 0x1384, 55, 100.0, 200.0, 0x20, 5, (1,))
BM1387 = OldChip("BM1387", 0x1387, 114, 50.0, 500.0, 0x80, 7, (1, 4))
OLD_CHIPS = {one.chip_id: one for one in (BM1384, BM1387)}

# Answers to an idle job (zero midstate, tail of ones): no share, but the cores are alive.
BUSY_NONCES = frozenset((bytes.fromhex("7203ea83"), bytes.fromhex("e16bf809")))


def busy_tail(chip: OldChip) -> bytes:
    """What stands for header bytes 64..75 in a chip's busy jobs; their midstate is zero."""
    return bytes(12) if chip is BM1384 else b"\xff" * 12


def _sealed(body: bytes) -> bytes:
    return body + bytes((crc5(body),))


def chain_inactive() -> bytes:
    """BM1387: all chips stop passing commands on."""
    return _sealed(b"\x55\x05\x00\x00")


def set_address(address: int) -> bytes:
    """BM1387: the next chip without an address takes this one."""
    return _sealed(bytes((0x41, 5, address, 0)))


def read_register(register: int, address: int | None = None) -> bytes:
    """BM1387: ask one chip, or all (None)."""
    header = 0x54 if address is None else 0x44
    return _sealed(bytes((header, 5, address or 0, register)))


def write_register(register: int, value: int, address: int | None = None) -> bytes:
    """BM1387: set a 32-bit register of one chip, or of all (None)."""
    header = 0x58 if address is None else 0x48
    return _sealed(bytes((header, 9, address or 0, register)) + value.to_bytes(4))


def baud_value(divider: int) -> int:
    """BM1387's register 1C for a line speed of 25 MHz / 8 / (divider + 1), cores still closed."""
    return 0x00200000 | divider << 8


def gate_block_value(divider: int) -> int:
    """BM1387's register 1C with the cores' clocks gated block by block, at the same speed."""
    return 0x40208080 | divider << 8


def clock_write(mhz: float, address: int | None = None) -> tuple[bytes, float]:
    """BM1387: (frame, MHz it sets) for the clock setting closest to `mhz`."""
    setting = BM1387_PLL.search(mhz)
    return write_register(PLL, BM1387_PLL.register(setting), address), setting.mhz


def job_1387(job_id: int, tail: bytes, midstates: Sequence[Sequence[int]]) -> bytes:
    """A BM1387 job of header bytes 64..75 and one midstate, or four."""
    return _job_1387(job_id, tail_rev(tail), [mid_rev(one) for one in midstates])


def busy_job_1387(job_id: int, midstates: int) -> bytes:
    """A job that keeps cores busy, or opens them; replies are in BUSY_NONCES."""
    return _job_1387(job_id, busy_tail(BM1387), [bytes(32)] * midstates)


def _job_1387(job_id: int, words: bytes, midstates: Sequence[bytes]) -> bytes:
    if len(midstates) not in BM1387.midstate_counts:
        raise ValueError(f"a BM1387 job has 1 or 4 midstates, not {len(midstates)}")
    body = bytes((job_id, len(midstates))) + bytes(4) + words + b"".join(midstates)
    frame = bytes((0x21, len(body) + 4)) + body
    return frame + crc16_false(frame).to_bytes(2)


def command_1384(code: int, first: int = 0, second: int = 0) -> bytes:
    """BM1384: a command of three bytes and the CRC5 of its first 27 bits."""
    body = bytes((code, first, second, 0))
    return body[:3] + bytes((crc5_bits(body, 27),))


def read_all_1384(register: int = 0) -> bytes:
    """BM1384: every chip answers with a register."""
    return command_1384(0x84, 0, register)


def chain_inactive_1384() -> bytes:
    return command_1384(0x85)


def set_address_1384(address: int) -> bytes:
    return command_1384(0x01, address)


def clock_write_1384(mhz: float) -> bytes:
    """BM1384: the clock setting closest to `mhz`, for all chips."""
    code = bm1384_clock_code(mhz)
    return command_1384(0x82, code >> 8, code & 0xFF)


def job_1384(
    job_id: int, tail: bytes, midstate: Sequence[int], ticket: int = 0, counting: int = 0
) -> bytes:
    """A BM1384 job, Icarus-shaped: 64 bytes with ticket, hash counting number and id between."""
    return _job_1384(job_id, tail_rev(tail), mid_rev(midstate), ticket, counting)


def busy_job_1384(job_id: int) -> bytes:
    """A job that keeps cores busy: zeros, the id apart."""
    return _job_1384(job_id, busy_tail(BM1384), bytes(32), 0, 0)


def _job_1384(job_id: int, words: bytes, midstate: bytes, ticket: int, counting: int) -> bytes:
    if not 0 <= job_id <= _MAX_ID_1384:
        raise ValueError(f"BM1384 has job ids 0 to {_MAX_ID_1384}, not {job_id}")
    between = bytes(7) + bytes((ticket,)) + counting.to_bytes(4) + bytes(7) + bytes((job_id,))
    return midstate + between + words


def origin_1387(nonce: bytes) -> tuple[int, int]:
    """(chip of 64, core) that a BM1387 nonce names."""
    value = int.from_bytes(nonce)
    return value >> 2 & 0x3F, value >> 24 & 0x7F


class OldDecoder:
    """Finds replies of 5 bytes (BM1384) or 7 (BM1387) in a stream that marks no beginnings.

    A reply is known by its last byte: CRC5 over all of it, on BM1384 for registers only (a nonce
    ends in 80..9f, its id, which one wrong place in eight also does). Where that fails one byte is
    dropped. Such checks are weak: so there are no registers where none was asked for (`proves` is
    given), and a nonce that is not one gives way to one that is, where that begins within it.
    Never raises, and keeps less than one reply. Call `reset` when the line has been silent: what is
    held then is the rest of a damaged reply.
    """

    def __init__(self, chip: OldChip, proves: Callable[[NonceReply], bool] | None = None) -> None:
        self._chip = chip
        self._proves = proves
        self._length = chip.reply_length
        self._held = b""
        self.damage = Damage()
        self.replies = 0

    @property
    def waiting(self) -> int:
        """Bytes kept for a reply that is not whole yet."""
        return len(self._held)

    def reset(self) -> list[Reply | CommError]:
        """Forget what is held; the error that this was, if anything was held."""
        found: list[Reply | CommError] = []
        self.damage.drop(len(self._held), self._length, found)
        self.damage.end(self._length, found)
        self._held = b""
        return found

    def feed(self, data: bytes) -> list[Reply | CommError]:
        """The replies completed by `data`, and the errors before each, in the stream's order."""
        buffer = self._held + data
        found: list[Reply | CommError] = []
        at = 0
        while at + self._length <= len(buffer):
            reply = self._reply(buffer[at : at + self._length])
            after = buffer[at + 1 : at + 2 * self._length - 1]
            if reply is None or not self._is_in_step(reply, after):
                self.damage.drop(1, self._length, found)
                at += 1
                continue
            self.damage.end(self._length, found)
            found.append(reply)
            self.replies += 1
            at += self._length
        self._held = buffer[at:]
        return found

    def _is_in_step(self, reply: Reply, after: bytes) -> bool:
        """Whether it may be taken for a reply, from what comes after its first byte."""
        if self._proves is None:
            return True
        if not isinstance(reply, NonceReply):
            return False
        if self._proves(reply):
            return True
        others = (self._reply(after[at : at + self._length]) for at in range(self._length - 1))
        return not any(isinstance(other, NonceReply) and self._proves(other) for other in others)

    def _reply(self, frame: bytes) -> Reply | None:
        if len(frame) < self._length:
            return None
        last = frame[-1]
        if self._chip is BM1384:
            if 0x80 <= last <= 0x80 | _MAX_ID_1384:
                return NonceReply(frame[:4], last & _MAX_ID_1384, 0, 0)
            # Neither register nor chip is named: registers are asked for one by one.
            return None if crc5(frame) or last & 0xE0 else RegisterReply(0, _value(frame), frame[3])
        if crc5(frame) or last & 0x60:
            return None
        if last & _NONCE_FLAG:
            return NonceReply(frame[:4], frame[5], 0, frame[4])
        return RegisterReply(frame[5], _value(frame), frame[4])


def _value(frame: bytes) -> int:
    return int.from_bytes(frame[:4])
