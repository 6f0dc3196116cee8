"""Checks of vectors/boards: checksums, and the chips on chains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

from board_vectors import check

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.sha256 import compress
from sv2rig.boards import crc
from sv2rig.boards.byte_order import mid_rev, tail_rev, words_of_mid_rev
from sv2rig.boards.pll import BM1387_PLL, BM1397_PLL, PllSetting
from sv2rig.devices.work import Work
from sv2rig.drivers.bm13xx import old_framing as old
from sv2rig.drivers.bm13xx import registers as reg
from sv2rig.drivers.bm13xx import startup
from sv2rig.drivers.bm13xx.chips import BM1370, BM1397, CHIPS, addresses, chip_named
from sv2rig.drivers.bm13xx.jobs import header_job, midstate_job
from sv2rig.drivers.bm13xx.protocol import (
    CommError,
    Decoder,
    NonceReply,
    RegisterReply,
    chain_inactive,
    read_register,
    set_address,
    write_register,
)
from sv2rig.drivers.gekko import protocol as gekko

Fields = dict[str, Any]
EASIEST = 0xFFFF << 208  # difficulty 1


def same(found: object, wanted: object) -> None:
    """Fails with both."""
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def near(found: float, wanted: float, tolerance: float) -> None:
    if not math.isclose(found, wanted, rel_tol=0, abs_tol=tolerance):
        raise AssertionError(f"{found!r} is not within {tolerance} of {wanted!r}")


def difficulty(header: bytes) -> float:
    return EASIEST / int.from_bytes(sha256d(header), "little")


def difficulty_of_midstate(midstate: tuple[int, ...], tail: bytes, nonce: bytes) -> float:
    """Difficulty of a header of which only the midstate is known."""
    block = tail + nonce + b"\x80" + bytes(45) + (640).to_bytes(2)
    first = b"".join(word.to_bytes(4) for word in compress(midstate, block))
    second = compress(_INITIAL, first + b"\x80" + bytes(29) + (256).to_bytes(2))
    return EASIEST / int.from_bytes(b"".join(word.to_bytes(4) for word in second), "little")


_INITIAL = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip


@check("crc")
def checksum(given: Fields, out: Fields) -> None:
    data = bytes.fromhex(given["data"])
    algorithm = given["algo"]
    if "27 bits" in algorithm:
        same(crc.crc5_bits(data, 27), out["crc"])
        same(old.command_1384(*data[:3]).hex(), out["frame"])
    elif "residue" in algorithm:
        same(crc.crc5(data), out["residue"])
    else:
        kinds = {
            "crc5-bm13xx": crc.crc5,
            "crc16-ccitt-false": crc.crc16_false,
            "crc16 init 0": crc.crc16_xmodem,
            "crc32": crc.crc32_uart_comm,
        }
        function = next(one for name, one in kinds.items() if algorithm.startswith(name))
        same(function(data), out["crc"])


@check("bm13xx_commands")
def command(given: Fields, out: Fields) -> None:
    address = None if given["broadcast"] else given.get("chip", 0)
    match given["op"]:
        case "read":
            frame = read_register(given["reg"], address)
        case "write":
            frame = write_register(given["reg"], given["value"], address)
        case "set_address":
            frame = set_address(given["chip"])
        case "inactive":
            frame = chain_inactive()
        case unknown:
            raise AssertionError(f"op {unknown}")
    same(frame.hex(), out["frame"])


@check("bm13xx_jobs", "job-full")
def full_job(given: Fields, out: Fields) -> None:
    header = bytes.fromhex(given["header_76"])
    same(header_job(given["job_id_byte"], header, given["length_byte"]).hex(), out["frame"])


@check("bm13xx_jobs", "job-1-midstate")
def one_midstate(given: Fields, out: Fields) -> None:
    tail = bytes.fromhex(given["merkle_tail"] + given["ntime_le"] + given["nbits_le"])
    midstates = [words_of_mid_rev(bytes.fromhex(one)) for one in given["midstates_wire"]]
    same(midstate_job(given["job_id_byte"], tail, midstates).hex(), out["frame"])


@check("bm13xx_jobs", "job-bm1397-from-header")
def midstate_of_header(given: Fields, out: Fields) -> None:
    header = bytes.fromhex(given["header_80"])
    words = compress(_INITIAL, header[:64])
    same(mid_rev(words).hex(), out["midstate_wire"])
    padding = [(0,) * 8] * (given["midstate_count_byte"] - 1)
    frame = midstate_job(given["job_id_byte"], header[64:76], [words, *padding])
    same(frame.hex(), out["frame"])


@check("bm13xx_numbers", "ticket")
def ticket(given: Fields, out: Fields) -> None:
    bits = 32 + given["difficulty"].bit_length() - 1
    same(reg.ticket_mask(bits).to_bytes(4).hex(), out["register_bytes"])
    same(reg.ticket_bits(reg.ticket_mask(bits)), bits)


@check("bm13xx_numbers", "job-timeout")
def job_time(given: Fields, out: Fields) -> None:
    sizes = (given["cores"], given["small_cores"])
    chip = next(one for one in CHIPS.values() if (one.cores, one.small_cores) == sizes)
    seconds = reg.job_seconds(chip, given["mhz"], given["chips"], given["versions"])
    near(given["fraction"] * seconds * 1000, out["ms"], out["tolerance"])


@check("bm13xx_numbers", "pll")
def clock(given: Fields, out: Fields) -> None:
    same((BM1397_PLL.feedback_min, BM1397_PLL.feedback_max), (given["fb_min"], given["fb_max"]))
    found = BM1397_PLL.search(given["target_mhz"])
    same(found, PllSetting(out["fb"], out["ref"], out["post1"], out["post2"]))
    same(found.mhz, out["mhz"])


@check("bm13xx_numbers", "bm1387-pll")
def old_clock(given: Fields, out: Fields) -> None:
    found = BM1387_PLL.search(given["mhz"])
    same(found, PllSetting(out["fb"], out["ref"], out["post1"], out["post2"]))
    same(BM1387_PLL.register(found), out["register"])
    same(BM1387_PLL.setting(out["register"]), found)
    near(found.mhz, given["mhz"], 1e-9)


@check("bm13xx_numbers", "bm1387-core")
def origin(given: Fields, out: Fields) -> None:
    same(old.origin_1387(given["nonce"].to_bytes(4)), (out["chip"], out["core"]))


@check("bm13xx_numbers", "hcn")
def counting(given: Fields, out: Fields) -> None:
    chip = chip_named(given["chip"])
    same((chip.cores, chip.overrun_ticks), (given["cores"], given["guard_ticks"]))
    found = reg.hash_counting_number(chip, chip.pll.search(given["mhz"]), given["chips"])
    near(found, out["register_0x10"], out["tolerance"])


@check("bm13xx_numbers", "gekko-a1-telemetry")
def telemetry(given: Fields, out: Fields) -> None:
    data = bytes(given["bytes"])
    first = gekko.telemetry(gekko.TelemetryVersion(1, 0), data)
    second = gekko.telemetry(gekko.TelemetryVersion(2, 1), data)
    if first is None or second is None or None in (first.celsius, second.second_celsius):
        raise AssertionError("no reading")
    near(first.celsius or 0.0, out["temp1_c"], 0.001)
    near(second.second_celsius or 0.0, out["temp2_c"], 0.001)
    near(first.input_volts, out["vin_v1_board"], 0.001)
    same(gekko.celsius(0), None)


@check("bm13xx_numbers", "version-roll-mask")
def rolled_versions(given: Fields, out: Fields) -> None:
    work = Work(1, 1, 1, given["version"], bytes(32), bytes(32), 0, 0, 0, 0,
                version_bits=given["mask"])  # fmt: skip
    same(list(islice(work.versions(), 1, 1 + len(out["sequence"]))), out["sequence"])


@check("bm13xx_responses")
def reply(given: Fields, out: Fields) -> None:
    chip, frame = chip_named(given["chip"]), bytes.fromhex(given["frame"])
    [found] = Decoder(len(frame)).feed(frame)
    if out["kind"] == "register":
        same(found, RegisterReply(out["reg"], out["value"], out["chip"]))
        return
    if not isinstance(found, NonceReply):
        raise AssertionError(f"{found} is no nonce")
    same((found.nonce.hex(), found.id_byte), (out["nonce_header"], out["id_byte"]))
    same(int.from_bytes(found.nonce, "little"), out["nonce_le_u32"])
    same((found.excess, chip.core_of(found.nonce)), (out["byte6"], out["core"]))
    same(found.version_bits, out.get("version_bits", 0))
    slot, below = chip.slot_of(found.id_byte)
    if chip.rolls_versions:
        same((chip.id_byte(slot), below), (out["job_byte_sent"], out["small_core"]))
    else:
        same((chip.id_byte(slot), below), (out["job"], out["midstate_index"]))


@check("bm13xx_streams")
def stream(given: Fields, out: Fields) -> None:
    decoder = Decoder(given["frame_len"])
    found = [one for chunk in given["chunks"] for one in decoder.feed(bytes.fromhex(chunk))]
    wanted = [
        one
        for frame in out["frames"]
        for one in Decoder(given["frame_len"]).feed(bytes.fromhex(frame))
    ]
    same([one for one in found if not isinstance(one, CommError)], wanted)
    same(decoder.damage.skipped, out["bytes_skipped"])
    same(decoder.waiting, out["bytes_left_waiting"])
    same(decoder.damage.errors > 0, out["bytes_skipped"] > 0)


def frames_of(steps: Iterable[startup.Step]) -> list[str]:
    return [step.frame.hex() for step in steps]


@check("bm1370_init_transcript")
def start_of_bm1370(given: Fields, out: Fields) -> None:
    steps = [
        *startup.hello(BM1370),
        *startup.configure(BM1370, addresses(1), 40, reg.ROLLABLE_BITS),
    ]
    same(frames_of(steps), given["host_frames"])
    [reply] = Decoder(BM1370.reply_length).feed(bytes.fromhex(out["device_reply_after_read"]))
    same(reply, RegisterReply(reg.CHIP_ID, BM1370.chip_id << 16, 0))


@check("bm1397_init_transcript")
def start_of_bm1397(given: Fields, out: Fields) -> None:
    steps = [
        *startup.hello(BM1397),
        *startup.configure(BM1397, addresses(1), 32, 0),
        *startup.set_clock(BM1397, BM1397.pll.setting(0x40A00225)),
    ]
    same(frames_of(steps), given["host_frames"])
    [reply] = Decoder(BM1397.reply_length).feed(bytes.fromhex(out["device_reply_after_first"]))
    same(reply, RegisterReply(reg.CHIP_ID, 0x13971800, 0))


@check("bm1387_commands", "bm1387-getaddr-reply")
def old_id(given: Fields, out: Fields) -> None:
    chip = old.OLD_CHIPS[int(given["register_bytes"][:4], 16)]
    same((chip.name, int(given["register_bytes"][6:], 16)), (out["chip"], out["address"]))


@check("bm1387_commands", "busy-work")
def busy_work(given: Fields, out: Fields) -> None:
    nonce = bytes.fromhex(out["nonce_header"])
    same(nonce in old.BUSY_NONCES, True)
    job = old.busy_job_1387(0, 1)
    same(job[8:20].hex(), given["tail"])
    found = difficulty_of_midstate(words_of_mid_rev(job[20:52]), tail_rev(job[8:20]), nonce)
    near(found, out["difficulty"], 0.001)


@check("bm1387_commands", "bm1387")
def old_command(given: Fields, out: Fields) -> None:
    body = bytes.fromhex(given["bytes_without_crc"])
    match body[0]:
        case 0x54:
            frame = old.read_register(body[3])
        case 0x55:
            frame = old.chain_inactive()
        case 0x41:
            frame = old.set_address(body[2])
        case 0x48 if "650 MHz" in given["meaning"]:
            frame, mhz = old.clock_write(650, body[2])
            same(mhz, 650.0)
        case 0x58 if "ticket mask 64" in given["meaning"]:
            frame = old.write_register(old.TICKET_MASK, reg.ticket_mask(38))
        case unknown:
            raise AssertionError(f"command {unknown:02x}")
    same(frame.hex(), out["frame"])
