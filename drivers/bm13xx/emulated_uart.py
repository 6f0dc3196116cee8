"""The speed of a chain's UART: bytes at another speed arrive as garbage, in both directions."""

from __future__ import annotations

RESET_BAUD = 115_200
SETTLING = 0.005  # after a change of speed nothing arrives whole; hosts are told to wait 10 ms
_TOLERANCE = 0.06  # 1 Mbaud and the chips' 25 MHz / 24 are used together, 4 % apart


def divided_baud(divider: int) -> int:
    """The speed that a divider makes of the chips' 25 MHz clock."""
    return 25_000_000 // (8 * (divider + 1))


class EmulatedUart:
    """The chips' side of the line, and the speed at which the host was last heard."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As at power-on."""
        self.baud = RESET_BAUD
        self._host = RESET_BAUD
        self._settled = float("-inf")

    def change(self, baud: int, now: float) -> bool:
        """The chips go to another speed at once; whether it is another."""
        changed = abs(baud - self.baud) > self.baud * _TOLERANCE
        if changed:
            self._settled = now + SETTLING
        self.baud = baud
        return changed

    def hear(self, data: bytes, baud: int, now: float) -> bytes:
        """What the chips make of bytes that the host sent at its own speed."""
        self._host = baud
        return data if self._agree() and now >= self._settled else _garbled(data)

    def say(self, data: bytes) -> bytes:
        """What the host makes of the chips' bytes."""
        return data if self._agree() else _garbled(data)

    def _agree(self) -> bool:
        return abs(self._host - self.baud) <= self.baud * _TOLERANCE


def _garbled(data: bytes) -> bytes:
    # A wrong speed samples some bits twice and misses others. All that matters is that no frame
    # survives it, and none does where every byte is even: each preamble has an odd byte.
    return bytes(byte << 1 & 0xFF ^ 0x04 for byte in data)
