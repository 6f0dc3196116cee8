"""When a board counts as sick, and how often it is reset. Data, so that a user can change it."""

from __future__ import annotations

from dataclasses import dataclass, fields

_MAY_BE_0 = ("silence_min_s", "flatline_min_s", "max_resets", "dead_retry_s")


@dataclass(frozen=True, slots=True)
class SupervisorLimits:
    """Thresholds of one board's watchdogs and resets; times in seconds.

    Silence: no reply while `silence_nonces` were expected (20: chance e**-20) and the board had
    work for `silence_min_s`, which a driver raises where its board needs it. Bad nonces and comm
    errors: a ratio above which, out of enough samples in the window, the board counts as sick.
    Flatline: proved hashes below `flatline_ratio` of what was expected in the window, the board
    having had work for `flatline_min_s`, and luck ruled out to 1 in `flatline_luck`.

    `longest_gap_s`: of a longer time between two calls only this much counts against the board,
    since nobody listened to it (the host slept or was busy). `dead_retry_s`: 0 means never.
    `start_limit_s`: how long a start-up may take.
    """

    silence_nonces: float = 20.0
    silence_min_s: float = 10.0
    bad_ratio: float = 0.4
    bad_samples: int = 50
    bad_window_s: float = 300.0
    comm_ratio: float = 0.5
    comm_samples: int = 20
    comm_window_s: float = 60.0
    flatline_ratio: float = 0.4
    flatline_min_s: float = 60.0
    flatline_window_s: float = 600.0
    flatline_luck: float = 1e8
    longest_gap_s: float = 5.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    max_resets: int = 5
    dead_retry_s: float = 3600.0
    healthy_s: float = 600.0
    start_limit_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value == 0 and field.name not in _MAY_BE_0):
                raise ValueError(f"{field.name} = {value:g} is too low")
        for name in ("bad_ratio", "comm_ratio", "flatline_ratio"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name} = {getattr(self, name):g} must be less than 1")
        if self.longest_wait_s < self.first_wait_s:
            raise ValueError(
                f"longest_wait_s = {self.longest_wait_s:g} is less than"
                f" first_wait_s = {self.first_wait_s:g}"
            )
        if self.flatline_luck <= 1:
            raise ValueError(f"flatline_luck = {self.flatline_luck:g} must be more than 1")

    def wait_s(self, failures: int) -> float:
        """How long to wait before the reset that follows the given failure (1 is the first)."""
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 60))
