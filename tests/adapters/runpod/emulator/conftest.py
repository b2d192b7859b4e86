"""An emulator, a client of its API, and endpoints made of a few lines of a handler."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gpuhub_runpod.container import BOOT_ARGS
from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator
from tests.adapters.waiting import until

ECHO = """
async def handler(job):
    return job["input"]
"""


class Account:
    """A client of one emulator.

    Attributes:
        emulator: The provider.
        http: Sends requests, relative to the base URL.
    """

    def __init__(self, emulator: RunPodEmulator) -> None:
        self.emulator = emulator
        base = f"{emulator.start()['api_url']}/"
        headers = {"Authorization": "Bearer made-up"}
        # Without limits: where a pool has more connections than it keeps, httpcore now and then
        # closes one that another thread just took: "Bad file descriptor". The server's end is 5 s.
        limits = httpx.Limits(keepalive_expiry=4.0)
        self.http = httpx.Client(
            base_url=base, headers=headers, timeout=170, limits=limits, trust_env=False
        )

    def endpoint(self, handler: str = ECHO, concurrency: int = 1, **fields: Any) -> Endpoint:
        """Make an endpoint whose workers run a handler; ``fields`` change its body."""
        return Endpoint(self, self.created(**body(handler, concurrency, **fields)))

    def created(self, **fields: Any) -> dict[str, Any]:
        """POST an endpoint; give the answer."""
        answer = self.http.post("serverless", json=fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


def body(handler: str = ECHO, concurrency: int = 1, **fields: Any) -> dict[str, Any]:
    """Give the body of an endpoint whose workers run a handler."""
    script = textwrap.dedent(handler) + textwrap.dedent(
        f"""
        import runpod
        runpod.serverless.start(
            {{"handler": handler, "concurrency_modifier": lambda now: {concurrency}}}
        )
        """
    )
    env = {"GPUHUB_BOOT": script, **fields.pop("env", {})}
    return {
        "name": "tested",
        "type": "QUEUE",
        "image": "runpod/queue:py3.11-latest",
        "args": BOOT_ARGS,
        "gpu": {"pools": ["AMPERE_24"], "count": 1},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
        **fields,
        "env": env,
    }


class Endpoint:
    """One endpoint of an account."""

    def __init__(self, account: Account, made: dict[str, Any]) -> None:
        self._account = account
        self.made = made
        self.id = made["id"]

    @property
    def state(self) -> Any:
        """The emulator's own view of it."""
        return self._account.emulator.endpoint(self.id)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to the data plane."""
        return self._account.http.request(method, f"{self.id}/{path}", **options)

    def run(self, given: Any = None, **members: Any) -> str:
        """Submit a job; give its id."""
        answer = self.send("POST", "run", json={"input": given or {"x": 1}, **members})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def runsync(self, given: Any = None, wait: int = 90_000, **members: Any) -> dict[str, Any]:
        """Submit a job and wait; give the answer."""
        document = {"input": given or {"x": 1}, **members}
        answer = self.send("POST", f"runsync?wait={wait}", json=document)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def status(self, job: str) -> dict[str, Any]:
        """Ask about a job."""
        answer = self.send("GET", f"status/{job}")
        return dict(answer.json()) | {"code": answer.status_code}

    def ended(self, job: str) -> dict[str, Any]:
        """Ask about a job until it has ended."""
        until(lambda: self.status(job)["status"] not in ("IN_QUEUE", "IN_PROGRESS"))
        return self.status(job)

    def workers(self) -> list[dict[str, Any]]:
        """List the workers."""
        answer = self._account.http.get(f"serverless/{self.id}/workers")
        return list(answer.json()["workers"])

    def states(self) -> list[str]:
        """Give the states of the workers."""
        return sorted(worker["status"] for worker in self.workers())

    def patch(self, **fields: Any) -> dict[str, Any]:
        """Change the endpoint."""
        answer = self._account.http.patch(f"serverless/{self.id}", json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def log(self) -> str:
        """Give all that its workers printed."""
        with self.state.site.timeline.lock:
            lines = [line.text for log in self.state.logs.values() for line in log.after(0)]
        return "\n".join(lines)


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator behaves; a test may parametrize its own."""
    return EmulatorOptions()


@pytest.fixture
def account(options: EmulatorOptions) -> Iterator[Account]:
    """A fresh account on a virtual clock."""
    emulator = RunPodEmulator(options)
    made = Account(emulator)
    yield made
    made.http.close()
    emulator.stop()


@pytest.fixture
def clock(account: Account) -> Any:
    """Its time."""
    return account.emulator.clock
