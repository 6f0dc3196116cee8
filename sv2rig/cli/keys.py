"""`sv2rig keys new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sv2rig.cli.output import EXIT_FAILED, UserError, print_json, print_text


def new(
    folder: Annotated[
        Path,
        typer.Option(
            "--dir", help="Where to write authority.secret (mode 0600) and authority.public."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a pool's authority key.

    Miners write the public key at the end of the pool's URL and refuse any server that it does
    not vouch for. Keep the secret: whoever has it can pose as your pool. An existing key is never
    overwritten.
    """
    from sv2rig.pool.keys import PUBLIC_FILE, SECRET_FILE, KeysError, create_keys

    try:
        keys = create_keys(folder)
    except KeysError as error:
        raise UserError(str(error), EXIT_FAILED) from error
    if json:
        print_json(
            {
                "authority_key": keys.authority_text,
                "secret_file": str(folder / SECRET_FILE),
                "public_file": str(folder / PUBLIC_FILE),
            }
        )
        return
    print_text(f"authority key   {keys.authority_text}")
    print_text(f"secret          {folder / SECRET_FILE}")
    print_text(f"miners use      stratum2+tcp://HOST:PORT/{keys.authority_text}")
