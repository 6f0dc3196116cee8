"""The hour of bench/scenario.py in Stratum V1: the JSON lines of a pool and a miner.

Lines are as short as JSON allows (no blanks), as Bitaxe's firmware and large pools write them. The
pool's greet the miner with an extranonce of 4 bytes; job ids have 10 digits.
"""

from __future__ import annotations

import json
from typing import Any

from ledger import Ledger, Purpose
from scenario import FIRST_DIFFICULTY, NBITS, VERSION, Event, Job, Options, Retarget, Share, hour


class StratumV1:
    """Writes every line of one connection and books its length."""

    def __init__(self, options: Options) -> None:
        self.ledger = Ledger()
        self._options = options
        self._coinbase = options.coinbase_parts()
        self._request_id = 0

    def run(self) -> Ledger:
        self._set_up()
        for event in hour(self._options):
            self._write(event)
        return self.ledger

    def _set_up(self) -> None:
        self._call(
            Purpose.SETUP,
            "mining.configure",
            [["version-rolling"], {"version-rolling.mask": "ffffffff"}],
            {"version-rolling": True, "version-rolling.mask": "1fffe000"},
        )
        self._call(
            Purpose.SETUP,
            "mining.subscribe",
            ["sv2rig/0.1.0"],
            [[["mining.notify", "695482c0"]], "4de05269", self._options.extranonce_size],
        )
        self._call(Purpose.CHANNEL, "mining.authorize", [self._options.user, "x"], True)
        self._notify(Purpose.DIFFICULTY, "mining.set_difficulty", [FIRST_DIFFICULTY])

    def _write(self, event: Event) -> None:
        match event:
            case Job():
                self._notify(Purpose.JOBS, "mining.notify", self._job(event))
            case Retarget(difficulty):
                self._notify(Purpose.DIFFICULTY, "mining.set_difficulty", [difficulty])
            case Share():
                self._call(Purpose.SHARES, "mining.submit", self._share(event), True)

    def _job(self, job: Job) -> list[Any]:
        return [
            _job_id(job.number),
            job.prev_hash.hex(),
            self._coinbase.prefix.hex(),
            self._coinbase.suffix.hex(),
            [branch.hex() for branch in job.merkle_path],
            f"{VERSION:08x}",
            f"{NBITS:08x}",
            f"{job.utc:08x}",
            job.block,
        ]

    def _share(self, share: Share) -> list[Any]:
        return [
            self._options.user,
            _job_id(share.job_number),
            share.extranonce.hex(),
            f"{share.utc:08x}",
            f"{share.nonce:08x}",
            f"{share.version_bits:08x}",
        ]

    def _call(self, purpose: Purpose, method: str, params: list[Any], result: Any) -> None:
        self._request_id += 1
        request = {"id": self._request_id, "method": method, "params": params}
        response = {"id": self._request_id, "result": result, "error": None}
        answer = Purpose.ANSWERS if purpose is Purpose.SHARES else purpose
        self._line(purpose, method, request)
        self._line(answer, f"result of {method}", response)

    def _notify(self, purpose: Purpose, method: str, params: list[Any]) -> None:
        self._line(purpose, method, {"id": None, "method": method, "params": params})

    def _line(self, purpose: Purpose, message: str, content: dict[str, Any]) -> None:
        line = json.dumps(content, separators=(",", ":")) + "\n"
        self.ledger.add(purpose, message, len(line.encode()))


def _job_id(number: int) -> str:
    return f"{0x1B4C3D9041 + number:x}"
