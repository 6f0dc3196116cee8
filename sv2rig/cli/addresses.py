"""Addresses as people type them on the command line."""

from __future__ import annotations

from sv2rig.cli.output import UserError


def host_and_port(text: str) -> tuple[str, int]:
    """ "127.0.0.1:34254" or "[::1]:34254" as host and port; UserError in words."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--listen {text!r}: give HOST:PORT, as in 127.0.0.1:34254")
    return host, int(port)
