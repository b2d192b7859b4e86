"""A laboratory: Modal's adapter in a workspace, over a client that a test scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import NotFound
from gpuhub_modal.facts import AppFacts, CallRequest, FunctionFacts, FunctionState, Output
from tests.adapters import laboratory


@dataclass
class ScriptedSession:
    """The client of Modal's, as the adapter uses it: a script instead of a server."""

    environment: str | None = None
    server_url: str = "http://127.0.0.1:9"
    apps: dict[str, AppFacts] = field(default_factory=dict)
    functions: dict[tuple[str, str], FunctionFacts] = field(default_factory=dict)
    states: dict[str, FunctionState] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    outputs: list[Output | Exception] = field(default_factory=list)
    starts: list[str | Exception] = field(default_factory=list)
    streamed: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)
    sent: list[CallRequest] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def token(self) -> tuple[str, str]:
        return "ak-made-up", "as-made-up"

    def close(self) -> None:
        self.asked.append(("close",))

    def app(self, name: str) -> AppFacts:
        self.asked.append(("app", name))
        if name not in self.apps:
            raise NotFound(f"Modal: no app {name}", provider="modal")
        return self.apps[name]

    def function(self, app: str, name: str) -> FunctionFacts:
        self.asked.append(("function", app, name))
        if (app, name) not in self.functions:
            raise NotFound(f"Modal: no function {name}", provider="modal")
        return self.functions[app, name]

    def set_tags(self, name: str, tags: dict[str, str]) -> None:
        self.asked.append(("set_tags", name, tags))

    def stop(self, name: str) -> None:
        self.app(name)
        self.asked.append(("stop", name))
        del self.apps[name]

    def state(self, function_id: str) -> FunctionState:
        self.asked.append(("state", function_id))
        return self.states[function_id]

    def scale(self, function_id: str, limits: dict[str, int]) -> None:
        self.asked.append(("scale", function_id, limits))

    def start(self, request: CallRequest) -> str:
        self.sent.append(request)
        answer = self.starts.pop(0) if self.starts else f"fc-{len(self.sent)}"
        if isinstance(answer, Exception):
            raise answer
        return answer

    def output(self, call_id: str, wait_s: float) -> Output:
        self.asked.append(("output", call_id, wait_s))
        answer = self.outputs.pop(0) if self.outputs else Output()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_begun(self, call_id: str) -> bool:
        return call_id in self.begun

    def cancel(self, call_id: str) -> None:
        self.asked.append(("cancel", call_id))

    def items(self, call_id: str, is_last: Callable[[bytes], bool]) -> Iterator[Any]:
        self.asked.append(("items", call_id))
        for item in self.streamed:
            yield item
            if isinstance(item, bytes) and is_last(item):
                return

    def logs(self, name: str, since: Any, until: Any) -> Iterator[Any]:
        self.asked.append(("logs", name, since, until))
        yield from self.entries


@dataclass
class Lab(laboratory.Lab):
    """One workspace with Modal, and a client that a test scripts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.client = ScriptedSession()
        self.adapter._session = self.client
        self.adapter._calls._session = self.client

    def ref(self, kind: str = "function", **facts: Any) -> DeploymentRef:
        """A deployment that gpuhub made."""
        data = {"app": "lab-echo", "app_id": "ap-1", "function": "echo", "function_id": "fu-1"}
        data |= {"kind": kind, "retries": "0", "concurrency": "1", **facts.pop("data", {})}
        given = {"provider": "modal", "name": "lab-echo", "address": "lab-echo", "version": "v1"}
        return DeploymentRef(**{**given, "data": data, **facts})


def app_facts(version: int = 1, **facts: Any) -> AppFacts:
    """An app of gpuhub's."""
    tags = {"gpuhub": "1", "gpuhub-version": str(version), "gpuhub-kind": "function"}
    tags |= facts.pop("tags", {})
    given = {"app_id": "ap-1", "state": "deployed", "functions": {"echo": "fu-1"}}
    return AppFacts(**{**given, "version": version, "tags": tags, **facts})


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Make laboratories; arguments are Modal's settings."""
    token = {"MODAL_TOKEN_ID": "ak-made-up", "MODAL_TOKEN_SECRET": "as-made-up"}
    with laboratory.laboratories("modal", tmp_path, token, kind=Lab) as make:
        yield make
