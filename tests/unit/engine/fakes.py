"""An adapter that does what a test wrote down, an Io without a network, a journal in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gpuhub.adapter import (
    AdapterInfo,
    CallRef,
    CallState,
    CancelReceipt,
    DeploymentRef,
    EndpointStatus,
    Feature,
    Limits,
    Phase,
    Rollout,
    Support,
    Version,
)

REF = DeploymentRef(provider="fake", name="demo-embed", address="dep-1", version="1")
CALL = CallRef("fake", "dep-1", "call-1")
RESULT = b'{"result": 1}'


def done(output: bytes = RESULT) -> CallState:
    """Give an ended call."""
    return CallState(CALL, Phase.SUCCEEDED, output=output)


def state(phase: Phase, **facts: Any) -> CallState:
    """Give a call in some phase."""
    return CallState(CALL, phase, **facts)


class FakeIo:
    """Time that passes in sleeps only; remembers budgets."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sleeps: list[float] = []
        self.budgets: list[float | None] = []

    def bounded(self, seconds: float | None) -> FakeIo:
        self.budgets.append(seconds)
        return self

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def now(self) -> float:
        return self.time


@dataclass
class FakeJournal:
    """Lists what was written, in order."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)
    record: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            self.lines.append((name, *args, *kwargs.values()))
            return 7

        return write

    def deployment(self, provider: str, name: str) -> Any:
        return self.record

    def written(self) -> list[str]:
        return [line[0] for line in self.lines]


class FakeAdapter:
    """Each method takes the next step of its script: a value to give or an error to raise."""

    def __init__(self, limits: Limits | None = None, **scripts: list[Any]) -> None:
        self.info = AdapterInfo(
            name="fake",
            title="Fake",
            docs_url="https://example.com",
            limits=limits or Limits(),
            long_poll_s=10,
        )
        self.capabilities = dict.fromkeys(Feature, Support.native())
        self.capabilities[Feature.IDEMPOTENCY_KEY] = Support.unsupported("no such key")
        self.scripts = scripts
        self.seen: list[tuple[Any, ...]] = []

    def _next(self, name: str, *args: Any) -> Any:
        self.seen.append((name, *args))
        step = self.scripts[name].pop(0)
        if isinstance(step, BaseException):
            raise step
        return step() if callable(step) else step

    def count(self, name: str) -> int:
        return sum(line[0] == name for line in self.seen)

    async def submit(self, io: Any, ref: Any, payload: bytes, options: Any) -> CallState:
        return self._next("submit", options)

    async def poll(self, io: Any, call: Any, wait_s: float) -> CallState:
        return self._next("poll", wait_s)

    async def cancel(self, io: Any, call: Any) -> CancelReceipt:
        return self._next("cancel", call)

    async def find(self, io: Any, name: str) -> DeploymentRef | None:
        return self._next("find", name)

    async def deploy(self, io: Any, plan: Any, previous: Any) -> DeploymentRef:
        return self._next("deploy", plan, previous)

    async def status(self, io: Any, ref: Any) -> EndpointStatus:
        return self._next("status", ref)

    async def rollback(self, io: Any, ref: Any, version: str) -> DeploymentRef:
        return self._next("rollback", version)

    async def versions(self, io: Any, ref: Any) -> list[Version]:
        return self._next("versions")

    async def warm(self, io: Any, ref: Any) -> None:
        return self._next("warm")

    async def delete(self, io: Any, ref: Any) -> None:
        return self._next("delete")

    async def stream(self, io: Any, ref: Any, payload: bytes, options: Any) -> Any:
        for chunk in self.scripts["stream"]:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk


READY = EndpointStatus(rollout=Rollout.READY, version="2")
ROLLING = EndpointStatus(rollout=Rollout.IN_PROGRESS, version="1")
