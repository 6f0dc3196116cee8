"""Reading Bitcoin's consensus encoding: a cursor that never reads past its end."""


class ParseError(ValueError):
    """Bytes that are not what they claim to be: `field` at `offset`, and why in words."""

    def __init__(self, field: str, offset: int, reason: str) -> None:
        super().__init__(f"{field} at byte {offset}: {reason}")
        self.field = field
        self.offset = offset
        self.reason = reason


class Reader:
    """Takes values off the front of `data`; every error names the field and its offset.

    Lengths are checked against what is left before anything is sliced, so a hostile length or
    count costs no memory.
    """

    __slots__ = ("data", "offset")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.offset

    def take(self, size: int, field: str) -> bytes:
        """The next `size` bytes."""
        if size > self.left:
            raise ParseError(field, self.offset, f"needs {size} bytes, {self.left} are left")
        start = self.offset
        self.offset += size
        return self.data[start : self.offset]

    def uint(self, size: int, field: str) -> int:
        """A little-endian unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size, field), "little")

    def compact_size(self, field: str) -> int:
        """Bitcoin's variable-length integer; only its shortest form is valid."""
        start = self.offset
        first = self.uint(1, field)
        if first < 0xFD:
            return first
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
        value = self.uint(size, field)
        if value < {2: 0xFD, 4: 0x1_0000, 8: 0x1_0000_0000}[size]:
            raise ParseError(field, start, f"{value} is written in {size + 1} bytes, too long")
        return value

    def count(self, minimum_size: int, field: str) -> int:
        """A compact size counting items of at least `minimum_size` bytes, all of which must fit."""
        start = self.offset
        value = self.compact_size(field)
        if value * minimum_size > self.left:
            raise ParseError(field, start, f"{value} items cannot fit in {self.left} bytes")
        return value

    def var_bytes(self, field: str) -> bytes:
        """A compact size, then that many bytes."""
        return self.take(self.compact_size(field), field)

    def end(self, field: str) -> None:
        """Nothing may be left after `field`."""
        if self.left:
            raise ParseError(field, self.offset, f"{self.left} bytes follow its end")


def compact_size(value: int) -> bytes:
    """`value` (0 to 2^64-1) in the shortest form of Bitcoin's variable-length integer."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"compact size {value} is outside 0..2^64-1")
    if value < 0xFD:
        return value.to_bytes(1, "little")
    for marker, size in ((b"\xfd", 2), (b"\xfe", 4)):
        if value < 1 << (8 * size):
            return marker + value.to_bytes(size, "little")
    return b"\xff" + value.to_bytes(8, "little")


def var_bytes(data: bytes) -> bytes:
    """`data` behind its length as a compact size."""
    return compact_size(len(data)) + data
