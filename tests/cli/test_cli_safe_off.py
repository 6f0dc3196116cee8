"""`sv2rig safe-off` as systemd runs it after the daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KEY = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


def safe_off(folder: Path, config: str | None) -> subprocess.CompletedProcess[str]:
    path = folder / "rig.toml"
    if config is not None:
        pool = f'[[pools]]\nurl = "stratum2+tcp://pool.example:3336/{KEY}"\nuser = "alice"\n'
        path.write_text(f"{pool}[devices]\n{config}\n")
    return subprocess.run(
        [str(Path(sys.executable).parent / "sv2rig"), "safe-off", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )


@pytest.mark.parametrize(
    "config",
    [
        'use = ["cpu"]',  # no boards: none is touched
        'use = ["serial:/dev/ttyNONE?driver=icarus"]',  # unplugged: there is nothing to do
        "",
    ],
)
def test_nothing_to_do_is_no_failure(tmp_path: Path, config: str) -> None:
    done = safe_off(tmp_path, config)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "config", [None, "uses = 1", 'use = ["serial:/dev/ttyNONE?driver=rig.toml"]']
)
def test_a_bad_configuration_leaves_no_board_on(tmp_path: Path, config: str | None) -> None:
    """Its boards cannot be known, so all that say what they are are looked for."""
    done = safe_off(tmp_path, config)
    assert done.returncode == 0
    assert "rig.toml" in done.stderr
    assert "Traceback" not in done.stderr
