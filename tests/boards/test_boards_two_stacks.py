"""Our codecs against emulators that were written from the facts alone, without clocks or lines."""

import pytest
from board_on_clock import vectors

from sv2rig.drivers.bitaxe_raw import regulator, sensors
from sv2rig.drivers.bitaxe_raw.emulator import BOARDS, EmulatedControlBoard
from sv2rig.drivers.bitaxe_raw.protocol import (
    POWER_PIN,
    RESET_PIN,
    ControlDecoder,
    ControlReply,
    Framing,
    Transfer,
    gpio_read,
    gpio_write,
    led,
)
from sv2rig.drivers.bm13xx import old_framing as old
from sv2rig.drivers.bm13xx import old_startup
from sv2rig.drivers.bm13xx.chips import addresses
from sv2rig.drivers.bm13xx.emulated_old_chain import OLD_MODELS, EmulatedOldChain
from sv2rig.drivers.bm13xx.protocol import NonceReply, RegisterReply
from sv2rig.emulation.emulator import EmulatorOptions
from sv2rig.emulation.wires import Wires


class OldChain:
    """An emulated chain of old chips at one baud, and what our decoder makes of it."""

    def __init__(self, chip: old.OldChip, chips: int) -> None:
        self.wires = Wires(("data",))
        options = EmulatorOptions(rate_hs=1e6, ticket_bits=20)
        self.chain = EmulatedOldChain(self.wires, 0, OLD_MODELS[chip.name], chips, options)
        self.chain.reset(held=False, now=0.0)
        self.decoder = old.OldDecoder(chip)
        self.baud = 115200

    def says(self, frame: bytes, now: float = 1.0) -> list[object]:
        self.chain.receive(frame, self.baud, now)
        return list(self.decoder.feed(self.wires.take_output(0)))

    def run(self, until: float) -> list[object]:
        while (due := self.chain.next_timeout()) is not None and due <= until:
            self.chain.on_time(due)
        self.chain.on_time(until)
        return list(self.decoder.feed(self.wires.take_output(0)))


@pytest.mark.parametrize("chip", [old.BM1384, old.BM1387], ids=lambda chip: chip.name)
def test_an_old_chain_starts_up_and_solves(chip: old.OldChip) -> None:
    bench = OldChain(chip, 2)
    hello = bench.says(old_startup.hello(chip).frame)
    ids = [one.value >> 16 for one in hello if isinstance(one, RegisterReply)]
    assert ids == [chip.chip_id] * 2
    for step in old_startup.address(chip, addresses(2)):
        assert bench.says(step.frame) == []
    hello = bench.says(old_startup.hello(chip).frame)
    assert [one.value & 0xFF for one in hello if isinstance(one, RegisterReply)] == [0, 128]
    if chip is old.BM1387:
        bench.says(old_startup.set_line_speed(1).frame)
        bench.baud = 1_562_500
        for step in old_startup.open_chain(1, 32):
            bench.says(step.frame)
        assert len(bench.says(old_startup.hello(chip).frame, now=1.1)) == 2
    bench.says(old_startup.set_clock(chip, 200).frame, now=1.2)
    assert bench.chain.mhz == 200
    vector = vectors("quick_solve.json")["quick-0"]["out"]
    name = f"{chip.name.lower()}_gekko"
    bench.says(bytes.fromhex(vector[name]["task"]), now=2.0)
    job_id = 7 if chip is old.BM1387 else 5
    nonces = [one for one in bench.run(2.3) if isinstance(one, NonceReply)]
    assert (vector["nonce_header"], job_id) in [(one.nonce.hex(), one.id_byte) for one in nonces]
    assert bench.decoder.damage.errors == 0


class Control:
    """The control port of an emulated board."""

    def __init__(self, name: str, framing: Framing) -> None:
        self.board = EmulatedControlBoard(BOARDS[name], EmulatorOptions())
        self.board.power_up(0.0)
        self.decoder = ControlDecoder(framing)

    def asks(self, request: bytes, now: float = 1.0) -> ControlReply:
        self.board.receive(0, request, 0, now)
        found = list[object](self.decoder.feed(self.board.take_output(0)))
        [reply] = found or [self.decoder.give_up()]
        assert isinstance(reply, ControlReply)
        return reply

    def does(self, transfer: Transfer) -> bytes:
        reply = self.asks(transfer.request(9))
        assert (reply.request_id, reply.error) == (9, None)
        return reply.data


def test_a_gamma_is_powered_as_it_is_told() -> None:
    gamma = Control("gamma", Framing.DATA_LENGTH)
    assert regulator.known(gamma.does(regulator.read_device_id()))
    [mode] = gamma.does(regulator.read_byte(regulator.VOUT_MODE))
    for step in regulator.configure(regulator.GAMMA, mode):
        gamma.does(step)
    gamma.does(regulator.on())
    gamma.does(regulator.set_voltage(regulator.GAMMA, 1.1, mode))
    word = int.from_bytes(gamma.does(regulator.read_word(regulator.READ_VOUT)), "little")
    assert regulator.of_linear16(word, mode) == pytest.approx(1.1, abs=0.01)
    word = int.from_bytes(gamma.does(regulator.read_word(regulator.READ_VIN)), "little")
    assert regulator.of_linear11(word) == pytest.approx(5.0, abs=0.5)
    status = regulator.Status(
        int.from_bytes(gamma.does(regulator.read_word(regulator.STATUS_WORD)), "little")
    )
    assert not status & (regulator.CUT_OFF | regulator.Status.OFF)
    gamma.does(regulator.off())
    status = regulator.Status(
        int.from_bytes(gamma.does(regulator.read_word(regulator.STATUS_WORD)), "little")
    )
    assert status & regulator.Status.OFF


def test_a_gammas_fan_and_pins() -> None:
    gamma = Control("gamma", Framing.DATA_LENGTH)
    ids = [
        gamma.does(sensors.read_register(sensors.EMC2101, register))[0]
        for register in (sensors.EMC_MAKER, sensors.EMC_PRODUCT)
    ]
    assert sensors.emc2101_known(*ids)
    for step in (*sensors.emc2101_start(), sensors.emc2101_fan(100)):
        gamma.does(step)
    assert gamma.board.pins()["fan_percent"] == pytest.approx(100, abs=1)
    gamma.asks(gpio_write(1, RESET_PIN, True))
    assert gamma.asks(gpio_read(2, RESET_PIN)).data == b"\x01"
    assert gamma.board.pins()["reset_released"] == 1
    gamma.asks(led(3, 1, 2, 3))
    assert gamma.asks(sensors.read_register(0x77, 0).request(4)).error is not None


def test_an_emberones_sensors() -> None:
    ember = Control("emberone", Framing.STATUS)
    ember.asks(gpio_write(1, POWER_PIN, True))
    left = sensors.tmp1075_celsius(
        ember.does(sensors.read_register(sensors.TMP1075, sensors.TMP_TEMPERATURE, 2))
    )
    high, low = (
        ember.does(sensors.read_register(sensors.TMP451, register))[0]
        for register in (sensors.TMP451_LOCAL_HIGH, sensors.TMP451_LOCAL_LOW)
    )
    assert sensors.plausible(left)
    assert sensors.plausible(sensors.tmp451_celsius(high, low))
    assert ember.asks(sensors.read_register(0x77, 0).request(4)).error is not None
