"""The whole engine over HTTP against raw httpx, to one loopback server, in one run.

Run it alone: ``uv run python tests/benchmarks/bench_engine_http.py``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

import gpuhub
from gpuhub.adapter import (
    AdapterInfo,
    CallRef,
    CallState,
    DeploymentRef,
    Feature,
    Origin,
    Phase,
    Support,
)
from gpuhub.plan import Request
from gpuhub.settings import SettingKey
from tests.benchmarks.measuring import found, on_loop, one_by_one

SERVER = """
import json, socket, sys, uvicorn

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = b'{"result":' + str(2 * json.loads(body)["number"]).encode() + b"}"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

# With the protocol named, asyncio turns Nagle's algorithm off on what it accepts.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, log_level="error", loop="asyncio", lifespan="off")
uvicorn.Server(config).run(sockets=[listener])
"""

INFO = AdapterInfo(
    name="loop",
    title="Loopback",
    docs_url="https://example.com",
    settings={"api_url": SettingKey("api_url", default="http://127.0.0.1")},
    origins=(Origin("api", "api_url", "http://127.0.0.1"),),
)


class LoopbackAdapter:
    """As much of an adapter as a call needs."""

    info = INFO
    capabilities = dict.fromkeys(Feature, Support.native())

    async def find(self, io: Any, name: str) -> DeploymentRef:
        return DeploymentRef(provider="loop", name=name, address=name)

    async def submit(self, io: Any, ref: DeploymentRef, payload: bytes, options: Any) -> CallState:
        answer = await io.send(Request("POST", "/call", body=payload))
        return CallState(CallRef("loop", ref.address, "1"), Phase.SUCCEEDED, output=answer.body)


def median_ms(call: Callable[[], object]) -> float:
    """Milliseconds of one call after another, at the median."""
    return 1e3 * found(one_by_one(call, 600, 50))[1]


@gpuhub.function
def double(number: int) -> int:
    """Double it."""
    return 2 * number


def bench_sync(url: str, workspace: gpuhub.Workspace) -> None:
    """One call after another."""
    endpoint = double.in_workspace(workspace).endpoint()
    with httpx.Client(base_url=url) as client:
        raw = min(median_ms(lambda: client.post("/call", json={"number": 1}).json()) for _ in "123")
        ours = min(median_ms(lambda: endpoint.invoke(1)) for _ in "123")
    print(f"one at a time: gpuhub {ours:.3f} ms, raw httpx {raw:.3f} ms,", end=" ")
    limit = max(1.15, (raw + 0.3) / raw)
    print(f"ratio {ours / raw:.2f} (limit {limit:.2f}: 1.15 or 0.3 ms, the larger)")


async def bench_async(url: str, workspace: gpuhub.Workspace) -> None:
    """256 in flight."""
    endpoint = double.in_workspace(workspace).endpoint()
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    ours, _ = found(await on_loop(lambda: endpoint.invoke_async(1), 256, 5120, 512))
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        post = partial(client.post, "/call", json={"number": 1})
        raw, _ = found(await on_loop(post, 256, 2560, 512))
    await workspace.close_async()
    print(f"256 in flight: gpuhub with `fast` {ours:,.0f} per second,", end=" ")
    print(f"plain async httpx {raw:,.0f}, ratio {ours / raw:.2f} (limit 2)")


def main() -> None:
    """Start the server and measure."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        module: Any = SimpleNamespace(INFO=INFO, create=lambda settings: LoopbackAdapter())
        with tempfile.TemporaryDirectory() as name:
            workspace = gpuhub.Workspace(
                provider="loop",
                root=Path(name),
                adapters={"loop": module},
                provider_options={"api_url": url},
            )
            bench_sync(url, workspace)
            asyncio.run(bench_async(url, workspace))
            workspace.close()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
