"""The smallest board that hashes: header bytes 0..75 and four of filler in, a nonce out.

At any speed but 115200 it hears nothing. Its "reset" port's line `rts` holds it in reset.
"""

from __future__ import annotations

from sv2rig.devices.sighting import EmulatorClaims
from sv2rig.emulation.emulator import EmulatorKind, EmulatorOptions, Identity, LineChanges
from sv2rig.emulation.ledger import WorkReceived
from sv2rig.emulation.search import HeaderBase, Search
from sv2rig.emulation.wires import Wires

WORK_SIZE = 80
RATE_HS = 50_000.0
BAUD = 115_200


class ToyBoard:
    identity = Identity("toy", 0x1234, 0x5678, 0x0100, "Toys", "Toy Miner", "T1")
    ports = ("data", "reset")

    def __init__(self, options: EmulatorOptions) -> None:
        self.claims = EmulatorClaims(
            options.ticket_bits, options.rate_hs or RATE_HS, bool(options.known)
        )
        self.wires = Wires(self.ports)
        self._search = Search(self.claims.rate_hs, options.ticket_bits, options.known)
        self._faults = options.faults
        self._work: WorkReceived | None = None
        self._lines = LineChanges()
        self.reset = False
        self.power_ups = 0

    def power_up(self, now: float) -> None:
        self._search.stop(now)
        self.wires.power_up()
        self._work = None
        self.reset = False
        self.power_ups += 1

    def receive(self, port: int, data: bytes, baud: int, now: float) -> None:
        if port == 1:
            for _, level in self._lines.feed(data):
                self.reset = level
                self._search.stop(now)
            return
        if baud != BAUD or self.reset:
            return
        self.wires.inbound[0].feed(data)
        while len(self.wires.inbound[0].buffer) >= WORK_SIZE:
            header, self._work = self.wires.take_work(0, WORK_SIZE, now, framed=False)
            self._search.begin([HeaderBase.of_header(header[:76])], now)
        self.on_time(now)

    def take_output(self, port: int) -> bytes:
        return self.wires.take_output(port)

    def next_timeout(self) -> float | None:
        return self._search.next_due()

    def on_time(self, now: float) -> None:
        for hit in self._search.take(now):
            assert self._work is not None
            nonce = self._faults.nonce(hit.nonce)
            self.wires.reply(0, nonce, nonce, self._work, hit.due, wrong=nonce != hit.nonce)
        self.wires.ledger.hashes = self._search.hashes(now)

    def pins(self) -> dict[str, float]:
        return {"reset_released": float(not self.reset)}


EMULATOR = EmulatorKind("toy", "a toy that tests are made with", ToyBoard, {"colour": "any"})
