"""The sv2rig command, telling on SIGUSR1 what CPU time each of its threads has used.

    python bench/metered.py FD ARGUMENTS...

Each signal brings one JSON object on a line of its own to the open file FD. The threads' clocks are
read from inside, since Python 3.11 gives threads no name that other processes can see. Time of
threads that have ended, and of those that are not Python's, stands in `process_s` only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from types import FrameType


def reading() -> dict[str, object]:
    threads = [
        (thread.name, time.clock_gettime(time.pthread_getcpuclockid(thread.ident)))
        for thread in threading.enumerate()
        if thread.ident is not None
    ]
    return {"at_s": time.monotonic(), "process_s": time.process_time(), "threads": threads}


def meter(fd: int) -> None:
    def tell(_signal: int, _frame: FrameType | None) -> None:
        os.write(fd, json.dumps(reading()).encode() + b"\n")

    signal.signal(signal.SIGUSR1, tell)


if __name__ == "__main__":
    from sv2rig.cli.main import run

    meter(int(sys.argv[1]))
    sys.argv = ["sv2rig", *sys.argv[2:]]
    run()
