"""Settings for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: tests share their cores, and speed is measured in bench/. In CI the examples are
# always the same, so that a red run is a change's doing; elsewhere they are fresh.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
