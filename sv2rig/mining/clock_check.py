"""Whether this machine's clock is right, as far as pools show it. Pure.

What a pool's times prove (seconds):
- A certificate signed by the pool's authority and not valid yet: our clock is behind its server's.
  Expired: ours is ahead, or the pool forgot to renew; a pool's job then tells which it is.
- A job's min_ntime is above the median time of the last 11 blocks, and in practice the time at
  which the pool made the job. Consensus takes blocks up to 7200 s ahead of the true time, but the
  median is about an hour behind it, so a min_ntime that is ahead of our clock by more than
  AHEAD_S means our clock, not the chain's. (On test networks blocks ahead of time are common.)
- A previous hash whose min_ntime, when it came, was more than BEHIND_S ago: a pool that sends the
  lowest allowed ntime is behind by the median's lag, six blocks' time. Six blocks that take longer
  than 6 h come once in 10^9; our clock is ahead then.
"""

from __future__ import annotations

from sv2rig.sv2.certificate import UntimelyCertificateError
from sv2rig.sv2.job import Job

AHEAD_S = 600.0
BEHIND_S = 6 * 3600.0
STEP_S = 10.0  # a wall clock that moves so much against the monotonic one was set
MEND = "set it (timedatectl set-ntp true)"


class ClockCheck:
    """`error_s`: by how much this machine's clock is ahead of the true time (negative: behind);
    None where nothing shows that it is off. What looks at a pool gives a line to tell people, once
    until the clock is set."""

    def __init__(self) -> None:
        self.error_s: float | None = None
        self._jobs_say_so = False
        self._was_told = False
        self._offset: float | None = None

    def was_set(self, utc: float, now: float) -> bool:
        """Whether somebody has set the clock since the last call; then nothing is known of it."""
        offset, self._offset = self._offset, utc - now
        if offset is None or abs(self._offset - offset) < STEP_S:
            return False
        self.error_s, self._was_told = None, False
        return True

    def certificate(self, pool: str, error: UntimelyCertificateError) -> str | None:
        """A pool's certificate is not of this time, says our clock."""
        self.error_s, self._jobs_say_so = error.ahead_s, False
        if error.ahead_s < 0:
            return self._told(f"pool {pool} says")
        return self._told(f"the certificate of pool {pool} allows, unless that is out of date")

    def job(self, pool: str, job: Job, now: float, utc: float) -> str | None:
        """A pool's job; `now` is monotonic seconds, `utc` what our clock says."""
        came = utc - (now - job.prevhash_received_at)
        given = job.min_ntime if job.prevhash_ntime is None else job.prevhash_ntime
        if job.min_ntime - utc > AHEAD_S:
            self.error_s, self._jobs_say_so = utc - job.min_ntime, True
        elif came - given > BEHIND_S:
            self.error_s, self._jobs_say_so = came - given, True
        else:
            self._fits(came - given)
            return None
        return self._told(f"the jobs of pool {pool} say")

    def _told(self, who: str) -> str | None:
        if self._was_told or self.error_s is None:
            return None
        self._was_told = True
        where = "behind" if self.error_s < 0 else "ahead of"
        return f"this machine's clock is about {_about(self.error_s)} {where} what {who}; {MEND}"

    def _fits(self, age_s: float) -> None:
        """A job whose ntime is `age_s` ago by our clock. Were that ahead as far as a certificate
        has it, the job would come from the future: the certificate is out of date."""
        if self.error_s is None:
            return
        if self._jobs_say_so or self.error_s - age_s > AHEAD_S:
            self.error_s = None


def _about(seconds: float) -> str:
    """The largest unit that still tells something: "58 min", "3 h", "12 d"."""
    size = abs(seconds)
    if size < 120:
        return f"{size:.0f} s"
    if size < 7200:
        return f"{size / 60:.0f} min"
    return f"{size / 3600:.0f} h" if size < 172_800 else f"{size / 86400:.0f} d"
