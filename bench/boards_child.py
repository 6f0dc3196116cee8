"""What the processes of bench boards have in common: how they begin, and how they are asked.

Each is given its options as JSON, says one JSON line when it is ready, answers a line `mark` on its
standard input with another, and the end of its input with a last one. Times are monotonic, one
clock for all processes of a Linux system.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

TICKET_BITS: Final = 10
SHARE_BITS: Final = TICKET_BITS + 4  # one solution in 16
SHARE_TARGET: Final = (1 << 256 - SHARE_BITS) - 1
FIRST_NBITS: Final = 0x17010000  # a target that nothing here meets; its low bits number the job

Options = dict[str, Any]
Answer = dict[str, Any]


def say(answer: Answer) -> None:
    print(json.dumps(answer), flush=True)


async def serve_marks(mark: Callable[[], Answer]) -> None:
    """Answers until the input ends."""
    while await asyncio.to_thread(sys.stdin.readline):
        say(mark())


def run(part: Callable[[Options], Awaitable[None]]) -> None:
    """This process' work, on the cores that it was given."""
    options: Options = json.loads(sys.argv[1])
    if options["cores"]:
        os.sched_setaffinity(0, options["cores"])

    async def main() -> None:
        await part(options)

    profile = cProfile.Profile(time.thread_time) if options["profile"] else None
    if profile is not None:
        profile.enable()
    asyncio.run(main())
    if profile is not None:
        profile.dump_stats(options["profile"])
