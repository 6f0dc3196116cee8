"""Errors that a driver should not have let out, in words."""

from __future__ import annotations

import traceback
from pathlib import Path


def fault_text(error: Exception) -> str:
    """What happened and where, for whoever is to report it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"fault in the driver: {error!r}{where}; please report it"
