"""The latest shares and what became of them, newest below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.text import Text

from sv2rig.rig.snapshot import ShareRecord
from sv2rig.tui.panels import note
from sv2rig.tui.states import BAD, DIM, GOOD, WARN
from sv2rig.tui.text import cell, clock, fit, fit_middle, plain, quantity
from sv2rig.units import difficulty

_VERDICTS = {
    "accepted": ("ok", GOOD),
    "rejected": ("rejected", BAD),
    "stale": ("stale", WARN),
    "unacknowledged": ("no answer", WARN),
}
_LATENCY = 7


def shares(known: Sequence[ShareRecord], width: int, height: int) -> list[Text]:
    """As many lines as there is room for."""
    if not known:
        return [note("No share yet.")]
    newest = list(islice(reversed(known), max(height, 0)))
    return [share_line(share, width) for share in reversed(newest)]


def share_line(share: ShareRecord, width: int) -> Text:
    """Time, device, its difficulty over the wanted one, verdict, and how long that took."""
    said, role = _VERDICTS.get(share.verdict, (plain(share.verdict), WARN))
    if share.is_block:
        said, role = "BLOCK", f"bold {GOOD}"
    elif share.reason:
        said = f"{said} {plain(share.reason)}"
    ratio = f"{difficulty(share.difficulty)}/{difficulty(share.wanted)}"
    device = min(24, max(width - 42, 6))
    verdict = max(width - 9 - device - 16 - _LATENCY, 2)
    return Text.assemble(
        (f"{clock(share.time)} ", DIM),
        cell(fit_middle(plain(share.device), device), device),
        cell(f" {fit(ratio, 15)}", 16),
        (cell(said, verdict), role),
        cell(quantity(share.latency_ms, " ms"), _LATENCY, right=True),
    )
