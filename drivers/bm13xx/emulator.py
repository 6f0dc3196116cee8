"""An emulated hash board: a chain of BM13xx chips on a bare UART, written from the facts alone."""

from __future__ import annotations

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.drivers.bm13xx.emulated_chain import EmulatedChain
from sv2rig.drivers.bm13xx.emulated_chip import MODELS
from sv2rig.drivers.bm13xx.emulated_old_chain import OLD_MODELS, EmulatedOldChain
from sv2rig.emulation.emulator import Emulator, EmulatorKind, EmulatorOptions, Identity
from sv2rig.emulation.options import choice, whole_number
from sv2rig.emulation.wires import Wires

MAX_CHIPS = 126
_NAMES = (*MODELS, *OLD_MODELS)


class EmulatedHashBoard:
    """A chain whose reset line and power are nobody's: it runs from the moment power comes."""

    ports = ("data",)

    def __init__(self, chip: str, chips: int, options: EmulatorOptions) -> None:
        self.identity = Identity("bm13xx")
        self.wires = Wires(self.ports)
        self.chain = (
            EmulatedOldChain(self.wires, 0, OLD_MODELS[chip], chips, options)
            if chip in OLD_MODELS
            else EmulatedChain(self.wires, 0, MODELS[chip], chips, options)
        )
        self.claims = EmulatorClaims(
            options.ticket_bits, self.chain.rate_hs, replay=bool(options.known)
        )

    def power_up(self, now: float) -> None:
        self.wires.power_up()
        self.chain.reset(held=False, now=now)

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        assert port == 0, "a hash board has one port"
        self.chain.receive(data, baud, now)

    def take_output(self, port: int) -> bytes:
        return self.wires.take_output(port)

    def next_timeout(self) -> float | None:
        return self.chain.next_timeout()

    def on_time(self, now: float) -> None:
        self.chain.on_time(now)

    def pins(self) -> dict[str, float]:
        return {"reset_released": 1.0, "power_on": 1.0, "mhz": self.chain.mhz}


def make(options: EmulatorOptions) -> Emulator:
    """A board from the user's options; ValueError says what is wrong with them."""
    return EmulatedHashBoard(
        choice(options.more, "chip", "BM1370", _NAMES),
        whole_number(options.more, "chips", 1, 1, MAX_CHIPS),
        options,
    )


EMULATOR = EmulatorKind(
    "bm13xx",
    "a chain of BM13xx chips on a UART, as a hash board has it",
    make,
    {
        "chip": f"{', '.join(_NAMES)} (BM1370)",
        "chips": f"how many chips, 1 to {MAX_CHIPS} (1)",
    },
)
