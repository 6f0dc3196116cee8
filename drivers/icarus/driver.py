"""Icarus, Lancelot and Block Erupter: one job at a time, stopped by its first nonce."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from sv2rig.boards.board import Board, Plug
from sv2rig.boards.driver import Driver, Option
from sv2rig.boards.line import BoardError, LineProfile
from sv2rig.boards.push_engine import PushEngine, PushTiming, pads
from sv2rig.devices.pattern import Pattern
from sv2rig.drivers.icarus.protocol import GOLDEN, REPLY_BYTES, WORK_BYTES, IcarusWire

PROBES = 12  # the likely slips thrice: an earlier program may have left it half a job


@dataclass(frozen=True, slots=True)
class Model:
    """`rate_hs` is the clock times the cores: there is nothing to set."""

    name: str
    rate_hs: float
    watts: float


MODELS = {
    "icarus": Model("Icarus", 380e6, 20.0),
    "lancelot": Model("Lancelot", 400e6, 26.0),
    "erupter": Model("Block Erupter", 336e6, 2.5),
}


class IcarusBoard(Board):
    """See the module."""

    driver = "icarus"

    def __init__(self, plug: Plug, model: Model) -> None:
        super().__init__(plug, model.name, model.rate_hs, [LineProfile(baud=115200)])
        self.watts = model.watts
        timing = PushTiming(self.rate_hs, self.ticket, frame_bytes=WORK_BYTES)
        self.engine = PushEngine(IcarusWire(), self, timing, GOLDEN)

    async def start_up(self) -> None:
        """The golden work, whose nonce is known, proves that there is an Icarus that can hash."""
        talk = self.talks[0]
        wait_s = 0.5 + 1.5 * GOLDEN.hashes / self.rate_hs
        answer = b""
        for missing in islice(pads(WORK_BYTES), PROBES):
            talk.forget()
            if missing:
                talk.write(bytes(missing))
            talk.write(GOLDEN.frame)
            answer = await talk.read(wait_s, at_least=REPLY_BYTES)
            if GOLDEN.is_answered_by(answer[-REPLY_BYTES:], self.ticket):
                return
        got = answer.hex() or "nothing"
        raise BoardError(
            f"its self-test should have answered 000187a2 and answered {got}: "
            "is it an Icarus, at 115200 baud, with power?"
        )


def make(plug: Plug) -> IcarusBoard:
    """The board; its model is what the user named, or what its strings say."""
    return IcarusBoard(plug, MODELS[plug.options.get("model", _recognised(plug))])


def _recognised(plug: Plug) -> str:
    product = (plug.sighting.product or "").lower()
    return next((key for key, model in MODELS.items() if model.name.lower() in product), "icarus")


DRIVER = Driver(
    name="icarus",
    help="Icarus, Lancelot, Block Erupter: FPGA boards and sticks on a serial port",
    make=make,
    patterns=(
        Pattern(product="Block Erupter", model="Block Erupter"),
        Pattern(product="Lancelot", model="Lancelot"),
        Pattern(product="Icarus", model="Icarus"),
    ),
    options=(Option("model", "which board it is", tuple(MODELS), "icarus"),),
)
