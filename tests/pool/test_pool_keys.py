"""Pool keys on disk: made once, kept private, damage told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from sv2rig.bitcoin.base58 import b58check_encode
from sv2rig.pool.keys import (
    PUBLIC_FILE,
    SECRET_FILE,
    KeysError,
    create_keys,
    load_keys,
    load_or_create_keys,
)
from sv2rig.sv2.authority import decode_authority_key


def test_keys_survive_a_restart_and_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    made, created = load_or_create_keys(folder)
    again, created_again = load_or_create_keys(folder)
    assert (created, created_again) == (True, False)
    assert made == again
    assert (folder / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    text = (folder / PUBLIC_FILE).read_text().strip()
    assert decode_authority_key(text) == made.authority_public


def test_sris_published_test_key_pair_is_read_the_same(tmp_path: Path) -> None:
    # The pair in the configuration examples of stratum-mining/sv2-apps.
    (tmp_path / SECRET_FILE).write_text("mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n\n")
    keys = load_keys(tmp_path)
    assert keys.authority_text == "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    create_keys(tmp_path)
    before = (tmp_path / SECRET_FILE).read_bytes()
    with pytest.raises(KeysError, match="exists already"):
        create_keys(tmp_path)
    assert (tmp_path / SECRET_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged|32-byte"),
        (b"hello", "damaged"),
        (b"\xff\xfe", "not text"),
        (b58check_encode(bytes(31)).encode(), "32-byte"),
        (b58check_encode(bytes(32)).encode(), "32-byte"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / SECRET_FILE).write_bytes(content)
    with pytest.raises(KeysError, match=words) as caught:
        load_keys(tmp_path)
    assert str(tmp_path / SECRET_FILE) in str(caught.value)


def test_missing_keys_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="keys new --dir"):
        load_keys(tmp_path)


def test_a_lost_secret_is_not_replaced_behind_the_miners_backs(tmp_path: Path) -> None:
    create_keys(tmp_path)
    (tmp_path / SECRET_FILE).unlink()
    with pytest.raises(KeysError, match="bring authority"):
        load_or_create_keys(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(KeysError, match="is a file"):
        create_keys(tmp_path / "keys")
