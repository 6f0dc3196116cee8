"""Bytes on the wire in one hour of mining: encrypted Stratum V2 against Stratum V1 in the clear.

TCP payload only, both directions: the headers of TCP and IP are left out, as they hang on how
lines and frames share segments.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from figures import table
from ledger import Ledger, Purpose
from scenario import COINBASES, Options
from stratum_v1 import StratumV1
from stratum_v2 import OURS, SRI, StratumV2

DESCRIPTION = "bytes of one hour of mining, encrypted Stratum V2 against Stratum V1 JSON"

CLAIM: Final = 0.50  # the least that the public claim of 50 to 66 % promises
VARIANTS: Final = ((False, SRI), (False, OURS), (True, SRI), (True, OURS))


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of speaking Stratum V2, and what its hour took."""

    channel: str
    acknowledged: str
    ledger: Ledger

    def saved(self, v1: Ledger, purpose: Purpose | None = None) -> float | None:
        """The share of V1's bytes that were not needed; None where V1 has none."""
        before = v1.total if purpose is None else v1.of(purpose)
        after = self.ledger.total if purpose is None else self.ledger.of(purpose)
        return 1 - after / before if before else None


def measure(options: Options) -> tuple[Ledger, list[Variant]]:
    variants = [
        Variant(
            "extended" if extended else "standard",
            batching.name,
            StratumV2(options, extended, batching).run(),
        )
        for extended, batching in VARIANTS
    ]
    return StratumV1(options).run(), variants


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench wire_bytes", description=DESCRIPTION)
    parser.add_argument("--user", default=Options().user, help="the miner's name at the pool")
    parser.add_argument("--branches", type=int, default=Options().branches, help="merkle branches")
    parser.add_argument("--coinbase", choices=COINBASES, default=Options().coinbase)
    parser.add_argument(
        "--extranonce-size",
        type=int,
        default=Options().extranonce_size,
        help="the client's bytes of it, in V1 and in an extended channel",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    given = parser.parse_args(argv)
    options = Options(given.user, given.branches, given.coinbase, given.extranonce_size)
    v1, variants = measure(options)
    if given.json:
        print(json.dumps(report(options, v1, variants)))
    else:
        print_tables(options, v1, variants)
    return 0


def report(options: Options, v1: Ledger, variants: list[Variant]) -> dict[str, Any]:
    return {
        "bench": "wire_bytes",
        "options": asdict(options),
        "v1": entries(v1),
        "v2": [
            {
                "channel": variant.channel,
                "acknowledged": variant.acknowledged,
                "saved": round(1 - variant.ledger.total / v1.total, 4),
                "claim_met": beats_claim(variant, v1),
                "encryption_bytes": variant.ledger.overhead,
                **entries(variant.ledger),
            }
            for variant in variants
        ],
    }


def entries(ledger: Ledger) -> dict[str, Any]:
    messages = [asdict(entry) for entry in ledger.entries.values()]
    return {"total_bytes": ledger.total, "messages": messages}


def beats_claim(variant: Variant, v1: Ledger) -> bool:
    saved = variant.saved(v1)
    return saved is not None and saved >= CLAIM


def print_tables(options: Options, v1: Ledger, variants: list[Variant]) -> None:
    print(
        "one hour: 360 shares, a job each 30 s, a block each 10 min; TCP payload bytes of both"
        " directions,\nwithout the headers of TCP and IP; Stratum V1 in the clear, V2 encrypted"
    )
    print(
        f"user {options.user!r}, {options.branches} merkle branches, {options.coinbase} coinbase, "
        f"extranonce {options.extranonce_size} bytes"
    )
    print(
        "V2 on a standard or an extended channel, shares acknowledged each 10 shares as SRI does,"
        " or, as\nour pool does, some time after the first one that waits\n"
    )
    print(table(purpose_rows(v1, variants)) + "\n")
    for name, ledger in (
        ("Stratum V1", v1),
        *((f"V2 {v.channel}, acknowledged each {v.acknowledged}", v.ledger) for v in variants),
    ):
        print(table(message_rows(name, ledger)) + "\n")


def purpose_rows(v1: Ledger, variants: list[Variant]) -> list[list[str]]:
    heading = ["by purpose", "V1"]
    for variant in variants:
        heading += [f"{variant.channel}, {variant.acknowledged}", "saved"]
    rows = [heading]
    purposes: list[Purpose | None] = [*Purpose, None]
    for purpose in purposes:
        row = [purpose or "total", f"{v1.of(purpose) if purpose else v1.total:,}"]
        for variant in variants:
            ledger = variant.ledger
            row.append(f"{ledger.of(purpose) if purpose else ledger.total:,}")
            saved = variant.saved(v1, purpose)
            row.append("" if saved is None else f"{saved:.1%}")
        rows.append(row)
    overhead, verdict = ["of it encryption", "0"], ["claim: 50 % or more", ""]
    for variant in variants:
        overhead += [f"{variant.ledger.overhead:,}", ""]
        verdict += ["", "met" if beats_claim(variant, v1) else "MISSED"]
    return [*rows, overhead, verdict]


def message_rows(name: str, ledger: Ledger) -> list[list[str]]:
    rows = [[name, "count", "bytes each", "bytes"]]
    for entry in ledger.entries.values():
        each = f"{entry.size / entry.count:,.1f}".removesuffix(".0")
        rows.append([entry.message, f"{entry.count:,}", each, f"{entry.size:,}"])
    return rows
