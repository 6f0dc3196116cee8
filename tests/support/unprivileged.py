"""Python run as an ordinary user: as nobody where the tests run as root, whom nothing is denied."""

from __future__ import annotations

import subprocess
import sys

_PRELUDE = """
import os, sys
{imports}
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
{code}
"""


def run_unprivileged(imports: str, code: str, *arguments: str) -> str:
    """What the code printed. Rights are dropped after the imports: the checkout may be root's."""
    program = _PRELUDE.format(imports=imports, code=code)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
