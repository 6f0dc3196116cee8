"""The search with Python's hashlib: the last resort, the simulator's, and the others' judge."""

from __future__ import annotations

import hashlib
import struct
from concurrent.futures import Future, ThreadPoolExecutor

from sv2rig.compute.engine import EngineInfo, Loaded
from sv2rig.devices.work import Solution, Work


class HashlibEngine:
    """One thread, half a million hashes a second."""

    info = EngineInfo("Python's hashlib", "hashlib")

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hashlib")

    def load(self, work: Work) -> Loaded:
        return Loaded.of(work)

    def launch(
        self, loaded: Loaded, ntime: int, nonce_start: int, nonce_count: int
    ) -> HashlibLaunch:
        return HashlibLaunch(
            self._thread.submit(_scan, loaded, ntime, range(nonce_start, nonce_start + nonce_count))
        )

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)


class HashlibLaunch:
    def __init__(self, found: Future[list[Solution]]) -> None:
        self._found = found

    def collect(self) -> list[Solution]:
        return self._found.result()


def _scan(loaded: Loaded, ntime: int, nonces: range) -> list[Solution]:
    """Hashes share the first block of their header through copies of one hashlib object."""
    work = loaded.work
    ticket = work.ticket
    sha256 = hashlib.sha256
    pack = struct.Struct("<I").pack
    found = []
    for version in loaded.versions:
        first = sha256(work.header(0, version, ntime)[:76])
        for nonce in nonces:
            header = first.copy()
            header.update(pack(nonce))
            digest = sha256(header.digest()).digest()
            if int.from_bytes(digest, "little") <= ticket:
                found.append(Solution(work.work_id, nonce, version, ntime))
    return found
