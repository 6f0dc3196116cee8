"""The system's sshd on loopback, as this user, with keys of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 20.0
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class SshServer:
    """Where it is, and the ssh command that reaches it; `known`: the hosts that the user knows."""

    user: str
    command: str
    known: Path


@contextmanager
def ssh_server(folder: Path, environment: Mapping[str, str]) -> Iterator[SshServer]:
    """While it runs; its sessions have this environment."""
    assert SSHD is not None
    host_key, user_key, known = folder / "host", folder / "user", folder / "known"
    for key in (host_key, user_key):
        command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        subprocess.run(command, check=True, timeout=PATIENCE_S)
    authorized = folder / "authorized"
    authorized.write_bytes(user_key.with_suffix(".pub").read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = " ".join(f'"{name}={value}"' for name, value in environment.items())
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
        f"AuthorizedKeysFile {authorized}\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSetEnv {given}\n"
    )
    if os.geteuid() == 0:  # as the service's own start-up makes it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        _await(server, port)
        yield SshServer(
            pwd.getpwuid(os.geteuid()).pw_name,
            f"ssh -F /dev/null -p {port} -i {user_key} -o IdentitiesOnly=yes "
            f"-o UserKnownHostsFile={known}",
            known,
        )
    finally:
        server.kill()
        server.wait()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "sshd has ended"
        assert time.monotonic() < deadline, "sshd does not listen"
        time.sleep(0.1)
