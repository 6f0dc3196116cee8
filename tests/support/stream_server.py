"""A rig's API as far as a screen needs it, saying what the test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web


class StreamServer:
    """Sends each new client `backlog`, then what say() gives; answers commands with `answer`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.backlog: list[str] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: Callable[[], tuple[int, Any]] = lambda: (200, {"ok": True})
        self.clients: list[web.WebSocketResponse] = []
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/stream", self._stream)
        app.router.add_route("*", "/v1/{path:.*}", self._command)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.path)).start()

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        self.clients.clear()
        if self._runner is not None:
            await self._runner.cleanup()
        self.path.unlink(missing_ok=True)

    async def say(self, text: str) -> None:
        for client in self.clients:
            await client.send_str(text)

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        for text in self.backlog:
            await client.send_str(text)
        self.clients.append(client)
        async for _ in client:
            pass
        return client

    async def _command(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, body))
        status, answer = self.answer()
        return web.json_response(answer, status=status)


@asynccontextmanager
async def stream_server(path: Path, *backlog: str) -> AsyncIterator[StreamServer]:
    """While it is open."""
    server = StreamServer(path)
    server.backlog.extend(backlog)
    await server.open()
    try:
        yield server
    finally:
        await server.close()
