"""Why a session with pools is over."""

from __future__ import annotations


class SessionError(Exception):
    """The session is over: trying again is pointless, or has gone on for long enough."""


class PoolsAwayError(SessionError):
    """No pool could be had for as long as the options say."""
