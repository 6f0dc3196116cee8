"""Shares that were sent and are neither accepted nor rejected yet."""

from __future__ import annotations

from fractions import Fraction

_SEQUENCE_NUMBERS = 1 << 32


class PendingShares:
    """One channel's sent shares in the order of their sequence numbers.

    At most `limit` are remembered; beyond it the oldest is forgotten and counted in `forgotten`,
    so that a server which never answers costs no memory and a block is still sent.
    """

    def __init__(self, first_sequence_number: int = 1, limit: int = 4096) -> None:
        self._next = first_sequence_number
        self._limit = limit
        self._difficulties: dict[int, Fraction] = {}
        self.forgotten = 0

    def add(self, difficulty: Fraction) -> int:
        """The sequence number for one more share."""
        number = self._next
        self._next = (number + 1) % _SEQUENCE_NUMBERS
        self._difficulties[number] = difficulty
        if len(self._difficulties) > self._limit:
            del self._difficulties[next(iter(self._difficulties))]
            self.forgotten += 1
        return number

    def acknowledge(self, last: int) -> tuple[tuple[int, ...], Fraction]:
        """Removes all sent up to `last`, in order, and their summed difficulty."""
        if last in self._difficulties:  # by order of sending: right across the wrap at 2^32 too
            numbers = list(self._difficulties)
            taken = tuple(numbers[: numbers.index(last) + 1])
        else:  # `last` was rejected or forgotten: only its value is left to go by
            taken = tuple(number for number in self._difficulties if number <= last)
        return taken, sum((self._difficulties.pop(number) for number in taken), Fraction(0))

    def reject(self, number: int) -> bool:
        """Removes one; False if it was not awaited."""
        return self._difficulties.pop(number, None) is not None

    def numbers(self) -> tuple[int, ...]:
        """Sequence numbers still awaited, oldest first."""
        return tuple(self._difficulties)

    def __len__(self) -> int:
        return len(self._difficulties)
