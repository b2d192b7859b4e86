"""The mock provider in the hands of an application's tests: what the fixture ``gpuhub_mock`` is."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub._function import Function
    from gpuhub._web import WebApp
    from gpuhub.adapter import AdapterModule, CallOptions, CallState, DeploymentRef, Io
    from gpuhub.endpoint import Endpoint
    from gpuhub.settings import ProviderSettings
    from gpuhub.testing.emulator import BilledSeconds, Fault
    from gpuhub.testing.emulator.faults import FaultKind
    from gpuhub.workspace import Workspace

__all__ = ["MockHarness", "RecordedCall"]

_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call as it left the application.

    Attributes:
        deployment: Name of the deployment, ``<app>-<function>``.
        arguments: By name, as JSON values.
        is_stream: Whether the items were asked for as they come.
        at: When, in seconds of the mock's clock.
    """

    deployment: str
    arguments: dict[str, Any]
    is_stream: bool
    at: float


@dataclass(frozen=True)
class MockHarness:
    """A workspace on a mock provider of its own.

    Attributes:
        workspace: It is the current one, in every thread, for the length of the test.
    """

    workspace: Workspace
    _calls: deque[RecordedCall]

    @classmethod
    def opened(cls, root: Path, state: Path, options: Mapping[str, Any]) -> MockHarness:
        """Make one.

        Args:
            root: Folder to look for the project file from, upwards.
            state: Folder for the journal and the like.
            options: Settings of the mock provider.
        """
        from gpuhub.registry import load
        from gpuhub.workspace import Workspace

        calls: deque[RecordedCall] = deque(maxlen=_KEPT)
        ours = {"GPUHUB_STATE_DIR": str(state), "GPUHUB_JOURNAL": str(state / "journal.db")}
        workspace = Workspace(
            "mock",
            root=root,
            provider_options={"persist": False, **options},
            adapters={"mock": _RecordingModule(load("mock"), calls)},
            environ={**os.environ, **ours},
        )
        return cls(workspace, calls)

    @property
    def cloud(self) -> Any:
        """The mock provider: ``requests``, ``secrets``, ``out_of_stock``, ``drain()`` and more."""
        return self.workspace.session("mock").adapter.cloud  # type: ignore[attr-defined]

    @property
    def clock(self) -> Any:
        """Its virtual time: ``clock.advance(60)`` lets a minute pass, at once."""
        return self.cloud.clock

    @property
    def calls(self) -> list[RecordedCall]:
        """The calls so far, oldest first; the last 10,000."""
        return list(self._calls)

    @property
    def billed_seconds(self) -> BilledSeconds:
        """Worker id -> seconds billed so far; ``.total`` for all of them."""
        billed: BilledSeconds = self.cloud.billed_seconds
        return billed

    def deploy(
        self, function: Function[..., Any, Any] | WebApp[Any], *, warm: bool = False
    ) -> Endpoint[..., Any]:
        """Deploy a function to the mock; give its endpoint."""
        bound = function.in_workspace(self.workspace)
        endpoint: Endpoint[..., Any] = bound.deploy(warm=warm)
        return endpoint

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next operations of one kind go wrong.

        Args:
            fault: What goes wrong, such as ``"rate_limit"``, or a
                :class:`~gpuhub.testing.Fault`.
            on: The operation: ``submit``, ``stream``, ``poll``, ``deploy`` and so on, or
                ``start`` for the start of a worker.
            times: How many of them.
        """
        self.cloud.fail(fault, on, times)

    def advance(self, seconds: float) -> None:
        """Let time pass: workers start, idle out, schedules come due."""
        self.clock.advance(seconds)


class _RecordingModule:
    def __init__(self, inner: AdapterModule, calls: deque[RecordedCall]) -> None:
        self._inner = inner
        self._calls = calls
        self.INFO = inner.INFO

    def create(self, settings: ProviderSettings) -> Any:
        return _RecordingAdapter(self._inner.create(settings), self._calls)


class _RecordingAdapter:
    """Passes everything on."""

    def __init__(self, inner: Any, calls: deque[RecordedCall]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        self._note(io, ref, payload, is_stream=False)
        state: CallState = await self._inner.submit(io, ref, payload, options)
        return state

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        self._note(io, ref, payload, is_stream=True)
        chunks: AsyncIterator[bytes] = self._inner.stream(io, ref, payload, options)
        return chunks

    def _note(self, io: Io, ref: DeploymentRef, payload: bytes, *, is_stream: bool) -> None:
        self._calls.append(RecordedCall(ref.name, json.loads(payload), is_stream, io.now()))
