"""/metrics: the rig's picture as Prometheus reads it. docs/metrics.md names what is here.

Labels are stable: a device's id and back end, a pool's name, a verdict. Names hold base units
(seconds, hertz, celsius, watts, ratio). What is unknown is left out, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sv2rig.api.rig import ApiRig
from sv2rig.rig.snapshot import (
    DeviceSnapshot,
    PoolSnapshot,
    PoolStanding,
    RigSnapshot,
    ShareCounts,
)

DEVICE = ("device", "backend")
POOL = ("pool",)
VERDICTS = ("accepted", "rejected", "stale", "unacknowledged")
UP = frozenset(("mining", "standby"))
GONE = frozenset(("DEAD", "LOST"))

OfDevice = Callable[[DeviceSnapshot], float | None]
OfRig = Callable[[RigSnapshot], float | None]
OfPool = Callable[[PoolSnapshot], float | None]

RIG_GAUGES: tuple[tuple[str, str, OfRig], ...] = (
    ("sv2rig_uptime_seconds", "How long the rig has run.", lambda r: r.uptime_s),
    ("sv2rig_mining", "1 while the rig mines.", lambda r: r.state == "mining"),
    ("sv2rig_hashrate_hashes_per_second", "Hash rate of all devices.", lambda r: r.hashrate_hs),
    ("sv2rig_power_watts", "Power of the devices that measure it.", lambda r: r.power_w),
    ("sv2rig_best_difficulty", "Difficulty of the best share.", lambda r: r.best_difficulty),
    (
        "sv2rig_clock_error_seconds",
        "By how much this machine's clock is ahead, where that is known.",
        lambda r: r.clock_error_s,
    ),
)
RIG_COUNTERS: tuple[tuple[str, str, OfRig], ...] = (
    ("sv2rig_blocks_found", "Blocks found.", lambda r: r.blocks_found),
    (
        "sv2rig_pool_reconnects",
        "Connections to pools after the first.",
        lambda r: r.pool.reconnects,
    ),
)
DEVICE_GAUGES: tuple[tuple[str, str, OfDevice], ...] = (
    ("sv2rig_device_up", "1 unless the device is DEAD or LOST.", lambda d: d.state not in GONE),
    ("sv2rig_device_mining", "1 while the device mines.", lambda d: d.state == "MINING"),
    ("sv2rig_device_enabled", "0 where the user has disabled it.", lambda d: d.enabled),
    ("sv2rig_device_paused", "1 where the user has paused it.", lambda d: d.paused),
    ("sv2rig_device_hashrate_hashes_per_second", "Its hash rate.", lambda d: d.hashrate_hs),
    (
        "sv2rig_device_rated_hashes_per_second",
        "The hash rate expected of it.",
        lambda d: d.rated_hs,
    ),
    ("sv2rig_device_temperature_celsius", "Its temperature.", lambda d: d.temperature_c),
    ("sv2rig_device_hot_celsius", "From where it is throttled.", lambda d: d.hot_c),
    ("sv2rig_device_fan_ratio", "Its fan's speed, 0 to 1.", lambda d: _part(d.fan_percent, 0.01)),
    ("sv2rig_device_power_watts", "Its power.", lambda d: d.power_w),
    ("sv2rig_device_frequency_hertz", "Its clock.", lambda d: _part(d.frequency_mhz, 1e6)),
    ("sv2rig_device_best_difficulty", "Its best share's difficulty.", lambda d: d.best_difficulty),
    (
        "sv2rig_device_last_share_timestamp_seconds",
        "When it found its last share (UTC).",
        lambda d: d.last_share,
    ),
)
DEVICE_COUNTERS: tuple[tuple[str, str, OfDevice], ...] = (
    ("sv2rig_device_hardware_errors", "Wrong nonces.", lambda d: d.hardware_errors),
    (
        "sv2rig_device_communication_errors",
        "Bytes from it that were no answer.",
        lambda d: d.comm_errors,
    ),
)
POOL_GAUGES: tuple[tuple[str, str, OfPool], ...] = (
    ("sv2rig_pool_difficulty", "Difficulty that the pool asks for.", lambda p: p.difficulty),
    ("sv2rig_pool_job_age_seconds", "Age of the job that is mined.", lambda p: p.job_age_s),
    ("sv2rig_pool_block_height", "Height of the block that is mined.", lambda p: p.height),
    (
        "sv2rig_pool_latency_seconds",
        "How long its last answer to a share took.",
        lambda p: _part(p.latency_ms, 0.001),
    ),
)


class RigCollector(Collector):
    """Draws every value from one snapshot. `stream_clients` counts who looks at the stream."""

    def __init__(self, rig: ApiRig, stream_clients: Callable[[], int]) -> None:
        self._rig = rig
        self._stream_clients = stream_clients

    def collect(self) -> Iterator[Metric]:
        """The families, each once."""
        picture = self._rig.source.snapshot()
        name = {"name": picture.name, "version": picture.version}
        yield InfoMetricFamily("sv2rig", "The rig and its program.", value=name)
        yield from _of_rig(picture)
        yield from _of_devices(picture.devices)
        yield from _of_pools(picture)
        lag = self._rig.loop_lag_s() if self._rig.loop_lag_s is not None else None
        yield from _gauge("sv2rig_event_loop_lag_seconds", "How late the event loop is.", lag)
        clients = self._stream_clients()
        yield from _gauge("sv2rig_stream_clients", "Clients of /v1/stream.", clients)


class Metrics:
    """Writes the text that a scrape gets."""

    def __init__(self, rig: ApiRig, stream_clients: Callable[[], int]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(RigCollector(rig, stream_clients))
        ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text and its media type, in the form that the scraper accepts."""
        try:
            encode, media = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is no number
            encode, media = choose_encoder("")
        return encode(self._registry), media


def _of_rig(picture: RigSnapshot) -> Iterator[Metric]:
    for name, words, value in RIG_GAUGES:
        yield from _gauge(name, words, value(picture))
    for name, words, value in RIG_COUNTERS:
        yield CounterMetricFamily(name, words, value=value(picture))
    yield _shares("sv2rig_shares", "Shares by what became of them.", [((), picture.shares)], ())


def _of_devices(devices: Sequence[DeviceSnapshot]) -> Iterator[Metric]:
    names = {device.id: (device.id, device.backend) for device in devices}
    about = GaugeMetricFamily(
        "sv2rig_device_info", "1; the labels tell of the device.", labels=(*DEVICE, *_ABOUT)
    )
    for device in devices:
        about.add_metric((*names[device.id], *(getattr(device, a) or "" for a in _ABOUT)), 1)
    yield about
    for kind, table in ((GaugeMetricFamily, DEVICE_GAUGES), (CounterMetricFamily, DEVICE_COUNTERS)):
        for name, words, value in table:
            family = kind(name, words, labels=DEVICE)
            for device in devices:
                if (number := value(device)) is not None:
                    family.add_metric(names[device.id], number)
            yield family
    counts = [(names[device.id], device.shares) for device in devices]
    yield _shares("sv2rig_device_shares", "Its shares by what became of them.", counts, DEVICE)


_ABOUT = ("name", "variant", "port")


def _of_pools(picture: RigSnapshot) -> Iterator[Metric]:
    standings = picture.pools or (_only(picture.pool),)
    up = GaugeMetricFamily("sv2rig_pool_up", "1 where the pool is fit to mine on.", labels=POOL)
    active = GaugeMetricFamily("sv2rig_pool_active", "1 for the pool that is used.", labels=POOL)
    for pool in standings:
        up.add_metric((pool.name,), pool.state in UP)
        active.add_metric((pool.name,), pool.is_active)
    yield from (up, active)
    current = next((pool.name for pool in standings if pool.is_active), picture.pool.name)
    for name, words, value in POOL_GAUGES:
        family = GaugeMetricFamily(name, words, labels=POOL)
        if (number := value(picture.pool)) is not None:
            family.add_metric((current,), number)
        yield family


def _only(pool: PoolSnapshot) -> PoolStanding:
    return PoolStanding(pool.name or pool.url, pool.url, pool.user, pool.state, is_active=True)


def _gauge(name: str, words: str, value: float | None) -> Iterable[Metric]:
    return () if value is None else (GaugeMetricFamily(name, words, value=value),)


def _shares(
    name: str,
    words: str,
    counts: Sequence[tuple[tuple[str, ...], ShareCounts]],
    labels: tuple[str, ...],
) -> Metric:
    family = CounterMetricFamily(name, words, labels=(*labels, "verdict"))
    for who, shares in counts:
        for verdict in VERDICTS:
            family.add_metric((*who, verdict), getattr(shares, verdict))
    return family


def _part(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
