"""A pool's authority key on disk, which miners pin."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sv2rig.bitcoin.base58 import b58check_decode, b58check_encode
from sv2rig.sv2.authority import encode_authority_key
from sv2rig.sv2.secp256k1 import GROUP_ORDER, generate_secret, xonly_public_key

SECRET_FILE = "authority.secret"
PUBLIC_FILE = "authority.public"


class KeysError(Exception):
    """Keys that cannot be read or written; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The authority's secret (32 bytes) and its public key as miners write it in a URL."""

    authority_secret: bytes

    @property
    def authority_public(self) -> bytes:
        """32 bytes, x-only."""
        return xonly_public_key(self.authority_secret)

    @property
    def authority_text(self) -> str:
        """The base58check text that stands in a pool's URL."""
        return encode_authority_key(self.authority_public)


def create_keys(folder: Path) -> PoolKeys:
    """Make a new authority key in `folder`; never overwrites one, since miners may pin it."""
    keys = PoolKeys(generate_secret())
    secret_path = folder / SECRET_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(secret_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(b58check_encode(keys.authority_secret) + "\n")
        (folder / PUBLIC_FILE).write_text(keys.authority_text + "\n")
    except FileExistsError as error:
        if not folder.is_dir():
            raise KeysError(f"{folder} is a file: choose a folder for the keys") from error
        raise KeysError(
            f"{secret_path} exists already, and miners may pin its public key: "
            "choose another folder, or move the file away yourself"
        ) from error
    except OSError as error:
        raise KeysError(f"cannot write {secret_path}: {error.strerror}") from error
    return keys


def load_keys(folder: Path) -> PoolKeys:
    """The keys in `folder`; KeysError where there are none or they are damaged."""
    path = folder / SECRET_FILE
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise KeysError(
            f"cannot read {path}: {error.strerror}; `sv2rig keys new --dir {folder}` makes one"
        ) from error
    except UnicodeDecodeError as error:
        raise KeysError(f"{path} is not text: it is not an authority's secret") from error
    try:
        secret = b58check_decode(text)
    except ValueError as error:
        raise KeysError(f"{path} is damaged ({error}): restore it from a copy") from error
    if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < GROUP_ORDER:
        raise KeysError(f"{path} does not hold a 32-byte secret key: restore it from a copy")
    return PoolKeys(secret)


def load_or_create_keys(folder: Path) -> tuple[PoolKeys, bool]:
    """The keys in `folder`, made first where there are none; and whether they were made."""
    if (folder / SECRET_FILE).exists():
        return load_keys(folder), False
    if (folder / PUBLIC_FILE).exists():
        raise KeysError(
            f"{folder / PUBLIC_FILE} is there and its secret is not: miners may pin that key; "
            f"bring {SECRET_FILE} back, or choose another folder"
        )
    return create_keys(folder), True
