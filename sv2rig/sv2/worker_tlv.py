"""The worker's name that extension 0x0002 appends to SubmitSharesExtended."""

from __future__ import annotations

from collections.abc import Iterable

from sv2rig.sv2.tlv import TLV

WORKER_TRACKING = 0x0002
_USER_IDENTITY = 0x01


def worker_tlv(name: str) -> TLV:
    """The field for a worker's name; at most 32 bytes of UTF-8 can be encoded."""
    return TLV(WORKER_TRACKING, _USER_IDENTITY, name.encode())


def worker_of(tlvs: Iterable[TLV]) -> str | None:
    """The worker's name among a message's fields, if it is there."""
    for tlv in tlvs:
        if (tlv.extension_type, tlv.field_type) == (WORKER_TRACKING, _USER_IDENTITY):
            return tlv.value.decode("utf-8", "replace")
    return None
