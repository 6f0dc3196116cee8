"""The emulated BM1384 and BM1387 chains, as raw bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from sv2rig.drivers.bm13xx.emulated_old_chain import OLD_MODELS, EmulatedOldChain
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.wires import Wires

VECTORS = Path(__file__).parents[1] / "vectors" / "boards"


def vectors(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())["vectors"]
    return loaded


def crc5(data: bytes, bits: int) -> int:
    """By the definition, bit after bit: x^5 + x^2 + 1 from all ones."""
    register = 31
    for index in range(bits):
        bit = data[index // 8] >> 7 - index % 8 & 1
        register = (register << 1 & 31) ^ (5 if register >> 4 ^ bit else 0)
    return register


class Bench:
    """A chain and its wires, and what it has said."""

    def __init__(self, chip: str, chips: int = 1, **options: Any) -> None:
        self.wires = Wires(("data",))
        self.chain = EmulatedOldChain(
            self.wires, 0, OLD_MODELS[chip], chips, EmulatorOptions(**options)
        )
        self.chain.reset(held=False, now=0.0)

    def says(self, data: bytes, now: float = 1.0, baud: int = 115200) -> bytes:
        self.chain.receive(data, baud, now)
        return self.wires.take_output(0)

    def run(self, until: float) -> bytes:
        said = b""
        while (due := self.chain.next_timeout()) is not None and due <= until:
            self.chain.on_time(due)
            said += self.wires.take_output(0)
        self.chain.on_time(until)
        return said + self.wires.take_output(0)


def command(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + bytes((crc5(body, len(body) * 8),))


def short(text: str) -> bytes:
    body = bytes.fromhex(text) + b"\0"
    return body[:3] + bytes((crc5(body, 27),))


def test_stated_commands_are_understood() -> None:
    bench = Bench("BM1387")
    for vector in vectors("bm1387_commands.json"):
        if "frame" in vector["out"]:
            bench.says(bytes.fromhex(vector["out"]["frame"]))
    assert not bench.wires.inbound[0].buffer
    assert bench.chain._chips[0].address == 4
    assert bench.chain._chips[0].registers[0x18] == 0xFC


def test_ids_and_addresses() -> None:
    bench = Bench("BM1387", 12)
    replies = bench.says(command("54050000"))
    assert len(replies) == 12 * 7
    assert replies[:4].hex() == "13879000"
    assert crc5(replies[:7], 56) == 0
    bench.says(command("55050000"))
    for index in range(12):
        bench.says(command(f"4105{index * 20:02x}00"))
    replies = bench.says(command("54050000"))
    assert [replies[at + 3] for at in range(0, 84, 7)] == list(range(0, 240, 20))


@pytest.mark.parametrize(
    "vector", [v for v in vectors("bm13xx_numbers.json") if "bm1387-pll" in v["id"]]
)
def test_stated_clocks(vector: dict[str, Any]) -> None:
    bench = Bench("BM1387")
    bench.says(command(f"5809000c{vector['out']['register']:08x}"))
    assert bench.chain.mhz == vector["in"]["mhz"]


@pytest.mark.parametrize(
    ("code", "mhz"),
    [
        ("0783", 100),
        ("0b83", 150),
        ("0782", 200),
        ("0882", 225),
        ("0982", 250),
        ("0b82", 300),
        ("0f82", 400),
        ("0881", 450),
        ("0981", 500),
    ],
)
def test_stated_clocks_of_the_bm1384(code: str, mhz: int) -> None:
    bench = Bench("BM1384")
    bench.says(short("82" + code) + short("82" + code))
    assert bench.chain.mhz == mhz


def test_bm1387_solves_and_names_the_midstate() -> None:
    vector = vectors("quick_solve.json")[0]
    task = bytes.fromhex(vector["out"]["bm1387_gekko"]["task"])
    bench = Bench("BM1387", rate_hs=1e6, ticket_bits=20)
    bench.says(command("5809000c00500221"))
    bench.says(task)
    (reply,) = [bench.run(1.15)]
    assert reply[:4].hex() == vector["out"]["nonce_header"]
    assert reply[5] == task[2]
    assert reply[6] & 0x80
    assert crc5(reply, 56) == 0


def test_bm1387_adds_the_midstate_index_to_the_id() -> None:
    vector = vectors("quick_solve.json")[0]
    one = bytes.fromhex(vector["out"]["bm1387_gekko"]["task"])
    body = bytes((0x21, 0x96, 0x10, 4)) + one[4:20] + bytes(64) + one[20:52] + bytes(32)
    register = 0xFFFF
    for byte in body:
        register ^= byte << 8
        for _ in range(8):
            register = register << 1 ^ (0x11021 if register & 0x8000 else 0)
    bench = Bench("BM1387", rate_hs=1e6, ticket_bits=20)
    bench.says(command("5809000c00500221") + body + register.to_bytes(2, "big"))
    said = bench.run(1.5)
    replies = [said[at : at + 7] for at in range(0, len(said), 7)]
    assert (vector["out"]["nonce_header"], 0x12) in [(r[:4].hex(), r[5]) for r in replies]


def test_bm1384_solves() -> None:
    vector = vectors("quick_solve.json")[0]["out"]["bm1384_gekko"]
    bench = Bench("BM1384", rate_hs=1e6, ticket_bits=20)
    bench.says(short("820782"))
    bench.says(bytes.fromhex(vector["task"]))
    assert bench.run(1.15).hex() == vector["reply"]


def test_bm1384_commands_by_four_bytes() -> None:
    bench = Bench("BM1384", 2)
    assert [bench.says(short("840000"))[at + 3] for at in (0, 5)] == [0, 0]
    bench.says(short("850000") + short("010000") + short("018000"))
    replies = bench.says(short("840000"))
    assert (replies[:4].hex(), replies[5:9].hex()) == ("13840000", "13840080")
    assert bench.says(short("048000"))[:4].hex() == "13840080"


def test_bm1384_forgets_a_job_that_lost_a_byte() -> None:
    vector = vectors("quick_solve.json")[0]["out"]["bm1384_gekko"]
    bench = Bench("BM1384", rate_hs=1e6, ticket_bits=20)
    bench.says(short("820782"))
    bench.says(bytes.fromhex(vector["task"])[1:], now=2.0)
    bench.says(bytes.fromhex(vector["task"]), now=2.1)
    assert bench.run(2.25).hex() == vector["reply"]
    assert bench.wires.ledger.works_received == 1


def test_another_speed() -> None:
    bench = Bench("BM1387")
    bench.says(command("5809001c40208180"), now=1.0)  # bit 30: the divider does not count
    assert len(bench.says(command("54050000"), now=2.0)) == 7
    bench.says(command("5809001c00208180"), now=2.0)
    assert bench.says(command("54050000"), now=2.1) == b""
    assert len(bench.says(command("54050000"), now=2.2, baud=1_500_000)) == 7


def test_reset_line_holds_and_releases() -> None:
    bench = Bench("BM1387", rate_hs=1e6)
    bench.says(bytes.fromhex(vectors("quick_solve.json")[0]["out"]["bm1387_gekko"]["task"]))
    assert bench.chain.hashing
    bench.chain.reset(held=True, now=1.5)
    assert bench.chain.next_timeout() is None
    assert bench.says(command("54050000"), now=1.6) == b""
    assert bench.chain.mhz == 0
    bench.chain.reset(held=False, now=1.7)
    assert len(bench.says(command("54050000"), now=1.8)) == 7


def test_damage_is_dropped() -> None:
    bench = Bench("BM1387")
    damaged = bytearray(command("54050000"))
    damaged[3] ^= 1
    assert len(bench.says(bytes(damaged) + b"\xff\x21\x00" + command("54050000"))) == 7
