"""Servers that are stopped, and connections that are closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gpuhub._http import Connections
from gpuhub.adapter import AdapterInfo
from gpuhub.settings import ProviderSettings
from tests.unit.http.loopback import (
    KEEPING,
    Client,
    Exchange,
    Kind,
    Server,
    make_info,
    make_settings,
)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Exchange], None]], Server]]:
    """Start servers; each is given what to do with a request."""
    started: list[Server] = []

    def start(answer: Callable[[Exchange], None] = Exchange.reply) -> Server:
        server = Server(answer)
        started.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["sync", "async", "fast"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which way to speak."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def connect(kind: Kind) -> Iterator[Callable[..., Client]]:
    """Connect to an address: ``connect(url, info=…, settings=…, bound=…, **options)``."""
    with asyncio.Runner() as runner:
        made: list[Client] = []

        def start(
            url: str = "",
            *,
            info: AdapterInfo | None = None,
            settings: ProviderSettings | None = None,
            bound: float | None = None,
            **options: Any,
        ) -> Client:
            connections = Connections(
                info or make_info(),
                settings or make_settings(api_url=url),
                fast=kind == "fast",
                **{"limits": KEEPING, **options},
            )
            made.append(Client(kind, connections, runner, bound))
            return made[-1]

        yield start
        for client in made:
            runner.run(client.connections.aclose())
