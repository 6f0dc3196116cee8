"""Snapshots drawn from what the rig, its devices and its session know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sv2rig.bitcoin.target import difficulty
from sv2rig.devices.device import Adjustable, Device
from sv2rig.mining.context import ShareDone
from sv2rig.mining.payout import Payout
from sv2rig.mining.session import Session
from sv2rig.mining.tally import Tally
from sv2rig.rig.knobs import CLOCKS
from sv2rig.rig.rig_device import RigDevice
from sv2rig.rig.snapshot import (
    DeviceSnapshot,
    LifetimeSnapshot,
    PoolSnapshot,
    PoolStanding,
    ShareCounts,
    ShareRecord,
)


def device_picture(device: RigDevice, tally: Tally, rig_mines: bool) -> DeviceSnapshot:
    """One device. In a rig that mines, one without work hashes nothing, as is known."""
    info, telemetry = device.info, device.telemetry()
    idle = rig_mines and device.is_idle and not device.is_gone
    return DeviceSnapshot(
        id=info.device_id,
        backend=info.backend,
        name=info.name,
        variant=info.variant,
        state=device.state.value,
        reason=device.reason,
        since=device.since,
        hashrate_hs=0.0 if idle else device.current_hs,
        hashrate_1m_hs=device.minute_hs,
        hashrate_error=None if idle else device.rate_error,
        temperature_c=telemetry.temperature_c,
        fan_percent=telemetry.fan_percent,
        power_w=telemetry.power_w,
        shares=share_counts(tally),
        hardware_errors=tally.hardware_errors,
        comm_errors=tally.comm_errors,
        emulated=info.emulated,
        last_share=tally.last_share_utc,
        enabled=device.enabled,
        paused=device.paused,
        port=info.port,
        frequency_mhz=_frequency(device.device),
        rated_hs=info.rated_hs,
        hot_c=info.hot_c,
        best_difficulty=difficulty_of(tally.best_hash),
        blocks=tally.blocks,
    )


def _frequency(device: Device) -> float | None:
    if not isinstance(device, Adjustable):
        return None
    names = (setting.name for setting in device.info.settings if setting.name in CLOCKS)
    name = next(names, None)
    return None if name is None else device.setting(name)


def share_record(number: int, done: ShareDone) -> ShareRecord:
    """The share as the API shows it."""
    return ShareRecord(
        number=number,
        time=done.sent_utc,
        device=done.device_id,
        pool=done.pool,
        verdict=done.verdict,
        difficulty=difficulty_of(done.hash_value) or 0.0,
        wanted=difficulty_of(done.target) or 0.0,
        is_block=done.is_block,
        latency_ms=None if done.latency_s is None else done.latency_s * 1000,
        reason=done.reason,
    )


def pool_picture(
    session: Session, now: float, as_utc: Callable[[float | None], float | None]
) -> PoolSnapshot:
    """The pool; `as_utc` turns moments of the clock that `now` is of into UTC."""
    channels = session.channels
    newest = max(channels, key=lambda c: c.job_since or 0.0, default=None)
    job = newest.job if newest else None
    payout = (newest.payout if newest else None) or Payout()
    since = newest.job_since if newest else None
    targets = [channel.target for channel in channels if channel.target]
    return PoolSnapshot(
        url=str(session.entry.url),
        state=session.state.value,
        detail=session.detail,
        transport=session.transport,
        channel_kind=_kind([channel.is_extended for channel in channels]),
        difficulty=difficulty_of(min(targets, default=None)),
        job_id=job.job_id if job else None,
        job_age_s=None if since is None else now - since,
        latency_ms=None if session.latency_s is None else session.latency_s * 1000,
        connected_since=as_utc(session.connected_since),
        reconnects=max(0, session.connections - 1),
        new_block_at=as_utc(session.new_block_at),
        name=session.entry.name,
        user=session.entry.shown_user,
        height=payout.height,
        payout_address=session.entry.payout_address,
        payout_share=payout.share,
    )


def standings(
    session: Session, as_utc: Callable[[float | None], float | None]
) -> tuple[PoolStanding, ...]:
    """All pools, in the order in which they are preferred."""
    return tuple(
        PoolStanding(
            name=standing.entry.name,
            url=str(standing.entry.url),
            user=standing.entry.shown_user,
            state=standing.state.value,
            detail=standing.detail,
            since=as_utc(standing.since),
            probed=as_utc(standing.probed),
            is_active=standing.is_active,
        )
        for standing in session.pools()
    )


def sum_of_known(values: Iterable[float | None]) -> float | None:
    """None where none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def difficulty_of(target: int | None) -> float | None:
    return None if not target else float(difficulty(target))


def share_counts(tally: Tally) -> ShareCounts:
    return ShareCounts(
        accepted=tally.accepted,
        rejected=tally.rejected,
        stale=tally.stale,
        pending=tally.pending,
        unacknowledged=tally.unacknowledged,
    )


def lifetime(before: LifetimeSnapshot | None, tally: Tally) -> LifetimeSnapshot | None:
    """What the runs before this one came to, and this one's counts."""
    if before is None:
        return None
    bests = (before.best_difficulty, difficulty_of(tally.best_hash))
    return LifetimeSnapshot(
        accepted=before.accepted + tally.accepted,
        rejected=before.rejected + tally.rejected,
        stale=before.stale + tally.stale,
        blocks=before.blocks + tally.blocks,
        best_difficulty=max((best for best in bests if best is not None), default=None),
    )


def _kind(extended: Sequence[bool]) -> str:
    if not extended:
        return ""
    return "extended" if extended[0] else f"standard x{len(extended)}"
