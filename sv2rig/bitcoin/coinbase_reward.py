"""What a coinbase shows of its block: the height, and who is paid how much."""

from dataclasses import dataclass

from sv2rig.bitcoin.coinbase import height_push
from sv2rig.bitcoin.transaction import Transaction

_LONGEST_HEIGHT = 4  # bytes of a height up to 2^31-1


@dataclass(frozen=True, slots=True)
class CoinbaseReward:
    """`height` by BIP34, None where none stands there. `total`: satoshi of all outputs, `paid`:
    of those to the script that was asked for."""

    height: int | None
    total: int
    paid: int


def coinbase_reward(coinbase: bytes, script: bytes = b"") -> CoinbaseReward:
    """The reward of a coinbase, stripped or with its witness, and what of it `script` gets.

    ParseError where `coinbase` is not a transaction, ValueError where that spends an output.
    """
    transaction = Transaction.parse(coinbase)
    if not transaction.is_coinbase:
        raise ValueError("not a coinbase: it spends an output")
    return CoinbaseReward(
        pushed_height(transaction.inputs[0].script),
        sum(output.value for output in transaction.outputs),
        sum(output.value for output in transaction.outputs if output.script == script),
    )


def pushed_height(script_sig: bytes) -> int | None:
    """The height with which a scriptSig begins (BIP34), None where it begins with something else.

    Only the minimal push counts, as in consensus. Before block 227,931 anything may stand there.
    """
    opcode = script_sig[0] if script_sig else 0xFF
    if opcode == 0:
        return 0
    if 0x51 <= opcode <= 0x60:
        return opcode - 0x50
    pushed = script_sig[1 : 1 + opcode]
    if not 1 <= len(pushed) == opcode <= _LONGEST_HEIGHT:
        return None
    height = int.from_bytes(pushed, "little", signed=True)
    return height if height > 16 and script_sig.startswith(height_push(height)) else None
