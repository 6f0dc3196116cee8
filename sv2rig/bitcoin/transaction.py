"""Transactions, stripped and with BIP144 witnesses. Hashes are raw; integers are unsigned."""

from dataclasses import dataclass

from sv2rig.bitcoin.hashing import sha256d
from sv2rig.bitcoin.reader import ParseError, Reader, compact_size, var_bytes

Witness = tuple[bytes, ...]

_INPUT_SIZE = 41  # the smallest: outpoint, empty script, sequence
_OUTPUT_SIZE = 9  # the smallest: value, empty script


def _check(name: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name} is {value}, outside 0..2^{bits}-1")


@dataclass(frozen=True, slots=True)
class OutPoint:
    """The output that an input spends; 32 zero bytes and 0xffffffff in a coinbase."""

    txid: bytes
    index: int

    def __post_init__(self) -> None:
        if len(self.txid) != 32:
            raise ValueError(f"outpoint txid has {len(self.txid)} bytes, not 32")
        _check("outpoint index", self.index, 32)


COINBASE_OUTPOINT = OutPoint(bytes(32), 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class TxInput:
    """One input; its witness stands in the transaction."""

    previous: OutPoint
    script: bytes
    sequence: int = 0xFFFFFFFF

    def __post_init__(self) -> None:
        _check("input sequence", self.sequence, 32)

    def serialise(self) -> bytes:
        """The input's bytes on the wire."""
        outpoint = self.previous.txid + self.previous.index.to_bytes(4, "little")
        return outpoint + var_bytes(self.script) + self.sequence.to_bytes(4, "little")

    @classmethod
    def read(cls, reader: Reader, field: str) -> "TxInput":
        """One input off `reader`; errors name `field`."""
        previous = OutPoint(
            reader.take(32, f"{field} outpoint txid"), reader.uint(4, f"{field} outpoint index")
        )
        return cls(
            previous, reader.var_bytes(f"{field} script"), reader.uint(4, f"{field} sequence")
        )


@dataclass(frozen=True, slots=True)
class TxOutput:
    """`value` satoshi to whoever satisfies `script`."""

    value: int
    script: bytes

    def __post_init__(self) -> None:
        _check("output value", self.value, 64)

    def serialise(self) -> bytes:
        """The output's bytes on the wire."""
        return self.value.to_bytes(8, "little") + var_bytes(self.script)

    @classmethod
    def read(cls, reader: Reader, field: str) -> "TxOutput":
        """One output off `reader`; errors name `field`."""
        return cls(reader.uint(8, f"{field} value"), reader.var_bytes(f"{field} script"))


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction with at least one input. `witnesses` is empty, or holds a stack an input.

    Empty stacks all over are the same as no witnesses and are kept as ().
    """

    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    witnesses: tuple[Witness, ...] = ()
    lock_time: int = 0

    def __post_init__(self) -> None:
        _check("transaction version", self.version, 32)
        _check("transaction lock time", self.lock_time, 32)
        if not self.inputs:
            raise ValueError("a transaction needs at least one input")
        if self.witnesses and len(self.witnesses) != len(self.inputs):
            raise ValueError(
                f"{len(self.witnesses)} witnesses do not match {len(self.inputs)} inputs"
            )
        if not any(self.witnesses):
            object.__setattr__(self, "witnesses", ())

    @property
    def is_coinbase(self) -> bool:
        """Whether it spends nothing, as only a block's first transaction may."""
        return len(self.inputs) == 1 and self.inputs[0].previous == COINBASE_OUTPOINT

    def serialise_stripped(self) -> bytes:
        """The bytes without BIP144's marker, flag and witnesses: what the txid hashes."""
        return self._head() + self._body() + self._tail()

    def serialise(self) -> bytes:
        """The bytes in a block: with witnesses where there are any."""
        if not self.witnesses:
            return self.serialise_stripped()
        stacks = b"".join(
            compact_size(len(stack)) + b"".join(map(var_bytes, stack)) for stack in self.witnesses
        )
        return self._head() + b"\x00\x01" + self._body() + stacks + self._tail()

    def _head(self) -> bytes:
        return self.version.to_bytes(4, "little")

    def _body(self) -> bytes:
        inputs = b"".join(item.serialise() for item in self.inputs)
        outputs = b"".join(item.serialise() for item in self.outputs)
        return compact_size(len(self.inputs)) + inputs + compact_size(len(self.outputs)) + outputs

    def _tail(self) -> bytes:
        return self.lock_time.to_bytes(4, "little")

    def txid(self) -> bytes:
        """The raw hash that identifies it, whatever its witnesses."""
        return sha256d(self.serialise_stripped())

    def wtxid(self) -> bytes:
        """The raw hash with witnesses (BIP141; for a coinbase, commitments use zeros instead)."""
        return sha256d(self.serialise())

    @classmethod
    def parse(cls, data: bytes) -> "Transaction":
        """The transaction that is all of `data`; ParseError names the field and offset."""
        reader = Reader(data)
        transaction = cls.read(reader)
        reader.end("transaction")
        return transaction

    @classmethod
    def read(cls, reader: Reader) -> "Transaction":
        """One transaction off `reader`."""
        version = reader.uint(4, "transaction version")
        segwit = _read_marker(reader)
        start = reader.offset
        count = reader.count(_INPUT_SIZE, "input count")
        if not count:
            raise ParseError("input count", start, "a transaction needs at least one input")
        inputs = tuple(TxInput.read(reader, f"input {i}") for i in range(count))
        count = reader.count(_OUTPUT_SIZE, "output count")
        outputs = tuple(TxOutput.read(reader, f"output {i}") for i in range(count))
        witnesses = _read_witnesses(reader, len(inputs)) if segwit else ()
        return cls(version, inputs, outputs, witnesses, reader.uint(4, "transaction lock time"))


def _read_marker(reader: Reader) -> bool:
    # BIP144: where the input count would be 0 there is a marker, and a flag that must be 1.
    if reader.data[reader.offset : reader.offset + 1] != b"\x00":
        return False
    reader.take(1, "segwit marker")
    start = reader.offset
    flag = reader.uint(1, "segwit flag")
    if flag != 1:
        raise ParseError("segwit flag", start, f"is {flag}, not 1, or there are no inputs")
    return True


def _read_witnesses(reader: Reader, inputs: int) -> tuple[Witness, ...]:
    start = reader.offset
    stacks = []
    for i in range(inputs):
        count = reader.count(1, f"witness {i} count")
        stacks.append(tuple(reader.var_bytes(f"witness {i} item {j}") for j in range(count)))
    if not any(stacks):
        raise ParseError("witnesses", start, "all are empty, so the marker must not be there")
    return tuple(stacks)
