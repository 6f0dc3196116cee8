"""The telemetry port of Compac A1, A2 and Terminus: questions, one at a time, and their answers."""

from __future__ import annotations

from collections.abc import Callable

from sv2rig.boards.line import BoardError, Talk
from sv2rig.drivers.gekko import protocol
from sv2rig.drivers.gekko.protocol import Telemetry, TelemetryDecoder, TelemetryVersion

_ANSWER_S = 0.2
_TRIES = 3


class TelemetryPort:
    """`talk` gives the open port. `damage` is told of answers that do not come or are torn."""

    def __init__(self, talk: Callable[[], Talk], damage: Callable[[str], None]) -> None:
        self._talk = talk
        self._damage = damage
        self.version: TelemetryVersion | None = None

    async def begin(self) -> None:
        """Learn which readings it gives. BoardError if it does not say, or in a way that is
        unknown: without its temperature a board is not run."""
        answer = await self._ask_again(protocol.GET_VERSION, 1, "its version")
        self.version = TelemetryVersion.of(answer[0])
        if self.version is None:
            raise BoardError(
                f"its telemetry is of version {answer[0]:02x}, 1x and 2x are known: report it"
            )

    async def set(self, request: bytes) -> None:
        """Change something; BoardError if that is not confirmed."""
        await self._ask_again(request, 1, f"the setting {request[:1].decode()}")

    async def read(self) -> Telemetry | None:
        """The readings; None where the answer was damaged."""
        if self.version is None:
            await self.begin()
        assert self.version is not None
        answer = await self._ask(protocol.GET_TELEMETRY, protocol.TELEMETRY_BYTES)
        if answer is None:
            self._damage("telemetry: no whole answer")
            return None
        return protocol.telemetry(self.version, answer)

    async def _ask_again(self, request: bytes, length: int, what: str) -> bytes:
        for _ in range(_TRIES):
            answer = await self._ask(request, length)
            if answer is not None:
                return answer
        raise BoardError(f"its telemetry port (interface 1) does not answer for {what}")

    async def _ask(self, request: bytes, length: int) -> bytes | None:
        talk = self._talk()
        talk.forget()
        decoder = TelemetryDecoder()
        decoder.ask(length)
        talk.write(request)
        return decoder.feed(await talk.read(_ANSWER_S, length))
