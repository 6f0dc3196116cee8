"""One rig at a time on a state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sv2rig.rig.single import LOCK_NAME, AlreadyRunningError, only_one

HOLDER = """
import sys
from pathlib import Path
from sv2rig.rig.single import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        words = f"process {first.pid} "
        with pytest.raises(AlreadyRunningError, match=words) as refused, only_one(tmp_path):
            raise AssertionError("both run")
        assert refused.value.pid == first.pid
        first.kill()  # however it ends
        first.wait()
    with only_one(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"
    with only_one(tmp_path):
        pass


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), only_one(tmp_path / "none"):
        pass
