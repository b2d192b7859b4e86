"""An emulator, a client of its API, and deployments made of a few lines of a handler."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import textwrap
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gpuhub_beam.emulator import BeamEmulator, EmulatorOptions
from tests.adapters.waiting import until

OPEN: dict[str, Any] = {"proxy": None, "open_timeout": 50}
"""How clients open websockets."""
CODE = textwrap.dedent(
    '''
    import asyncio, os, time
    from pathlib import Path

    class Parent:
        retry_for = [KeyError]

    class Wrapped:
        """What beta9's runner takes for a decorated function."""
        parent = Parent()
        def __init__(self, func):
            self.func = func
        def __call__(self, *args, **kwargs):
            return self.func(*args, **kwargs)

    @Wrapped
    def echo(value=None):
        print("echo", value, flush=True)
        return value

    @Wrapped
    def everything(*args, **kwargs):
        return {"args": list(args), "kwargs": kwargs}

    @Wrapped
    def told(context, value=None):
        return {"task": context.task_id, "kind": context.stub_type, "start": context.on_start_value}

    def start():
        return "started"

    @Wrapped
    def variable(name):
        return os.environ.get(name)

    @Wrapped
    def fail(message="no"):
        raise ValueError(message)

    @Wrapped
    def again(log):
        note(log, "run")
        raise KeyError("again")

    class Sub(KeyError):
        pass

    @Wrapped
    def sub(log):
        note(log, "run")
        raise Sub("a subclass")

    @Wrapped
    def wait(gate, log, seconds=50.0):
        note(log, "began")
        ends = time.monotonic() + seconds
        while not Path(gate).exists() and time.monotonic() < ends:
            time.sleep(0.005)
        note(log, "ended")
        return "opened"

    @Wrapped
    async def hold(gate, log):
        note(log, "began")
        while not Path(gate).exists():
            await asyncio.sleep(0.005)
        return "opened"

    def note(log, text):
        with open(log, "ab", buffering=0) as file:
            file.write(text.encode() + b"\\n")

    @Wrapped
    def count(number, log=""):
        for each in range(number):
            yield {"number": each}
            if log:
                note(log, f"went on after {each}")

    @Wrapped
    async def later(number):
        async def items():
            for each in range(number):
                yield each
        return items()

    @Wrapped
    def app():
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route
        async def hello(request):
            return JSONResponse({"path": request.url.path, "query": dict(request.query_params),
                                 "body": (await request.body()).decode(), "method": request.method})
        return Starlette(routes=[Route("/{rest:path}", hello, methods=["GET", "POST", "PUT"])])

    plain = lambda value=None: value
    '''
)


def archive(**files: str) -> bytes:
    """Give a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as whole:
        for name, text in (files or {"handlers.py": CODE}).items():
            whole.writestr(name, text)
    return made.getvalue()


class Cluster:
    """A client of one emulator.

    Attributes:
        emulator: The provider.
        http: Sends requests, relative to the base URL.
    """

    def __init__(self, emulator: BeamEmulator) -> None:
        self.emulator = emulator
        base = emulator.start()["gateway_url"]
        headers = {"Authorization": "Bearer made-up"}
        self.http = httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)
        self.workspace = emulator.workspace_id

    def ask(self, path: str, **document: Any) -> dict[str, Any]:
        """POST to the gateway's JSON mount; give the answer."""
        answer = self.http.post(f"/api/v1/gateway/{path}", json=document)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def upload(self, content: bytes) -> str:
        """Upload an archive; give the object's id."""
        digest = hashlib.sha256(content).hexdigest()
        size = str(len(content))
        given = {"hash": digest, "size": size, "overwrite": True, "supportsPutHeaders": True}
        made = self.ask("objects", **given)
        put = httpx.put(
            made["presignedUrl"], content=content, headers=made["putHeaders"], timeout=60
        )
        assert put.status_code == 200, put.text
        return str(made["objectId"])

    def stub(self, handler: str, kind: str = "endpoint", /, **fields: Any) -> dict[str, Any]:
        """Make a stub; give the answer."""
        document = {
            "objectId": fields.pop("objectId", None) or self.upload(archive()),
            "imageId": "made-up",
            "stubType": f"{kind}/deployment",
            "name": f"{kind}/deployment/handlers:{handler}",
            "appName": "tested",
            "cpu": 1000,
            "memory": 128,
            "handler": f"handlers:{handler}",
            "authorized": True,
            "workers": 1,
            "maxPendingTasks": 100,
            "concurrentRequests": 1,
            "keepWarmSeconds": 60,
            "autoscaler": scaler(),
            "taskPolicy": {"timeout": 180},
            **fields,
        }
        return self.ask("stubs", **document)

    def deploy(self, handler: str, kind: str = "endpoint", **fields: Any) -> Deployment:
        """Deploy a handler under its own name, or ``name``."""
        name = fields.pop("name", handler)
        stub = self.stub(handler, kind, **fields)
        assert stub["ok"], stub
        made = self.ask("stubs/deploy", stubId=stub["stubId"], name=name, rollout="auto")
        assert made["ok"], made
        return Deployment(self, kind, name, made, stub["stubId"])

    def task(self, task: str) -> dict[str, Any]:
        """Ask about a task."""
        answer = self.http.get(f"/api/v1/task/{self.workspace}/{task}")
        return dict(answer.json()) | {"code": answer.status_code}

    def ended(self, task: str) -> dict[str, Any]:
        """Follow a task to its end; give its last state, with all its states."""
        path = f"/api/v1/task/{self.workspace}/{task}/subscribe"
        with self.http.stream("GET", path) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
        states = [json.loads(line.removeprefix("data: ")) for line in lines]
        return {**states[-1], "states": [state["status"] for state in states]}

    def containers(self) -> list[dict[str, Any]]:
        """List the containers."""
        return list(self.http.get(f"/api/v1/container/{self.workspace}").json())

    def states(self) -> list[str]:
        """Give the states of the containers."""
        return sorted(each["status"] for each in self.containers())

    def logs(self, **query: Any) -> list[str]:
        """Give the lines of all logs."""
        answer = self.http.get(f"/api/v1/logs/{self.workspace}", params={"limit": 1000, **query})
        return [line["message"] for line in answer.json()["logs"]]


def scaler(most: int = 1, least: int = 0, each: int = 1) -> dict[str, Any]:
    """Give an autoscaler."""
    limits = {"maxContainers": most, "tasksPerContainer": each, "minContainers": least}
    return {"type": "queue_depth", **limits}


class Deployment:
    """One version of a name."""

    def __init__(
        self, cluster: Cluster, kind: str, name: str, made: dict[str, Any], stub: str
    ) -> None:
        self._cluster = cluster
        self.kind = kind
        self.name = name
        self.made = made
        self.stub = stub
        self.id = made["deploymentId"]
        self.version = made["version"]
        self.path = f"/{kind}/{name}/v{self.version}"

    def send(self, method: str = "POST", path: str = "", **options: Any) -> httpx.Response:
        """Send a request."""
        return self._cluster.http.request(method, f"{self.path}{path}", **options)

    def call(self, **kwargs: Any) -> Any:
        """Call it; give the result."""
        answer = self.send(json={"kwargs": kwargs})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, **kwargs: Any) -> str:
        """Queue a task; give its id."""
        return str(self.call(**kwargs)["task_id"])

    def change(self, verb: str) -> dict[str, Any]:
        """Start, stop or delete it."""
        path = f"/api/v1/gateway/deployments/{self.id}"
        if verb == "delete":
            return dict(self._cluster.http.delete(path).json())
        return dict(self._cluster.http.post(f"{path}/{verb}").json())

    def configure(self, **fields: Any) -> httpx.Response:
        """Change its stub's configuration."""
        path = f"/api/v1/stub/{self._cluster.workspace}/{self.stub}/config"
        return self._cluster.http.patch(path, json={"fields": fields})

    def leave(self, *lines: str) -> None:
        """Send a request, and leave when the gateway has a task of it; wait for the task's end."""
        place = httpx.URL(self._cluster.emulator.url)
        head = [*lines, "Host: here", "Authorization: Bearer made-up", "", ""]
        with socket.create_connection((place.host, place.port or 80)) as client:
            client.sendall("\r\n".join(head).encode())
            until(lambda: self.instance.tasks)
        until(lambda: self.instance.tasks == {})

    @property
    def instance(self) -> Any:
        """The emulator's own view of it."""
        return self._cluster.emulator.instance(self.kind, self.name, self.version)


class Background:
    """Something that runs on a thread; its result is asked for later."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._result: Any = None
        self._thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        self._thread.start()

    def _run(self, action: Callable[[], Any]) -> None:
        try:
            self._result = action()
        except Exception as error:  # noqa: BLE001 - given to who asks
            self._result = error

    def result(self) -> Any:
        """Wait for its end."""
        self._thread.join(50)
        assert not self._thread.is_alive(), "it does not end"
        return self._result


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator behaves; a test may parametrize its own."""
    return EmulatorOptions()


@pytest.fixture
def cluster(options: EmulatorOptions) -> Iterator[Cluster]:
    """A fresh gateway on a virtual clock."""
    emulator = BeamEmulator(options)
    made = Cluster(emulator)
    yield made
    made.http.close()
    emulator.stop()


@pytest.fixture
def clock(cluster: Cluster) -> Any:
    """Its time."""
    return cluster.emulator.clock
