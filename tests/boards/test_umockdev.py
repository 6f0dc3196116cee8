"""Real udev events without a kernel's help: a board comes, goes and comes back under another tty
name, while look-alikes with the same ids never get a byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WRAPPER = shutil.which("umockdev-wrapper")
SCENE = Path(__file__).parents[1] / "support/umockdev_scene.py"
GOLDEN = "4679ba4ec99876bf4bfe086082b400254df6c356451471139a3afa71e48f544a"  # midstate, facts 2.1

pytestmark = pytest.mark.skipif(
    WRAPPER is None, reason="umockdev is not installed (Debian: apt install umockdev)"
)


def play(scene: str, folder: Path) -> dict[str, Any]:
    folder.chmod(0o700)
    done = subprocess.run(
        [str(WRAPPER), sys.executable, str(SCENE), scene, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_board_by_its_strings_and_its_look_alikes(tmp_path: Path) -> None:
    told = play("strings", tmp_path)
    assert told["attached"] == ["icarus:IC7", "icarus:IC7"]
    assert [data[:64] for data in told["board"]] == [GOLDEN, GOLDEN]
    assert told["look-alikes"] == ["", ""]


def test_an_opted_in_tty_is_its_device_not_its_name(tmp_path: Path) -> None:
    """Strings, ids and all alike: the user named a tty, and meant the board that was behind it."""
    told = play("opted-in", tmp_path)
    assert told["attached"] == ["icarus:1-2", "icarus:1-2"]
    assert [data[:64] for data in told["board"]] == [GOLDEN, GOLDEN]
    assert told["look-alikes"] == ["", ""]


def test_a_byte_to_a_look_alike_is_seen(tmp_path: Path) -> None:
    """The same scene with detection that believes bare ids: the tests above can fail."""
    told = play("careless", tmp_path)
    assert told["look-alikes"][0][:64] == GOLDEN
