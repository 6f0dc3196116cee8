"""Log lines in their forms."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from sv2rig.cli.output import configure_log
from sv2rig.cli.output import log_event as screen_log
from sv2rig.rig.logs import Form, configure, is_journal, log_event


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_human_lines_have_local_time_with_its_offset() -> None:
    out = io.StringIO()
    configure(Form.HUMAN, stream=out)
    log_event("warning", "too hot", device="axe0", pool=None)
    when, rest = out.getvalue().split(" [", 1)
    assert rest.split() == ["warning", "]", "too", "hot", "device=axe0"] or rest.split() == [
        "warning]", "too", "hot", "device=axe0",
    ]  # fmt: skip
    told = datetime.fromisoformat(when.strip())
    assert told.utcoffset() is not None
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


def test_json_lines_have_utc_with_z() -> None:
    out = io.StringIO()
    configure(Form.JSON, stream=out)
    log_event("good", "a block", device="axe0", path=Path("x"))
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "event": "a block", "device": "axe0", "path": "x"}


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("good", 6), ("warning", 4), ("error", 3)]
)
def test_journal_lines_have_priority_and_no_time(level: str, priority: int) -> None:
    out = io.StringIO()
    configure(Form.JOURNAL, "debug", stream=out)
    log_event(level, "one\ntwo", device="axe0")
    assert out.getvalue() == f"<{priority}>one\n<{priority}>two device=axe0\n"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_lines_below_the_level_are_left_out(level: str) -> None:
    levels = ["debug", "info", "warning", "error"]
    out = io.StringIO()
    configure(Form.JOURNAL, level, stream=out)
    for each in levels:
        log_event(each, each)
    written = [line[3:] for line in out.getvalue().splitlines()]
    assert written == levels[levels.index(level) :]


def test_the_journal_is_known_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as file:
        found = os.fstat(journal.fileno())
        environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(journal, environment)
        assert not is_journal(file, environment)  # a child of the service, redirected
        assert not is_journal(journal, {})
        assert not is_journal(io.StringIO(), environment)
        configure(stream=journal, environment=environment)
        log_event("info", "here")
    assert (tmp_path / "journal").read_text() == "<6>here\n"


def test_secrets_are_in_no_line() -> None:
    for form in (Form.HUMAN, Form.JOURNAL, Form.JSON):
        out = io.StringIO()
        configure(form, stream=out, secrets=["hunter2hunter2", "", "on"])
        log_event("info", "token hunter2hunter2 is on", header="Bearer hunter2hunter2")
        assert "hunter2" not in out.getvalue()
        assert out.getvalue().count("(secret)") == 2
        assert "is on" in out.getvalue()


class Full(io.StringIO):
    """As a file on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    configure(Form.HUMAN, stream=Full())
    log_event("info", "hello")


def test_commands_without_a_configuration_log_as_the_daemon_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    configure_log()
    screen_log("good", "a block", "axe0")
    said = capsys.readouterr().err
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ", said)
    assert "a block" in said
    assert "device=axe0" in said
