"""One of a rig's pools, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sv2rig.bitcoin.address import address_to_script
from sv2rig.sv2.url import PoolUrl


class PoolRefusedError(Exception):
    """A wish about pools that cannot be carried out, in words for the user."""


class PoolState(StrEnum):
    """Where one of the pools stands, in the word that people see."""

    MINING = "mining"
    CONNECTING = "connecting"
    STANDBY = "standby"  # fit, as far as is known
    DOWN = "down"
    REFUSED = "refused"  # trying again is of no use until something changes
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A pool, who mines there and on which kind of channel: `standard_channels` one a device, else
    one extended channel for all. `name` is unique among the rig's pools. `hides_user`: who mines is
    a secret, which no picture shows. `payout_address`: whom the user wants jobs to pay, which is
    only looked at; ValueError where it is no address, of whichever network."""

    name: str
    url: PoolUrl
    user: str
    standard_channels: bool = False
    enabled: bool = True
    hides_user: bool = False
    payout_address: str | None = None

    def __post_init__(self) -> None:
        _ = self.payout_script

    @property
    def payout_script(self) -> bytes | None:
        """The output script that pays `payout_address`."""
        return None if self.payout_address is None else address_to_script(self.payout_address)

    @property
    def shown_user(self) -> str:
        """The user as people may see it."""
        return "(secret)" if self.hides_user else self.user


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a pool stands. `since`: when that began; `probed`: when it last answered a probe."""

    entry: PoolEntry
    state: PoolState
    detail: str
    since: float
    probed: float | None
    is_active: bool
