"""A process that keeps a store busy until it is killed, or until its file may not grow.

store_writer_child.py FOLDER kill    says `ack N` once the N-th share is told
store_writer_child.py FOLDER full    its files may not grow beyond 256 KiB until it says so
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from pathlib import Path

from store_scene import UTC, device, rig, share

from sv2rig.rig import store_writer
from sv2rig.rig.store import Store

FILE_LIMIT = 256 * 1024
VERDICTS = ("accepted", "accepted", "stale", "rejected", "unacknowledged")


def say(*words: object) -> None:
    print(*words, flush=True)


def tell(level: str, text: str) -> None:
    say("report", level, text)


def busy(folder: Path) -> None:
    store = Store.open(folder, tell)
    number = 0
    while True:
        for _ in range(20):
            number += 1
            verdict, name = VERDICTS[number % 5], f"board{number % 7}"
            store.add_share(share(number, verdict=verdict, device=name, is_block=number % 50 == 0))
        devices = [device(f"board{n}", hardware_errors=number) for n in range(7)]
        store.add_samples(UTC + 3 * number, devices, rig(devices, number))
        say("ack", number, time.monotonic())
        time.sleep(0.01)


def full(folder: Path) -> None:
    """On a line of input the files may grow again; on the next the store is closed."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails with EFBIG
    store_writer.RETRY_S = 0.2  # type: ignore[misc]
    store = Store.open(folder, tell)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, most))
    shares = int(sys.argv[3])
    slowest = 0.0
    for number in range(1, shares + 1):
        began = time.monotonic()
        store.add_share(share(number))
        slowest = max(slowest, time.monotonic() - began)
        if number % 500 == 0:
            time.sleep(0.05)
    say("told", shares, slowest)
    sys.stdin.readline()
    say("trouble", store.trouble)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    sys.stdin.readline()
    say("trouble", store.trouble)
    store.close()
    say("closed")


if __name__ == "__main__":
    {"kill": busy, "full": full}[sys.argv[2]](Path(sys.argv[1]))
