from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.bitcoin.block import Block
from sv2rig.bitcoin.header import BlockHeader, to_display
from sv2rig.bitcoin.merkle import merkle_path, root_from_path
from sv2rig.bitcoin.reader import ParseError, Reader, compact_size
from sv2rig.bitcoin.transaction import OutPoint, Transaction, TxInput, TxOutput
from sv2rig.rig.known_blocks import block_413567

VECTORS = Path(__file__).parents[1] / "vectors/bitcoin"

# The only transaction of the genesis block, as every node has it.
GENESIS = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff"
    "001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e"
    "6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104"
    "678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51e"
    "c112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)

# A transaction of mainnet with its txid and wtxid; rust-bitcoin's tests have it too.
SEGWIT = bytes.fromhex(
    "02000000000101595895ea20179de87052b4046dfe6fd515860505d6511a9004cf12a1f93cac7c01000000"
    "00ffffffff01deb807000000000017a9140f3444e271620c736808aa7b33e370bd87cb5a078702483045022"
    "100fb60dad8df4af2841adc0346638c16d0b8035f5e3f3753b88db122e70c79f9370220756e6633b17fd271"
    "0e626347d28d60b0a2d6cbb41de51740644b9fb3ba7751040121028fa937ca8cba2197a37c007176ed89410"
    "55d3bcb8627d085e94553e62f057dcc00000000"
)


def test_the_genesis_transaction() -> None:
    transaction = Transaction.parse(GENESIS)
    assert transaction.serialise() == transaction.serialise_stripped() == GENESIS
    txid = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    assert to_display(transaction.txid()) == to_display(transaction.wtxid()) == txid
    assert transaction.is_coinbase
    assert b"03/Jan/2009 Chancellor on brink" in transaction.inputs[0].script
    assert transaction.outputs[0].value == 50 * 100_000_000


def test_a_segwit_transaction() -> None:
    transaction = Transaction.parse(SEGWIT)
    assert transaction.serialise() == SEGWIT
    assert to_display(transaction.txid()) == (
        "f5864806e3565c34d1b41e716f72609d00b55ea5eac5b924c9719a842ef42206"
    )
    assert to_display(transaction.wtxid()) == (
        "80b7d8a82d5d5bf92905b06f2014dd699e03837ca172e3a59d51426ebbe3e7f5"
    )
    assert [len(item) for item in transaction.witnesses[0]] == [72, 33]
    assert not transaction.is_coinbase
    stripped = Transaction.parse(transaction.serialise_stripped())
    assert stripped.witnesses == ()
    assert stripped.wtxid() == transaction.txid()


def test_block_413567() -> None:
    raw = block_413567()
    block = Block.parse(raw)
    assert len(raw) == 999_887
    assert block.serialise() == raw
    assert to_display(block.header.hash()) == (
        "0000000000000000025aff8be8a55df8f89c77296db6198f272d6577325d4069"
    )
    assert block.check_merkle_root()
    assert block.check_witness_commitment()
    txids = [item.txid() for item in block.transactions]
    assert root_from_path(txids[0], merkle_path(txids)) == block.header.merkle_root
    without_last = Block(block.header, block.transactions[:-1])
    assert not without_last.check_merkle_root()


def test_a_real_block_with_a_witness_commitment() -> None:
    raw = (VECTORS / "testnet_segwit_block.raw").read_bytes()
    block = Block.parse(raw)
    assert block.serialise() == raw
    assert to_display(block.header.hash()).startswith("000000000000045e0b1660b6445b5e5c")
    assert block.check_merkle_root()
    assert block.check_witness_commitment()
    coinbase, *others = block.transactions
    bare = Transaction(coinbase.version, coinbase.inputs, coinbase.outputs)
    assert not Block(block.header, (bare, *others)).check_witness_commitment()
    assert not Block(block.header, (coinbase, *others[:-1])).check_witness_commitment()
    uncommitted = Transaction(
        coinbase.version, coinbase.inputs, coinbase.outputs[:1], coinbase.witnesses
    )
    assert not Block(block.header, (uncommitted, *others)).check_witness_commitment()


def test_an_empty_block_has_no_root() -> None:
    header = BlockHeader(1, bytes(32), bytes(32), 0, 0, 0)
    block = Block.parse(header.pack() + b"\x00")
    assert not block.check_merkle_root()
    assert not block.check_witness_commitment()


uint32 = st.integers(0, 0xFFFFFFFF)
scripts = st.binary(max_size=60) | st.integers(250, 260).map(bytes)
inputs = st.builds(
    TxInput, st.builds(OutPoint, st.binary(min_size=32, max_size=32), uint32), scripts, uint32
)
outputs = st.builds(TxOutput, st.integers(0, 2**64 - 1), scripts)
stacks = st.lists(scripts, max_size=3).map(tuple)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    spent = tuple(draw(st.lists(inputs, min_size=1, max_size=4)))
    witnesses = draw(st.just(()) | st.tuples(*[stacks] * len(spent)))
    paid = tuple(draw(st.lists(outputs, max_size=4)))
    return Transaction(draw(uint32), spent, paid, witnesses, draw(uint32))


@given(transactions())
def test_transactions_survive_both_serialisations(transaction: Transaction) -> None:
    assert Transaction.parse(transaction.serialise()) == transaction
    stripped = Transaction.parse(transaction.serialise_stripped())
    assert stripped == Transaction(
        transaction.version,
        transaction.inputs,
        transaction.outputs,
        lock_time=transaction.lock_time,
    )
    assert stripped.txid() == transaction.txid()


@given(transactions(), st.lists(transactions(), max_size=3))
def test_blocks_survive(first: Transaction, others: list[Transaction]) -> None:
    block = Block(BlockHeader(4, bytes(32), bytes(32), 1, 2, 3), (first, *others))
    assert Block.parse(block.serialise()) == block


@given(st.binary(max_size=300))
def test_any_bytes_end_in_a_value_or_a_parse_error(data: bytes) -> None:
    for parse in (Transaction.parse, Block.parse):
        try:
            value = parse(data)
        except ParseError:
            continue
        assert value.serialise() == data


@given(transactions(), st.data())
def test_damaged_transactions_end_in_a_value_or_a_parse_error(
    transaction: Transaction, data: st.DataObject
) -> None:
    raw = bytearray(transaction.serialise())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        again = Transaction.parse(cut).serialise()
    except ParseError:
        return
    assert again == cut


HEAD = bytes.fromhex("01000000")
INPUT = bytes(32) + b"\xff" * 4 + b"\x00" + b"\xff" * 4


@pytest.mark.parametrize(
    ("data", "field", "offset"),
    [
        (b"", "transaction version", 0),
        (HEAD, "input count", 4),
        (HEAD + b"\xff" + b"\xff" * 8, "input count", 4),
        (HEAD + b"\x02" + INPUT + b"\x00" + bytes(4), "input count", 4),
        (HEAD + b"\xfd\x01\x00", "input count", 4),
        (HEAD + b"\x00\x02", "segwit flag", 5),
        (HEAD + b"\x00\x00" + bytes(4), "segwit flag", 5),
        (HEAD + b"\x00\x01\x00\x00" + bytes(4), "input count", 6),
        (HEAD + b"\x01" + INPUT + b"\xfe\xff\xff\xff\xff", "output count", 46),
        (HEAD + b"\x01" + INPUT + b"\x00" + bytes(3), "transaction lock time", 47),
        (HEAD + b"\x01" + INPUT + b"\x00" + bytes(5), "transaction", 51),
        (HEAD + b"\x00\x01\x01" + INPUT + b"\x00" + b"\x00" + bytes(4), "witnesses", 49),
        (HEAD + b"\x00\x01\x01" + INPUT + b"\x00" + b"\x09" + bytes(4), "witness 0 count", 49),
    ],
)
def test_errors_name_the_field_and_its_offset(data: bytes, field: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        Transaction.parse(data)
    assert (caught.value.field, caught.value.offset) == (field, offset)
    assert str(caught.value).startswith(f"{field} at byte {offset}: ")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (0xFC, "fc"),
        (0xFD, "fdfd00"),
        (0xFFFF, "fdffff"),
        (0x10000, "fe00000100"),
        (0xFFFFFFFF, "feffffffff"),
        (0x100000000, "ff0000000001000000"),
        (2**64 - 1, "ff" + "ff" * 8),
    ],
)
def test_compact_sizes_at_their_edges(value: int, encoded: str) -> None:
    assert compact_size(value).hex() == encoded
    assert Reader(bytes.fromhex(encoded)).compact_size("x") == value


@pytest.mark.parametrize("encoded", ["fdfc00", "fe0000ffff"[:2] + "ffff0000", "ffffffffff00000000"])
def test_longer_forms_of_compact_sizes_are_refused(encoded: str) -> None:
    with pytest.raises(ParseError, match="too long"):
        Reader(bytes.fromhex(encoded)).compact_size("x")


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_compact_sizes_end_at_64_bits(value: int) -> None:
    with pytest.raises(ValueError, match="compact size"):
        compact_size(value)


def test_values_that_do_not_fit_are_refused() -> None:
    good = TxInput(OutPoint(bytes(32), 0), b"")
    with pytest.raises(ValueError, match="31 bytes"):
        OutPoint(bytes(31), 0)
    with pytest.raises(ValueError, match="output value"):
        TxOutput(-1, b"")
    with pytest.raises(ValueError, match="at least one input"):
        Transaction(1, (), ())
    with pytest.raises(ValueError, match="2 witnesses do not match 1 inputs"):
        Transaction(1, (good,), (), ((b"",), (b"",)))
    with pytest.raises(ValueError, match="lock time"):
        Transaction(1, (good,), (), (), 1 << 32)
