"""Who gets in: the socket's file and folder, TCP with its token, TLS, names and origins."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import json
import os
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_rig import ARig, served
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sv2rig.api.client import RigClient, find_rigs, rig_folders
from sv2rig.api.doors import MOST_CLIENTS
from sv2rig.api.places import ApiOptions, ApiStartError, Places
from sv2rig.api.server import serve_api
from sv2rig.devices.sighting import emulated_folder
from sv2rig.rig.runtime_folder import runtime_folder

TOKEN = "correct-horse-battery-staple"


def with_places(
    folder: Path, act: Callable[[Places], None], **options: Any
) -> list[tuple[str, str]]:
    """`act` in a thread, as another process would; what the rig told."""

    async def main() -> list[tuple[str, str]]:
        async with served(folder, **options) as (rig, places):
            await asyncio.to_thread(act, places)
        return rig.run.lines.all

    return asyncio.run(main())


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def ask(
    places: Places, target: str = "/v1/version", method: str = "GET", **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    host, port = places.tcp[0]
    line = http.client.HTTPConnection(host, port, timeout=10)
    try:
        line.request(method, target, headers=headers)
        answer = line.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        line.close()


def refusal(folder: Path, **options: Any) -> str:
    """Why it does not start."""

    async def main() -> str:
        rig = ARig()
        with pytest.raises(ApiStartError) as error:
            async with serve_api(rig.api, ApiOptions(folder, **options)):
                pass
        await rig.end()
        return str(error.value)

    folder.chmod(0o700)
    return asyncio.run(main())


def test_a_tcp_request_without_the_token_is_refused(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        for given in (
            {},
            {"Authorization": "Bearer " + TOKEN[:-1]},
            {"Authorization": "Bearer " + TOKEN + "x"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer Ünïcode"},
        ):
            for method, target in (
                ("GET", "/v1/version"),
                ("GET", "/v1/stream"),
                ("GET", "/metrics"),
                ("POST", "/v1/quit"),
                ("GET", "/v1/nothing"),
            ):
                status, problem, headers = ask(places, target, method, **given)
                assert status == 401
                assert problem["error"].startswith("a token is needed")
                assert headers["WWW-Authenticate"] == 'Bearer realm="sv2rig"'
        assert ask(places, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert ask(places, Authorization=f"bearer {TOKEN}")[0] == 200

    told = with_places(tmp_path, act, listen="127.0.0.1:0", token_file=token_file(tmp_path))
    assert not [text for _, text in told if TOKEN in text]


def test_on_loopback_a_token_is_made_where_none_is_named(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        assert places.token_file is not None
        assert stat.S_IMODE(places.token_file.stat().st_mode) == 0o600
        made = places.token_file.read_text().strip()
        assert len(made) == 64
        assert ask(places)[0] == 401
        assert ask(places, Authorization=f"Bearer {made}")[0] == 200

    with_places(tmp_path, act, listen="127.0.0.1:0")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_what_others_can_reach_is_not_opened_without_a_token(tmp_path: Path, listen: str) -> None:
    assert "without a token" in refusal(tmp_path, listen=listen)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (TOKEN, 0o604, "everybody can read"),
        (TOKEN, 0o620, "everybody can read"),
        ("x" * 15, 0o600, "at least 16"),
        ("two words that are long", 0o600, "without spaces"),
        ("", 0o600, "at least 16"),
    ],
)
def test_a_token_that_guards_nothing_is_refused(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    path = token_file(tmp_path, text, mode)
    said = refusal(tmp_path, listen="127.0.0.1:0", token_file=path)
    assert words in said
    assert not text or text not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"listen": "127.0.0.1"}, "no HOST:PORT"),
        ({"listen": ":80"}, "no HOST:PORT"),
        ({"listen": "127.0.0.1:65536"}, "no HOST:PORT"),
        ({"listen": "192.0.2.1:1", "token_file": None}, "without a token"),
        ({"socket_group": "no-such-group"}, "cannot be given to the group no-such-group"),
        ({"tls_cert": Path("/nonexistent")}, "TLS of the API: /nonexistent"),
        ({"tls_key": Path("/nonexistent")}, "both are needed"),
        ({"token_file": Path("/nonexistent"), "listen": "127.0.0.1:0"}, "/nonexistent"),
    ],
)
def test_what_cannot_be_opened_is_told(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    assert words in refusal(tmp_path, **options)
    assert not list(tmp_path.glob("*.sock"))


def test_other_names_and_pages_of_others_are_refused_on_tcp(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        port = places.tcp[0][1]
        key = {"Authorization": f"Bearer {TOKEN}"}
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"10.0.0.1:{port}"):
            assert ask(places, **key, Host=host)[0] == 200
            assert ask(places, **key, Host=host, Origin=f"http://{host}")[0] == 200
        for host in (f"evil.example:{port}", "localhost.evil.example", "", "["):
            status, problem, _ = ask(places, **key, Host=host)
            assert (status, problem["field"]) == (403, "Host")
        for origin in (
            "http://evil.example",
            "null",
            "http://[",
            f"http://localhost:{port}.evil.example",
        ):
            status, problem, _ = ask(places, **key, Host=f"localhost:{port}", Origin=origin)
            assert (status, problem["field"]) == (403, "Origin")

    with_places(tmp_path, act, listen="127.0.0.1:0", token_file=token_file(tmp_path))


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_path, key_path


def test_tls_is_spoken_and_nothing_else(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)

    def act(places: Places) -> None:
        host, port = places.tcp[0]
        trust = ssl.create_default_context(cafile=str(cert))
        line = http.client.HTTPSConnection("localhost", port, timeout=10, context=trust)
        line.request("GET", "/v1/version", headers={"Authorization": f"Bearer {TOKEN}"})
        assert line.getresponse().status == 200
        line.close()
        with socket.create_connection((host, port), timeout=10) as plain:
            plain.sendall(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP")
        RigClient(places.socket).get("/v1/version")

    options = {"tls_cert": cert, "tls_key": key, "token_file": token_file(tmp_path)}
    with_places(tmp_path, act, listen="127.0.0.1:0", **options)


def test_others_than_this_user_need_the_group(tmp_path: Path) -> None:
    group = os.getgid()

    def act(places: Places) -> None:
        found = places.socket.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group)

    import grp

    with_places(tmp_path, act, socket_group=grp.getgrgid(group).gr_name)


def test_clients_beyond_the_limit_are_turned_away_and_silent_ones_hold_up_nobody(
    tmp_path: Path,
) -> None:
    def connected(path: Path) -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        line.connect(str(path))
        return line

    def act(places: Places) -> None:
        lines = [connected(places.socket) for _ in range(MOST_CLIENTS)]
        lines[-1].sendall(b"GET /v1/version HTTP/1.1\r\nHost: a\r\n\r\n")
        assert lines[-1].recv(12) == b"HTTP/1.1 200"
        with connected(places.socket) as one_more:
            assert one_more.recv(1) == b""
        for line in lines:
            line.close()

    with_places(tmp_path, act)


def test_a_crowd_on_tcp_does_not_lock_out_the_unix_socket(tmp_path: Path) -> None:
    def act(places: Places) -> None:
        lines = [socket.create_connection(places.tcp[0], 10) for _ in range(MOST_CLIENTS)]
        lines[-1].sendall(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert lines[-1].recv(12) == b"HTTP/1.1 401"
        assert RigClient(places.socket).get("/v1/version")["name"] == "garage"
        for line in lines:
            line.close()

    with_places(tmp_path, act, listen="127.0.0.1:0", token_file=token_file(tmp_path))


def test_the_socket_is_this_users_alone_and_a_second_rig_gets_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "sv2rig"

    async def main() -> None:
        first, second = ARig(), ARig()
        async with serve_api(first.api, ApiOptions(folder)) as one:
            found = await asyncio.to_thread(one.socket.stat)
            assert stat.S_IMODE(found.st_mode) in (0o600, 0o660)
            assert stat.S_IMODE((await asyncio.to_thread(folder.stat)).st_mode) == 0o700
            async with serve_api(second.api, ApiOptions(folder)) as two:
                rigs = await asyncio.to_thread(find_rigs, [folder])
                assert rigs == {"garage": one.socket, "garage-2": two.socket}
        assert find_rigs([folder]) == {}
        await first.end()
        await second.end()

    asyncio.run(main())


def test_a_named_socket_belongs_to_one_rig(tmp_path: Path) -> None:
    path = tmp_path / "the.sock"

    async def main() -> None:
        second = ARig()
        async with served(tmp_path, socket=path) as (_, places):
            assert places.socket == path
            with pytest.raises(ApiStartError, match="another rig serves"):
                async with serve_api(second.api, ApiOptions(tmp_path, socket=path)):
                    pass
        await second.end()

    asyncio.run(main())


def test_the_socket_of_a_dead_rig_is_no_rig_and_no_hindrance(tmp_path: Path) -> None:
    stale = tmp_path / "rig-garage.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    assert stale.exists()
    assert find_rigs([tmp_path]) == {}

    def act(places: Places) -> None:
        assert places.socket == stale
        assert RigClient(stale).get("/v1/snapshot")

    with_places(tmp_path, act)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750])
def test_a_folder_that_others_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "sv2rig"
    folder.mkdir()

    async def main() -> None:
        rig = ARig()
        with pytest.raises(ApiStartError, match="not this user's alone"):
            async with serve_api(rig.api, ApiOptions(folder)):
                pass
        await rig.end()

    folder.chmod(mode)
    asyncio.run(main())


def test_a_folder_that_others_write_to_is_no_place_for_a_named_socket(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    for mode in (0o770, 0o777, 0o1777):
        shared.chmod(mode)
        assert "others can write" in refusal(tmp_path, socket=shared / "rig.sock")
    assert "No such file" in refusal(tmp_path, socket=tmp_path / "nowhere" / "rig.sock")


def test_a_link_to_a_folder_and_too_long_a_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    long = tmp_path / ("x" * 100)
    long.mkdir(mode=0o700)
    assert "too long" in refusal(long)
    rig_folder = tmp_path / "link"
    tmp_path.chmod(0o700)

    async def main() -> None:
        rig = ARig()
        with pytest.raises(ApiStartError, match="alone"):
            async with serve_api(rig.api, ApiOptions(rig_folder)):
                pass
        await rig.end()

    asyncio.run(main())


def test_where_the_folder_is() -> None:
    assert runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == Path("/run/user/7/sv2rig")
    assert runtime_folder({}, 7) == Path("/tmp/sv2rig-7")
    both = {"XDG_RUNTIME_DIR": "/run/sv2rig", "RUNTIME_DIRECTORY": "/run/sv2rig:/run/other"}
    assert runtime_folder(both, 7) == Path("/run/sv2rig/sv2rig")
    alone = {"RUNTIME_DIRECTORY": "/run/mine:/run/other"}
    assert runtime_folder(alone, 7) == Path("/run/mine/sv2rig")
    assert emulated_folder(alone, 7) == Path("/run/mine/sv2rig/emulated")
    assert rig_folders(alone) == (
        Path("/run/mine"),
        Path("/run/mine/sv2rig"),
        Path("/run/sv2rig"),
    )
    assert rig_folders(both) == (Path("/run/sv2rig"), Path("/run/sv2rig/sv2rig"))
