"""Recordings: written, damaged, played."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tui_scenes import lines, message, polled

from sv2rig.rig.snapshot import SCHEMA
from sv2rig.tui.player import ReplayScreen
from sv2rig.tui.recording import Recorder, Recording, RecordingError, Replay

Read = Callable[[Path], Recording]


def recorded(path: Path, *messages: tuple[int, ...]) -> Path:
    """A message of each of these: its sequence and the numbers of its events."""
    recorder = Recorder(path, lambda: 1.5e9)
    for sequence, *events in messages:
        recorder.add(message(sequence, *events, uptime_s=float(sequence)))
    recorder.close()
    return path


@pytest.fixture
def read() -> Iterator[Read]:
    """Opens recordings, and closes them afterwards."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(Recording(path)))


def hour(path: Path) -> Path:
    return recorded(path, *((second, second) for second in range(1, 3601)))


def test_the_head_says_what_it_is(tmp_path: Path) -> None:
    head = json.loads(recorded(tmp_path / "r", (1,)).read_bytes().splitlines()[0])
    assert head == {"schema": SCHEMA, "version": head["version"], "started": 1.5e9}


def test_a_recording_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r", (1,))
    with pytest.raises(RecordingError, match="is there already"):
        Recorder(path)
    with pytest.raises(RecordingError, match="No such file"):
        Recorder(tmp_path / "none" / "r")


def test_pictures_events_and_shares_are_as_they_were(tmp_path: Path, read: Read) -> None:
    recording = read(recorded(tmp_path / "r", (1, 1, 2), (2,), (3, 3), (9, 1, 2, 3, 4)))
    assert (len(recording), recording.length_s, recording.note) == (4, 8.0, "")
    seen = [
        [event.number for event in recording.events_after(0, index)]
        for index in range(len(recording))
    ]
    assert seen == [[1, 2], [1, 2], [1, 2, 3], [1, 2, 3, 4]]
    assert [share.number for share in recording.shares_after(2, 2)] == [3]
    assert [recording.picture(index).sequence for index in range(4)] == [1, 2, 3, 9]
    assert [recording.index_at(s) for s in (-1, 0, 0.9, 1, 7.9, 8, 99)] == [0, 0, 0, 1, 2, 3, 3]


def test_a_rig_that_was_started_anew_counts_anew(tmp_path: Path, read: Read) -> None:
    recording = read(recorded(tmp_path / "r", (5, 1, 2), (1, 1), (2, 2)))
    assert recording.length_s == 1.0  # the clock went back, the recording does not
    assert [event.number for event in recording.events_after(0, 2)] == [1, 2]
    assert [event.number for event in recording.events_after(0, 0)] == [1, 2]


def test_a_last_line_that_is_cut_off_is_left_out(tmp_path: Path, read: Read) -> None:
    path = recorded(tmp_path / "r", (1,), (2,))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    recording = read(path)
    assert (len(recording), recording.note) == (1, "line 3, the last, is cut off and left out")
    path.write_bytes(whole[:-1])  # only the line feed is missing
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"", "line 1: no recording"),
        (b"GIF89a\n", "line 1: no recording"),
        (b'{"schema": 99, "version": "9.0", "started": 1}\n', "the rig is sv2rig 9.0"),
        (b'{"schema": %d, "version": "0", "started": 1}\n' % SCHEMA, "no message in it"),
        (b'{"schema": %d, "version": "0", "started": 1}\n{}\n' % SCHEMA, "line 2: no message"),
    ],
)
def test_other_damage_is_told_with_its_place(
    tmp_path: Path, read: Read, damage: bytes, words: str
) -> None:
    path = tmp_path / "r"
    path.write_bytes(damage)
    with pytest.raises(RecordingError, match=words):
        read(path)
    lines_of = recorded(tmp_path / "s", (1,), (2,), (3,)).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines_of[:2], b"{damaged}\n", *lines_of[3:]]))
    with pytest.raises(RecordingError, match="line 3: no message"):
        read(path)


def test_a_line_of_another_schema_is_told_with_its_place(tmp_path: Path, read: Read) -> None:
    recorder = Recorder(tmp_path / "r")
    recorder.add(message(1))
    recorder.add(message(2, schema=SCHEMA - 1))
    recorder.close()
    with pytest.raises(RecordingError, match="line 3: the rig is sv2rig"):
        read(tmp_path / "r")


def test_no_room_for_a_recording_is_told_once_and_in_words(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(Recorder(tmp_path / "r")) as recorder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(RecordingError, match="File too large"):
                recorder.add(message(1))
            recorder.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_plays_pauses_and_seeks(tmp_path: Path, read: Read) -> None:
    now = 50.0
    replay = Replay(read(hour(tmp_path / "r")), 2.0, lambda: now)

    def sequence() -> int:
        return replay.snapshot().sequence

    assert sequence() == 1
    now += 5
    assert sequence() == 11
    replay.pause(True)
    now += 100
    assert sequence() == 11
    replay.seek(10)
    assert sequence() == 21
    replay.pause(False)
    replay.seek(-1000)
    assert sequence() == 1
    assert [event.number for event in replay.events_after(0)] == [1]
    now += 10_000
    assert (sequence(), replay.at_end) == (3600, True)
    replay.seek(-10)
    assert sequence() == 3590
    assert len(replay.events_after(3580)) == 10


async def test_the_screen_plays_an_hour(tmp_path: Path, read: Read) -> None:
    now = 0.0
    replay = Replay(read(hour(tmp_path / "r")), 10.0, lambda: now)
    app = ReplayScreen(replay)
    async with app.run_test(size=(120, 40)) as pilot:
        assert any("REPLAY ▶  0s of 59m59s, 10 times" in line for line in await polled(app, pilot))
        now += 6
        shown = await polled(app, pilot)
        assert any("event 61" in line for line in shown)
        await pilot.press("space")
        now += 100  # paused: no rig is missed
        shown = await polled(app, pilot)
        assert any("‖ paused  1m00s of 59m59s" in line for line in shown)
        assert not any("DAEMON LOST" in line for line in shown)
        await pilot.press("left", "left")
        shown = await polled(app, pilot)
        assert any("40s of 59m59s" in line for line in shown)
        assert any(line.rstrip("│ ▁▂▃▄▅▆▇█").endswith("event 41") for line in shown)
        assert not any("event 42" in line for line in lines(app))
        await pilot.press("right")
        assert any("event 51" in line for line in await polled(app, pilot))
        await pilot.press("q")
    assert app.return_code == 0
