"""The examples of docs/api.md, run over the unix socket; the answers have the shape shown there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_rig import with_everything
from unix_http import UnixHttp

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
MORE = "…"
SAID = ("/v1/reload", "/v1/notify/test")  # whose answers are words of the program


@dataclass(frozen=True)
class Example:
    command: str
    answer: Any

    @property
    def method(self) -> str:
        words = shlex.split(self.command)
        if "-X" in words:
            return words[words.index("-X") + 1]
        return "POST" if "--json" in words else "GET"

    @property
    def target(self) -> str:
        return shlex.split(self.command)[-1].removeprefix("http://rig")

    @property
    def body(self) -> bytes | None:
        words = shlex.split(self.command)
        return words[words.index("--json") + 1].encode() if "--json" in words else None


def examples() -> Iterator[Example]:
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, answer = example.partition("\n")
            yield Example(command, json.loads(answer))


EXAMPLES = list(examples())


def check_shape(shown: Any, got: Any, where: str = "$") -> None:
    """The same keys and kinds; null stands for any kind, and a list shows one of its items."""
    if shown is None or got is None:
        return
    if isinstance(shown, dict):
        assert isinstance(got, dict), where
        wanted = {key for key in shown if key != MORE}
        assert wanted <= got.keys(), f"{where}: {wanted - got.keys()}"
        if MORE not in shown and shown:
            assert got.keys() == wanted, f"{where}: {got.keys() ^ wanted}"
        for key in wanted:
            check_shape(shown[key], got[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(got, list), where
        for item in got if shown else ():
            check_shape(shown[0], item, f"{where}[]")
    elif isinstance(shown, bool) or not isinstance(shown, int | float):
        assert type(got) is type(shown), where
    else:
        assert isinstance(got, int | float), where
        assert not isinstance(got, bool), where


def test_the_page_shows_every_kind_of_request() -> None:
    assert len(EXAMPLES) > 25
    assert {example.method for example in EXAMPLES} == {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_the_examples_work(tmp_path: Path) -> None:
    def act(path: Path) -> None:
        for example in EXAMPLES:
            status, got = UnixHttp(path).ask(example.method, example.target, example.body)
            is_refusal = isinstance(example.answer, dict) and "error" in example.answer
            assert (status == 200) is not is_refusal, (example.command, got)
            check_shape(example.answer, got, example.command)
            if example.target in SAID or (is_refusal and example.method == "PATCH"):
                assert example.answer == got

    async def main() -> None:
        async with with_everything(tmp_path, "icarus:A1", "icarus:B2") as (rig, places):
            await asyncio.to_thread(act, places.socket)
            assert rig.has_quit

    asyncio.run(main())


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_takes_the_commands_as_they_stand(tmp_path: Path) -> None:
    def act(path: Path) -> None:
        for example in EXAMPLES[:4] + [e for e in EXAMPLES if e.body][:1]:
            done = subprocess.run(
                ["sh", "-c", example.command.replace("curl", "curl -sS")],
                env={**os.environ, "SOCKET": str(path)},
                capture_output=True,
                timeout=20,
                check=True,
            )
            check_shape(example.answer, json.loads(done.stdout), example.command)

    async def main() -> None:
        async with with_everything(tmp_path, "icarus:A1", "icarus:B2") as (_, places):
            await asyncio.to_thread(act, places.socket)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("shown", "got"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([{"a": 1}], [{"b": 1}]),
        ({"a": True}, {"a": 1}),
        ("a", 1),
        ({}, []),
    ],
)
def test_a_wrong_shape_is_seen(shown: Any, got: Any) -> None:
    with pytest.raises(AssertionError):
        check_shape(shown, got)
