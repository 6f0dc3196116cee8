"""Serves a rig's API on a unix socket, and on TCP if asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sv2rig.api.answering import LONGEST_BODY, answer_with, in_json
from sv2rig.api.auth import guard, tls_context
from sv2rig.api.commanding import COMMANDING
from sv2rig.api.doors import FIRST_REQUEST_S, Doors
from sv2rig.api.metrics import Metrics
from sv2rig.api.openapi import openapi
from sv2rig.api.places import (
    ApiOptions,
    Places,
    claimed_path,
    host_of,
    is_loopback,
    tcp_listeners,
    token_of,
    unix_listener,
)
from sv2rig.api.reading import READING
from sv2rig.api.remembering import REMEMBERING
from sv2rig.api.rig import ApiRig
from sv2rig.api.routes import JSON
from sv2rig.api.stream import Stream

ROUTES = (*READING, *REMEMBERING, *COMMANDING)
KEEP_ALIVE_S = 30.0
SHUTDOWN_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_api(rig: ApiRig, options: ApiOptions) -> AsyncIterator[Places]:
    """Serves until left; ApiStartError says why it cannot be.

    Another rig of this name on this machine makes its socket rig-NAME-2.sock, unless `socket` says
    where it is to be.
    """
    async with AsyncExitStack() as stack:
        path = stack.enter_context(claimed_path(options, rig.name))
        tls = tls_context(options.tls_cert, options.tls_key)
        listeners = await tcp_listeners(options)
        for listener in listeners:
            stack.callback(listener.close)
        token_file, token = token_of(options, path) if listeners else (None, "")
        _warn_of_clear_text(rig, listeners, tls is not None)
        stream, waiting = Stream(rig.source), _Waiting()
        names = _names(options.listen) if options.listen else ()
        runner = web.AppRunner(
            _application(rig, stream, [waiting.note, in_json, guard(token, names)]),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            shutdown_timeout=SHUTDOWN_S,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(stream.close)
        server = runner.server
        assert server is not None
        doors = Doors(lambda: waiting.watched(server()))
        stack.push_async_callback(doors.close)
        doors.open(unix_listener(path, options.socket_group))
        for listener in listeners:
            doors.open(listener, tls)
        addresses = tuple(listener.getsockname()[:2] for listener in listeners)
        yield Places(path, addresses, token_file)


def _application(rig: ApiRig, stream: Stream, middlewares: Sequence[Middleware]) -> web.Application:
    app = web.Application(middlewares=middlewares, client_max_size=LONGEST_BODY)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, answer_with(rig, route))
    metrics = Metrics(rig, lambda: stream.clients)
    document = msgspec.json.encode(openapi(ROUTES))

    async def scrape(request: web.Request) -> web.Response:
        # In a thread: 20 ms for 64 devices, which mining need not wait for.
        text, media = await asyncio.to_thread(metrics.text, request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": media})

    async def describe(_: web.Request) -> web.Response:
        return web.Response(body=document, content_type=JSON)

    app.router.add_route("GET", "/v1/stream", stream.serve)
    app.router.add_route("GET", "/metrics", scrape)
    app.router.add_route("GET", "/openapi.json", describe)
    return app


def _warn_of_clear_text(rig: ApiRig, listeners: Sequence[socket.socket], tls: bool) -> None:
    others = [a for a in (str(line.getsockname()[0]) for line in listeners) if not is_loopback(a)]
    if others and not tls:
        text = f"the API on {', '.join(others)} has no TLS: its token can be read on the way"
        rig.report("warning", text, None)


class _Waiting:
    """Connections on which nothing has been asked yet: they must, in time, or go."""

    def __init__(self) -> None:
        self._timers: dict[object, asyncio.TimerHandle] = {}

    def watched(self, protocol: web.RequestHandler) -> asyncio.Protocol:
        """A new connection."""

        def too_late() -> None:
            del self._timers[protocol]
            if protocol.transport is not None:
                protocol.transport.abort()

        loop = asyncio.get_running_loop()
        self._timers[protocol] = loop.call_later(FIRST_REQUEST_S, too_late)
        return protocol

    @property
    def note(self) -> Middleware:
        """Connections on which a request came need not go."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            timer = self._timers.pop(request.protocol, None)
            if timer is not None:
                timer.cancel()
            return await handler(request)

        return note


def _names(listen: str) -> tuple[str, ...]:
    """What this machine goes by for others, beside its addresses."""
    host = socket.gethostname().lower()
    return (host_of(listen), host, host.partition(".")[0])
