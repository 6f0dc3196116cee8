"""Questions and answers with the control port, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from sv2rig.boards.line import BoardError, Talk
from sv2rig.drivers.bitaxe_raw.protocol import (
    DEVICE_ERRORS,
    ControlDecoder,
    ControlReply,
    Framing,
    Transfer,
    gpio_write,
)

ANSWER_S = 0.1  # eleven bytes of I2C at 100 kHz take a hundredth of this
FORGET_S = 0.01  # firmware forgets a part of a request after 4 ms
TRIES = 2
UNREAD_ID = 0xFF  # in a refusal of what could not be read


class RefusedError(BoardError):
    """The firmware answered that it could not do it: nobody at an I2C address, mostly."""


class Control:
    """`damaged` is told of each answer that did not come whole."""

    def __init__(self, talk: Talk, framing: Framing, damaged: Callable[[str], None]) -> None:
        self._talk = talk
        self._framing = framing
        self._decoder = ControlDecoder(framing)
        self._damaged = damaged
        self._last_id = 0

    async def ask(self, make: Callable[[int], bytes]) -> bytes:
        """The reply's data to the request that `make` builds from an id. Asked once more if that
        fails: all requests here may be repeated. BoardError if there is no answer again,
        RefusedError if the firmware says no."""
        reply: ControlReply | None = None
        for _ in range(TRIES):
            reply = await self._ask_once(make)
            if reply is None:
                self._damaged("the control port did not answer")
                await asyncio.sleep(FORGET_S)
            elif reply.error is None:
                return reply.data
        if reply is not None:
            raise RefusedError(f"the board's firmware refused: {reply.error}")
        raise BoardError(
            f"the control port did not answer {TRIES} times: check the cable, or power it anew"
        )

    async def transfer(self, transfer: Transfer) -> bytes:
        """An exchange on the I2C bus; what was read. A reply of another length is a refusal.

        bitaxe-raw before it had a status says errors where data would be. One byte that looks so
        is asked for again with the byte after it: an error does not grow.
        """
        data = await self.ask(transfer.request)
        count = transfer.count
        if count and self._may_be_an_error(data, count):
            longer = replace(transfer, count=count + 1)
            data = await self.ask(longer.request)
            count += 1
        stuck = transfer.count > 1 and set(data) == {0xFF}  # a bus that nobody drives
        if count and (stuck or len(data) != count):
            raise RefusedError(
                f"I2C address {transfer.address:02x} answered {data.hex() or 'nothing'} "
                f"where {count} bytes were asked for"
            )
        return data[: transfer.count]

    async def set_pin(self, pin: int, high: bool) -> None:
        """Drive a pin; BoardError if the firmware does not say that it is so."""
        answer = await self.ask(lambda request_id: gpio_write(request_id, pin, high))
        if answer[:1] != bytes((high,)):
            raise BoardError(f"pin {pin} was set to {high:d}, the board says {answer.hex()}")

    def _may_be_an_error(self, data: bytes, count: int) -> bool:
        return self._framing is Framing.DATA_LENGTH and count == 1 and data[0:1] in _ERROR_BYTES

    async def _ask_once(self, make: Callable[[int], bytes]) -> ControlReply | None:
        self._last_id = (self._last_id + 1) % UNREAD_ID
        self._talk.forget()
        self._decoder.give_up()
        self._talk.write(make(self._last_id))
        deadline = asyncio.get_running_loop().time() + ANSWER_S
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            for reply in self._decoder.feed(await self._talk.read(left)):
                if isinstance(reply, ControlReply) and self._is_mine(reply):
                    return reply
        late = self._decoder.give_up()
        return late if late is not None and self._is_mine(late) else None

    def _is_mine(self, reply: ControlReply) -> bool:
        return reply.request_id in (self._last_id, UNREAD_ID)


_ERROR_BYTES = frozenset(bytes((code,)) for code in DEVICE_ERRORS)
