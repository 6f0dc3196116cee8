"""What a rig says while its screen is up: the end of it is kept."""

from __future__ import annotations

import os
import tempfile

from sv2rig.cli.attached_screen import LAST_WORDS, MOST_WORDS, LastWords

LINE = b"%015d\n"


def test_little_is_kept_whole() -> None:
    with tempfile.TemporaryFile() as file:
        words = LastWords(file.fileno())
        assert words.end() == b""
        os.write(file.fileno(), b"x" * LAST_WORDS)
        words.shorten()
        assert words.end() == b"x" * LAST_WORDS


def test_of_much_the_end_is_kept_and_the_file_stays_small() -> None:
    said = b"".join(LINE % number for number in range(200_000))
    with tempfile.TemporaryFile() as file:
        words, writer = LastWords(file.fileno()), os.dup(file.fileno())
        for start in range(0, len(said), 100_000):
            os.write(writer, said[start : start + 100_000])
            words.shorten()
            assert os.fstat(writer).st_size <= MOST_WORDS
        os.close(writer)
        note, _, end = words.end().partition(b"\n")
    assert end == said[-LAST_WORDS:]
    assert note.endswith(b"the first %d bytes are left out)" % (len(said) - LAST_WORDS))


def test_one_byte_too_many_is_said() -> None:
    with tempfile.TemporaryFile() as file:
        words = LastWords(file.fileno())
        os.write(file.fileno(), b"a" + b"x" * LAST_WORDS)
        assert b"the first 1 bytes" in words.end()
