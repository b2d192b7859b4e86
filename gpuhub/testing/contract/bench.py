"""What every test of the suite stands on: a provider, a project and a workspace."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub._function import Function, function
from gpuhub._web import WebApp, web
from gpuhub.adapter import Feature, Level
from gpuhub.errors import GpuHubError
from gpuhub.testing.contract.drive import Drive
from gpuhub.testing.contract.project import APP, Project
from gpuhub.workspace import Workspace

if TYPE_CHECKING:
    from gpuhub.adapter import Adapter, AdapterModule, EndpointStatus
    from gpuhub.endpoint import Endpoint
    from gpuhub.testing.emulator import RecordedRequest

__all__ = ["HELD_S", "Bench"]

READS = frozenset({"connect", "find", "list", "logs", "poll", "status", "versions"})
INFERENCES = frozenset({"invoke", "spawn", "stream", "submit"})
PATIENCE_S = 30.0
HELD_S = 50.0
"""Real seconds that a call waits for its gate before it gives up; above what a test ever takes."""


@dataclass
class Bench:
    """One test's provider and workspace, and what tests do with them all the time.

    Attributes:
        module: The adapter under test.
        emulator: Its provider, started.
        drive: How methods are called.
        project: Whose functions are deployed.
        options: The adapter's settings.
        environ: Environment of the workspaces: credentials, and where they keep their state.
        folder: For files that functions write.
        defaults: Settings that every function of the suite is deployed with.
    """

    module: AdapterModule
    emulator: Any
    drive: Drive
    project: Project
    options: Mapping[str, Any]
    environ: Mapping[str, str]
    folder: Path
    defaults: Mapping[str, Any] = field(default_factory=dict)
    _opened: list[Workspace] = field(default_factory=list)
    _current: Workspace | None = None

    # Workspaces

    @property
    def workspace(self) -> Workspace:
        """The workspace that functions are bound to."""
        if self._current is None:
            self._current = self.open_workspace()
        return self._current

    def open_workspace(
        self, *, module: AdapterModule | None = None, state: str = "state", **overrides: Any
    ) -> Workspace:
        """Make one more workspace.

        Args:
            module: Adapter in the place of the one under test, such as a wrapper around it.
            state: Name of its state folder: another one is another machine.
            overrides: Further arguments of :class:`~gpuhub.workspace.Workspace`.
        """
        environ = {**self.environ, "GPUHUB_STATE_DIR": str(self.folder / state)}
        arguments = {
            "provider": self.provider,
            "app": APP,
            "root": self.project.root,
            "provider_options": self.options,
            "adapters": {self.provider: module or self.module},
            "environ": environ,
            "clock": self.emulator.clock,
        }
        workspace = Workspace(**{**arguments, **overrides})
        self._opened.append(workspace)
        return workspace

    def use(self, workspace: Workspace) -> None:
        """Bind functions to this workspace from now on."""
        self._current = workspace

    def restart(self, *, state: str = "state") -> Workspace:
        """Close the workspace and go on with a fresh one, as another process would."""
        if self._current is not None:
            self.drive.close(self._current)
        self._current = self.open_workspace(state=state)
        return self._current

    def close(self) -> None:
        """Close all workspaces."""
        for workspace in self._opened:
            self.drive.close(workspace)

    # The adapter

    @property
    def provider(self) -> str:
        """Name of the adapter."""
        return self.module.INFO.name

    @property
    def adapter(self) -> Adapter:
        """The adapter behind the workspace."""
        return self.workspace.session().adapter

    def lacks(self, feature: Feature) -> bool:
        """Whether the adapter declares that the provider cannot do it."""
        return self.level(feature) is Level.UNSUPPORTED

    def level(self, feature: Feature) -> Level:
        """How far the adapter declares to support a feature."""
        return self.adapter.capabilities[feature].level

    def is_native(self, feature: Feature) -> bool:
        """Whether the adapter declares that the provider does it itself."""
        return self.level(feature) is Level.NATIVE

    def adapter_status(self, endpoint: Endpoint[..., Any]) -> EndpointStatus:
        """Ask the adapter for the status, as deploy does, whatever it declares."""
        session, ref = self.workspace.session(), endpoint.ref
        return self.drive.do(lambda: session.run(lambda io: session.adapter.status(io, ref)))

    # Functions

    def function(self, name: str, /, **settings: Any) -> Function[..., Any, Any]:
        """A decorated function of the project, bound to the workspace."""
        target = getattr(self.project.functions, name)
        decorate = function(**{**self.defaults, **settings})
        return decorate(target).in_workspace(self.workspace)

    def deploy(self, name: str, /, **settings: Any) -> Endpoint[..., Any]:
        """Decorate and deploy a function of the project."""
        endpoint: Endpoint[..., Any] = self.drive.call(self.function(name, **settings), "deploy")
        return endpoint

    def web(self, name: str, /, **settings: Any) -> WebApp[Any]:
        """A decorated ASGI application of the project, bound to the workspace."""
        target = getattr(self.project.functions, name)
        return web(**{**self.defaults, **settings})(target).in_workspace(self.workspace)

    def deploy_web(self, name: str, /, **settings: Any) -> Endpoint[..., Any]:
        """Decorate and deploy an ASGI application of the project."""
        endpoint: Endpoint[..., Any] = self.drive.call(self.web(name, **settings), "deploy")
        return endpoint

    def invoke(self, endpoint: Endpoint[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call and wait for the result."""
        return self.drive.call(endpoint, "invoke", *args, **kwargs)

    def attempt(self, action: Callable[[], Any]) -> Any:
        """Give what an action returns, or the error of gpuhub's that it raises."""
        try:
            return action()
        except GpuHubError as error:
            return error

    def log(self, name: str = "runs") -> RunLog:
        """A file that functions write a line to for each run."""
        return RunLog(self.folder / f"{name}.jsonl")

    # The provider

    def advance(self, seconds: float) -> None:
        """Let the provider's time pass."""
        self.emulator.clock.advance(seconds)

    def sent(self) -> list[RecordedRequest]:
        """All requests so far, oldest first."""
        return list(self.emulator.requests)

    def sent_since(self, mark: int) -> list[RecordedRequest]:
        """The requests after the first ``mark`` ones."""
        return self.sent()[mark:]

    def submits_since(self, mark: int) -> int:
        """How many of the requests after the first ``mark`` ones submit a call."""
        return sum(request.operation == "submit" for request in self.sent_since(mark))

    @contextmanager
    def sends_nothing(self) -> Iterator[None]:
        """Check that the block sends no request at all."""
        mark = len(self.sent())
        yield
        sent = [request.operation for request in self.sent_since(mark)]
        assert not sent, f"nothing should have been sent, but there was: {sent}"

    @contextmanager
    def sends_no_mutation(self) -> Iterator[None]:
        """Check that the block only looks: no request that could change the provider."""
        mark = len(self.sent())
        yield
        mutating = [request for request in self.sent_since(mark) if is_mutation(request)]
        assert not mutating, f"mutating requests were sent: {mutating}"

    @contextmanager
    def sends_no_inference(self) -> Iterator[None]:
        """Check that the block calls no function."""
        mark = len(self.sent())
        yield
        calls = [each for each in self.sent_since(mark) if each.operation in INFERENCES]
        assert not calls, f"inference requests were sent: {calls}"

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a worker that runs in real time."""
        ends = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < ends, f"waited {PATIENCE_S:g} s for {what}"
            pause.wait(0.002)


def is_mutation(request: RecordedRequest) -> bool:
    """Whether a request may change something at the provider."""
    return request.method not in ("GET", "HEAD", "OPTIONS") and request.operation not in READS


@dataclass(frozen=True)
class RunLog:
    """The lines that functions wrote."""

    path: Path

    def __fspath__(self) -> str:
        """Be passed as an argument."""
        return str(self.path)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Check that no function writes inside the block."""
        before = self.lines()
        yield
        assert self.lines() == before, "a function ran that should not have"

    def lines(self) -> list[Any]:
        """What was written so far; empty when nothing ran."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
