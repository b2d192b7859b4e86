"""A web application on the mock: `gpuhub deploy examples/webapp.py`, or run this file."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import gpuhub

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@gpuhub.web(gpu="L4", scaling=gpuhub.Scaling(concurrency=8))
def hello() -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """Make the ASGI application: a worker does this once. FastAPI or Starlette go here as well."""

    async def application(scope: dict[str, Any], _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = json.dumps({"hello": scope["path"].strip("/") or "world"}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def main() -> None:
    """Deploy, send a request to the URL, delete."""
    from urllib.request import urlopen

    endpoint = hello.deploy()
    try:
        with urlopen(f"{endpoint.url}/gpu") as answer:  # noqa: S310 - the mock's own loopback URL
            print(f"GET {endpoint.url}/gpu -> {answer.read().decode()}")
    finally:
        endpoint.delete()


if __name__ == "__main__":
    main()
