"""The pool panel's line about the block and whom it pays."""

from __future__ import annotations

import msgspec
import pytest
from tui_scenes import ALIVE, Source, device, rig

from sv2rig.rig.snapshot import PoolSnapshot, PoolStanding
from sv2rig.tui.pool_lines import pools
from sv2rig.tui.watch import Watch

LONG = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"


def shown(pool: PoolSnapshot, width: int = 70, height: int = 6, count: int = 1) -> list[str]:
    standings = tuple(
        PoolStanding(f"p{number}", "stratum2+tcp://h:1/k", "me", "standby", is_active=number == 0)
        for number in range(count)
    )
    picture = rig(device(0), pool=pool, pools=standings)
    _, lines = pools(Watch(Source(picture), lambda: 0.0), picture, width, height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    return [line.plain for line in lines]


def of(share: float | None, address: str | None = ALIVE.payout_address) -> PoolSnapshot:
    return msgspec.structs.replace(ALIVE, payout_share=share, payout_address=address)


@pytest.mark.parametrize(
    ("share", "mark", "words"),
    [
        (1.0, "✔", "100.0%"),
        (0.9999, "✔", "99.9%"),
        (0.98, "✔", "98.0%"),
        (0.57, "✔", "57.0%"),
        (0.001, "✔", "0.1%"),
        (0.0001, "✔", "<.1%"),
        (0.0, "✖", "paid nothing"),
    ],
)
def test_marks_come_with_words(share: float, mark: str, words: str) -> None:
    last = shown(of(share))[-1]
    assert last.startswith(f"height 903412  payout {mark} bc1qw508")
    assert last.endswith(words)


def test_what_is_unknown_is_a_dash() -> None:
    assert shown(of(None))[-1].startswith("height 903412  payout – bc1qw508")
    assert shown(of(None, None))[-1] == "height 903412  payout –"
    nothing = msgspec.structs.replace(of(None, None), height=None)
    assert shown(nothing)[-1] == "height –  payout –"


def test_both_ends_of_a_long_address_stay() -> None:
    last = shown(of(0.98, LONG), width=45)[-1]
    assert last == "height 903412  payout ✔ bc1qrp3…qccfmv3 98.0%"


def test_pools_come_first_where_there_is_little_room() -> None:
    assert "payout" in shown(of(0.98), 45, height=4, count=1)[-1]
    assert not any("payout" in line for line in shown(of(0.98), 45, height=4, count=2))
    assert "payout" in shown(of(0.98), height=6, count=9)[-1]
