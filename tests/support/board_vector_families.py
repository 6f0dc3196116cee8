"""Checks of vectors/boards: boards, and one header in the bytes of every family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from board_vector_checks import Fields, difficulty, difficulty_of_midstate, near, same
from board_vectors import check

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.header import to_display
from sv2rig.bitcoin.merkle import root_from_path
from sv2rig.bitcoin.sha256 import midstate
from sv2rig.boards.byte_order import mid_le, tail_gw, words_of_mid_le
from sv2rig.boards.crc import crc16_xmodem
from sv2rig.boards.engine import Nonce
from sv2rig.boards.push_engine import PushTiming
from sv2rig.devices.detection import Verdict, choose
from sv2rig.devices.pattern import Pattern
from sv2rig.devices.sighting import Port, Sighting
from sv2rig.devices.work import Work
from sv2rig.drivers.bitaxe_raw import protocol as raw
from sv2rig.drivers.bm13xx import old_framing as old
from sv2rig.drivers.bm13xx.chips import BM1366, BM1370, BM1397, Chip
from sv2rig.drivers.bm13xx.jobs import header_job, midstate_job
from sv2rig.drivers.bm13xx.protocol import Decoder, NonceReply
from sv2rig.drivers.fpga_uart import protocol as fpga
from sv2rig.drivers.gekko import protocol as gekko
from sv2rig.drivers.icarus import driver as icarus_driver
from sv2rig.drivers.icarus import protocol as icarus
from sv2rig.drivers.ztex import driver as ztex_driver
from sv2rig.drivers.ztex import protocol as ztex


@check("bitaxe_raw_control")
def control_request(given: Fields, out: Fields) -> None:
    made = {
        "I2C set 400 kHz": raw.i2c_frequency(1, 400_000),
        "I2C write DE to 4F": raw.i2c_write(1, 0x4F, b"\xde"),
        "I2C read 1 byte from 4C": raw.i2c_read(1, 0x4C, 1),
        "drive GPIO 0 (ASIC reset) low": raw.gpio_write(0, raw.RESET_PIN, False),
        "LED": raw.led(0, 0xFF, 0x00, 0xFF),
    }
    same(made[given["meaning"]].hex(), out["request"])


@check("fpga_uart", "kc705-text")
def text_dialect(given: Fields, out: Fields) -> None:
    line = given["line_sent"].encode()
    sent = bytes.fromhex(given["line_sent"].strip())
    tail, words = tail_gw(sent[:12]), words_of_mid_le(sent[12:])
    same(tail.hex(), given["header_tail_64_76"])
    same(fpga.KC705.work(words, tail), line)
    [found] = fpga.Kc705Wire().decode(out["line_received"].encode())
    nonce = bytes.fromhex(out["nonce_header"])
    same(found, Nonce(nonce))
    near(difficulty_of_midstate(words, tail, nonce), out["difficulty"], 0.01)


@check("fpga_uart", "kc705-temp")
def temperature_line(given: Fields, out: Fields) -> None:
    wire = fpga.Kc705Wire()
    same(wire.decode(given["line_received"].encode()), [])
    near(wire.celsius or 0.0, out["celsius"], 0.01)


@check("icarus", "icarus-golden")
def golden(given: Fields, out: Fields) -> None:
    words = tuple(int(word, 16) for word in given["midstate_words_h0_h7"])
    tail = bytes.fromhex(given["header_tail_64_76"])
    same(icarus.encode_work(words, tail).hex(), given["work_frame"])
    same(icarus.GOLDEN.frame.hex(), given["work_frame"])
    same(icarus.GOLDEN.hashes, out["hashes_before_hit_counting_up"])
    [reply] = icarus.IcarusWire().decode(bytes.fromhex(out["reply"]))
    nonce = bytes.fromhex(out["nonce_header"])
    same(getattr(reply, "nonce", None), nonce)
    near(difficulty_of_midstate(words, tail, nonce), out["difficulty"], 1)
    ticket = int(out["hash_display"], 16)
    same(icarus.GOLDEN.is_answered_by(nonce, ticket), True)
    same(icarus.GOLDEN.is_answered_by(nonce, ticket - 1), False)


@check("icarus", "icarus-range")
def search_range(given: Fields, out: Fields) -> None:
    [model] = [one for one in icarus_driver.MODELS.values() if one.name == given["board"]]
    near(model.rate_hs / 1e6, out["mhash_s"], 0.01)
    near(1e9 / model.rate_hs, given["ns_per_hash"], 0.0001)
    timing = PushTiming(model.rate_hs, 1)
    near(2**32 / model.rate_hs, out["full_range_s"], 0.002)
    near(timing.range_s, out["abort_s"], 0.002)


@check("icarus", "bm1384-freq")
def clock_code(given: Fields, out: Fields) -> None:
    frame = old.clock_write_1384(given["mhz"])
    same((frame.hex(), int.from_bytes(frame[1:3])), (out["frame"], out["code"]))


@check("bm1370_roundtrip")
def round_trip(given: Fields, out: Fields) -> None:
    sv1 = given["sv1"]
    parts = ("coinbase1", "extranonce1", "extranonce2", "coinbase2")
    coinbase = bytes.fromhex("".join(sv1[name] for name in parts))
    path = [bytes.fromhex(one) for one in sv1["merkle_branch"]]
    root = root_from_path(sha256d(coinbase), path)
    same(root.hex(), out["merkle_root_internal"])
    prev_hash = b"".join(
        bytes.fromhex(sv1["prevhash"])[at : at + 4][::-1] for at in range(0, 32, 4)
    )
    work = Work(
        1, 1, 1, int(sv1["version"], 16), prev_hash, root, int(sv1["ntime"], 16),
        int(sv1["nbits"], 16), 0, 0, version_bits=int(sv1["version_mask"], 16),
    )  # fmt: skip
    job = header_job(given["job_id_byte"], work.header(0, work.version, work.ntime)[:76])
    same(job.hex(), out["tx_frame"])
    [reply] = Decoder(BM1370.reply_length).feed(bytes.fromhex(out["rx_frame"]))
    if not isinstance(reply, NonceReply):
        raise AssertionError(f"{reply} is no nonce")
    slot, small = BM1370.slot_of(reply.id_byte)
    same((BM1370.id_byte(slot), small), (given["job_id_byte"], out["small_core"]))
    same((reply.nonce.hex(), reply.excess), (out["nonce_header"], out["byte6"]))
    same((BM1370.core_of(reply.nonce), reply.version_bits), (out["core"], out["version_bits"]))
    version = work.version | reply.version_bits
    same(version, out["version_submitted"])
    nonce = int.from_bytes(reply.nonce, "little")
    same(nonce, out["nonce_u32"])
    header = work.header(nonce, version, work.ntime)
    same((header.hex(), to_display(sha256d(header))), (out["header_80"], out["hash_display"]))
    near(difficulty(header), out["difficulty"], 0.01)


def _chip_reply(chip: Chip, job: Fields, id_byte: int, nonce: bytes, rolled: int = 0) -> None:
    [reply] = Decoder(chip.reply_length).feed(bytes.fromhex(job["reply"]))
    if not isinstance(reply, NonceReply):
        raise AssertionError(f"{reply} is no nonce")
    slot, _ = chip.slot_of(reply.id_byte)
    same((reply.nonce, chip.id_byte(slot), reply.version_bits), (nonce, id_byte, rolled))


def _families(header: bytes, nonce: bytes, out: Fields, plain: bytes) -> None:
    """Every family's bytes for a header and the reply for its nonce; `plain` is the header whose
    version bits a chip rolls itself."""
    rolled = out.get("version_bits", 0)
    words, tail = midstate(header[:64]), header[64:76]
    same([f"{word:08x}" for word in words], out["midstate_be_words"])
    same(icarus.encode_work(words, tail).hex(), out["icarus"]["work"])
    same(icarus.IcarusWire().decode(bytes.fromhex(out["icarus"]["reply"])), [Nonce(nonce)])
    same(old.job_1384(5, tail, words).hex(), out["bm1384_gekko"]["task"])
    [found] = old.OldDecoder(old.BM1384).feed(bytes.fromhex(out["bm1384_gekko"]["reply"]))
    same(found, NonceReply(nonce, 5, 0, 0))
    same(old.job_1387(7, tail, [words]).hex(), out["bm1387_gekko"]["task"])
    same(midstate_job(0x0C, tail, [words]).hex(), out["bm1397"]["task"])
    _chip_reply(BM1397, out["bm1397"], 0x0C, nonce)
    for chip, name, id_byte in ((BM1366, "bm1366", 0x28), (BM1370, "bm1370", 0x18)):
        same(header_job(id_byte, plain).hex(), out[name]["task"])
        _chip_reply(chip, out[name], id_byte, nonce, rolled)
    same(ztex.start_job(header[:76]).data.hex(), out["ztex"]["control_80_data"])
    counter = int.from_bytes(bytes.fromhex(out["ztex"]["reply_slot"])[:4], "little")
    same(ztex.header_nonce(counter), nonce)
    same(fpga.KC705.work(words, tail).decode(), out["kc705"]["line"])
    same(fpga.Kc705Wire().decode(out["kc705"]["reply"].encode()), [Nonce(nonce)])
    same(fpga.PYFPGA.work(words, tail).hex(), out["pyfpga"]["host"])
    same(fpga.PyFpgaWire().decode(bytes.fromhex(out["pyfpga"]["device"])), [Nonce(nonce)])
    _without_driver(words, tail, nonce, out)


def _without_driver(words: tuple[int, ...], tail: bytes, nonce: bytes, out: Fields) -> None:
    """Families that have no driver here: the named byte orders and checksums are theirs too."""
    little = (mid_le(words) + tail_gw(tail)).hex()
    rockminer = bytes.fromhex(out["rockminer"]["work"])
    same((rockminer[:32] + rockminer[52:]).hex(), little)
    same(out["rockminer"]["reply_first_4"], nonce.hex())
    same(out["modminer"]["cmd"], "0800" + little)
    same(bytes.fromhex(out["modminer"]["reply"])[::-1], nonce)
    same(bytes.fromhex(out["bitforce"]["payload"]).strip(b">").hex(), little)
    for name in ("work_part1", "work_part2", "nonce_packet"):
        packet = bytes.fromhex(out["avalon_nano"][name])
        same(crc16_xmodem(packet[6:38]), int.from_bytes(packet[38:]))


@check("cross_family_matrix")
def matrix(given: Fields, out: Fields) -> None:
    header = bytes.fromhex(given["header_80"])
    same(to_display(sha256d(header)), given["hash_display"])
    nonce = bytes.fromhex(out["nonce_header"])
    same(header[76:], nonce)
    _families(header, nonce, out, header[:76])


@check("quick_solve")
def quick(given: Fields, out: Fields) -> None:
    header = bytes.fromhex(given["header_76"])
    nonce = bytes.fromhex(out["nonce_header"])
    plain = bytes.fromhex(given["header_76_version_unrolled"])
    version = int.from_bytes(plain[:4], "little") | out["version_bits"]
    same(version.to_bytes(4, "little") + plain[4:], header)
    same(to_display(sha256d(header + nonce)), out["hash_display"])
    near(difficulty(header + nonce), out["difficulty"], 0.001)
    same(int.from_bytes(nonce) + 1, out["hashes"])
    _families(header, nonce, out, plain)


@dataclass(frozen=True)
class _Driver:
    name: str
    patterns: tuple[Pattern, ...]


def _drivers() -> list[_Driver]:
    """Those whose boards have strings of their own."""
    return [
        _Driver("bitaxe_raw", raw.PATTERNS),
        _Driver("gekko", gekko.PATTERNS),
        _Driver("icarus", icarus_driver.DRIVER.patterns),
        _Driver("ztex", ztex_driver.DRIVER.patterns),
    ]


@check("detection")
def detection(given: Fields, out: Fields) -> None:
    product = given["product"].removesuffix(" (any product string beginning so)")
    sighting = Sighting(
        "1-1", int(given["vid"], 16), int(given["pid"], 16), None, given["manufacturer"], product,
        None, (Port("/dev/ttyUSB0"), Port("/dev/ttyUSB1", 1)),
    )  # fmt: skip
    choice = choose(sighting, _drivers())
    wanted = out["driver"]
    if wanted == "none_without_opt_in":
        same((choice.driver, choice.verdict), (None, Verdict.NEEDS_OPT_IN))
    elif wanted == "modminer":  # recognised, and told that there is no driver
        same((choice.driver, choice.verdict), (None, Verdict.NO_DRIVER))
    else:
        name, _, chip = wanted.partition("_bm")
        same(choice.driver, {"emberone": "bitaxe_raw"}.get(name, name))
        if chip:
            board = gekko.board_of(product)
            same(board and board.chip, f"BM{chip}")


@check("usb_dialogues", "ztex-descriptor")
def ztex_descriptor(given: Fields, out: Fields) -> None:
    control = given["control"]
    same((ztex.READ_DESCRIPTOR.request, ztex.READ_DESCRIPTOR.length),
         (control["bRequest"], control["wLength"]))  # fmt: skip
    prefix = bytes.fromhex(given["device_data_prefix"])
    for product, model in ((13, "1.15x/d"), (15, "1.15y")):
        data: Any = prefix[:7] + bytes((product,)) + bytes(32)
        same(ztex.Descriptor.decode(data).model, model)
    for wrong in (bytes(40), prefix + bytes(31), prefix[:7] + b"\x0c" + bytes(32)):
        try:
            ztex.Descriptor.decode(wrong)
        except ztex.ZtexProtocolError:
            continue
        raise AssertionError(f"{wrong[:8].hex()} was accepted")
