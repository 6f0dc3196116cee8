"""Which kernel styles are fastest on an OpenCL device: measured once, then remembered.

Every candidate must first find what hashlib finds. The choice is kept in the user's cache folder,
under a key made of the device, its driver and the kernels' text.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import msgspec
import platformdirs
import structlog

from sv2rig.compute.engine import Engine, EngineError, Launch, Loaded
from sv2rig.compute.known_answers import questions, wrong_answers
from sv2rig.compute.native import host_features
from sv2rig.compute.opencl import OpenClContext, OpenClEngine, Styles
from sv2rig.compute.opencl_probe import DeviceKind, OpenClDevice
from sv2rig.compute.pacing import QUEUED, Pace
from sv2rig.devices.work import NONCES
from sv2rig.kernels.opencl import Logic, Style, kernel_source
from sv2rig.kernels.program import search_program

_CPU_BUDGET_S, _BUDGET_S = 2.5, 15.0  # no further candidate is begun after it
_WARM_UP_S = 0.05
_MEASURE_S = 0.15
_LATENCY_S = 0.02  # of the launches that are timed

log = structlog.get_logger()


def candidates(device: OpenClDevice) -> list[Style]:
    """Styles worth trying, the likeliest first.

    CPUs take one vector a work-item: their compilers never make vectors from scalars here, and
    neither more vectors an item nor the local size changed anything that could be measured.
    """
    if device.kind is DeviceKind.CPU:
        if "avx512f" in host_features():
            return [Style(16, 1, 16, Logic.TERNARY), Style(16, 1, 16, Logic.PLAIN)]
        if "avx2" in host_features():
            return [Style(8, 1, 16), Style(4, 1, 16)]
        return [Style(4, 1, 16)]
    sizes = [(1, 256), (1, 64), (4, 128), (16, 64)]
    styles = [Style(1, vectors, local_size) for vectors, local_size in sizes]
    return [*styles, replace(styles[0], logic=Logic.SELECT), replace(styles[0], lanes=2)]


def tuned_engine(device: OpenClDevice, cache: Path | None = None) -> OpenClEngine:
    """Opens a device with its fastest styles, from the cache file or by trying them.

    EngineError if it cannot be opened, or if no candidate builds and answers right.
    """
    context = OpenClContext(device)
    path = cache or Path(platformdirs.user_cache_dir("sv2rig")) / "autotune.json"
    key = _key(device)
    if (styles := _read(path).get(key)) is not None:
        try:
            return OpenClEngine(context, styles)
        except EngineError as error:
            log.warning("the remembered kernel does not build; tuning again", reason=str(error))
    styles = _fastest(context)
    _write(path, key, styles)
    return OpenClEngine(context, styles)


def _key(device: OpenClDevice) -> str:
    """What the choice depends on."""
    text = "\n".join(
        kernel_source(search_program(), style, several)
        for style in candidates(device)
        for several in (False, True)
    )
    kernels = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{device.name} | {device.driver_version} | {kernels}"


def _read(path: Path) -> dict[str, Styles]:
    """Choices made before; none where the file is missing or not ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Styles])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write(path: Path, key: str, styles: Styles) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode({**_read(path), key: styles}))
        new.replace(path)
    except OSError as error:
        log.warning("the kernel choice could not be kept", path=str(path), reason=str(error))


def _fastest(context: OpenClContext) -> Styles:
    name = context.device.name
    budget_s = _CPU_BUDGET_S if context.device.kind is DeviceKind.CPU else _BUDGET_S
    began = time.monotonic()
    speeds: dict[Style, tuple[float, float]] = {}
    reasons: list[str] = []
    for style in candidates(context.device):
        if speeds and time.monotonic() - began > budget_s:
            break
        try:
            speeds[style] = _try(context, style)
        except EngineError as error:
            reasons.append(str(error))
            log.warning("kernel dropped", device=name, style=style.name, reason=str(error))
    if not speeds:
        raise EngineError(f"no kernel works on {name}: {'; '.join(reasons)}")
    one = max(speeds, key=lambda style: speeds[style][0])
    several = max(speeds, key=lambda style: speeds[style][1])
    log.info(
        "kernels tuned",
        device=name,
        seconds=round(time.monotonic() - began, 1),
        one=f"{one.name} {speeds[one][0] / 1e6:.1f} MH/s",
        several=f"{several.name} {speeds[several][1] / 1e6:.1f} MH/s",
    )
    return Styles(one, several)


def _try(context: OpenClContext, style: Style) -> tuple[float, float]:
    """Hashes a second with one midstate and with eight. EngineError if it answers wrong."""
    engine = OpenClEngine(context, Styles(style, style))
    if wrong := list(wrong_answers(engine)):
        raise EngineError(f"{style.name} computes wrong hashes: {wrong[0]}")
    work = replace(questions()[0].work, ticket=0, nonce_start=0, nonce_count=NONCES)
    one, several = (engine.load(replace(work, version_bits=bits)) for bits in (0, 0xE000))
    return measure(engine, one, _MEASURE_S), measure(engine, several, _MEASURE_S)


def measure(engine: Engine, loaded: Loaded, seconds: float, latency_s: float = _LATENCY_S) -> float:
    """Hashes a second over so long, launched as a device would, after a short warm-up."""
    launches = _Launches(engine, loaded, latency_s)
    warm_at = time.monotonic() + _WARM_UP_S
    while launches.next() < warm_at:
        pass
    began, before = launches.ended_at, launches.hashes
    while launches.next() < began + seconds:
        pass
    speed = (launches.hashes - before) / (launches.ended_at - began)
    launches.drain()
    return speed


class _Launches:
    """An endless run of launches over a Work's nonces."""

    def __init__(self, engine: Engine, loaded: Loaded, latency_s: float) -> None:
        self.hashes = 0
        self.ended_at = time.monotonic()
        self._engine = engine
        self._loaded = loaded
        self._pace = Pace(latency_s)
        self._nonce = 0
        self._under_way: deque[tuple[Launch, int]] = deque()

    def next(self) -> float:
        """Fills the queue, waits for the oldest launch, and returns when it ended."""
        versions = len(self._loaded.versions)
        while len(self._under_way) < QUEUED:
            nonces = self._pace.nonces(versions, self._engine.info.granularity)
            start = self._nonce if self._nonce + nonces <= NONCES else 0
            ntime = self._loaded.work.ntime
            self._under_way.append(
                (self._engine.launch(self._loaded, ntime, start, nonces), nonces)
            )
            self._nonce = start + nonces
        launch, nonces = self._under_way.popleft()
        launch.collect()
        now = time.monotonic()
        self._pace.measured(nonces * versions, now - self.ended_at)
        self.hashes += nonces * versions
        self.ended_at = now
        return now

    def drain(self) -> None:
        for launch, _ in self._under_way:
            launch.collect()
