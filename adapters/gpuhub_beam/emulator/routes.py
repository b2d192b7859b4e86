"""Which path is whose, and what it means."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpuhub_beam.emulator.problems import Problem, Voice
from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_beam.emulator.planes.calls import Calls
    from gpuhub_beam.emulator.planes.gateway import Gateway
    from gpuhub_beam.emulator.planes.images import ImageService
    from gpuhub_beam.emulator.planes.records import Records
    from gpuhub_beam.emulator.planes.rest import Rest
    from gpuhub_beam.emulator.planes.runners import Runners
    from gpuhub_beam.emulator.planes.schedules import Schedules
    from gpuhub_beam.emulator.planes.sockets import Sockets
    from gpuhub_beam.emulator.planes.storage import Storage

__all__ = ["Route", "Routes"]

Plane = Literal["client", "runner", "open"]
Handler = Callable[..., Awaitable[Answer]]
Method = Callable[[Any], Awaitable[Any]]

_NAME = r"([^/]+)"
_KINDS = "(endpoint|asgi|taskqueue|function|schedule)"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        operation: What it means to a client, as in ``Emulator.requests``.
        plane: Who may ask: clients, runners, or anybody.
        voice: In which form it refuses.
        handle: Gives the answer.
    """

    operation: str
    plane: Plane
    voice: Voice
    handle: Handler


@dataclass
class Routes:
    """All of them.

    Attributes:
        gateway: gRPC methods of clients.
        images: The same, about images.
        runners: gRPC methods of runners.
        schedules: gRPC methods about schedules.
        rest: The REST API.
        records: Logs.
        storage: Presigned uploads.
        calls: Calls of deployments.
        sockets: Websockets of deployments.
        completes_over_http: Whether an upload in parts has a twin to complete it.
    """

    gateway: Gateway
    images: ImageService
    runners: Runners
    schedules: Schedules
    rest: Rest
    records: Records
    storage: Storage
    calls: Calls
    sockets: Sockets
    completes_over_http: bool = True

    def __post_init__(self) -> None:
        """Build the tables."""
        self.methods = self._methods()
        self._table = [
            (method, re.compile(pattern), route) for method, pattern, route in self._routes()
        ]
        self._calls = re.compile(f"/{_KINDS}/(.+)")

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """Give the route of a request, and what its path names."""
        if match := self._calls.fullmatch(request.path):
            return self._call(request, match[2]), match.groups()
        allowed = False
        for method, pattern, route in self._table:
            if match := pattern.fullmatch(request.path):
                if method == request.method:
                    return route, match.groups()
                allowed = True
        problem = Problem(405 if allowed else 404, "Method Not Allowed" if allowed else "Not Found")
        return Route("unknown", "open", "message", _raising(problem)), ()

    def _call(self, request: Request, rest: str) -> Route:
        operation = "submit"
        if rest.endswith("/warmup") and request.method == "POST":
            operation = "warm"
        elif "text/event-stream" in request.headers.get("accept", ""):
            operation = "stream"
        plane: Plane = "open" if rest.startswith("public/") else "client"
        if request.is_websocket:
            return Route("websocket", plane, "error", self.sockets.handle)
        return Route(operation, plane, "error", self.calls.handle)

    def _methods(self) -> dict[str, tuple[str, Plane, Method]]:
        """Give gRPC's methods by their full names, with what they mean."""
        gateway, runners = self.gateway, self.runners
        table: dict[str, list[tuple[str, str, Plane, Method]]] = {
            "gateway.GatewayService": [
                ("Authorize", "authorize", "client", gateway.authorize),
                ("HeadObject", "object", "client", gateway.head_object),
                ("CreateObject", "object", "client", gateway.create_object),
                ("CompleteObjectUpload", "object", "client", gateway.complete_upload),
                ("CreateObjectDelta", "object", "client", gateway.create_delta),
                ("CommitObjectDelta", "object", "client", gateway.commit_delta),
                ("PutObjectStream", "object", "client", gateway.put_object_stream),
                ("GetOrCreateStub", "stub", "client", gateway.stub),
                ("DeployStub", "deploy", "client", gateway.deploy),
                ("GetURL", "url", "client", gateway.url),
                ("ListDeployments", "find", "client", gateway.deployments),
                ("StartDeployment", "activate", "client", gateway.start),
                ("StopDeployment", "deactivate", "client", gateway.stop),
                ("DeleteDeployment", "delete", "client", gateway.delete),
                ("ScaleDeployment", "scale", "client", gateway.scale),
                ("StopTasks", "cancel", "client", gateway.stop_tasks),
                ("ListTasks", "poll", "client", runners.list_tasks),
                ("StartTask", "start-task", "runner", runners.start_task),
                ("EndTask", "end-task", "runner", runners.end_task),
                ("SignPayload", "sign", "runner", runners.sign),
            ],
            "image.ImageService": [
                ("VerifyImageBuild", "image", "client", self.images.verify),
                ("BuildImage", "image", "client", self.images.build),
            ],
            "volume.VolumeService": [
                ("GetOrCreateVolume", "volume", "client", gateway.volume),
            ],
            "taskqueue.TaskQueueService": [
                ("TaskQueuePop", "pop", "runner", runners.pop),
                ("TaskQueueComplete", "complete", "runner", runners.complete),
                ("TaskQueueMonitor", "monitor", "runner", runners.monitor),
            ],
            "function.FunctionService": [
                ("FunctionGetArgs", "get-args", "runner", runners.get_args),
                ("FunctionSetResult", "set-result", "runner", runners.set_result),
                ("FunctionMonitor", "monitor", "runner", runners.monitor),
                ("FunctionSchedule", "deploy", "client", self.schedules.schedule),
            ],
        }
        return {
            f"{service}/{name}": (operation, plane, method)
            for service, methods in table.items()
            for name, operation, plane, method in methods
        }

    def _routes(self) -> list[tuple[str, str, Route]]:
        return [*self._rpcs(), *self._twins(), *self._rests()]

    def _rpcs(self) -> list[tuple[str, str, Route]]:
        """The methods as the gRPC face and quick workers ask for them."""
        return [
            (
                "POST",
                f"/emulated-rpc/{re.escape(name)}",
                Route(operation, plane, "grpc", _rpc(method)),
            )
            for name, (operation, plane, method) in self.methods.items()
        ]

    def _twins(self) -> list[tuple[str, str, Route]]:
        """What grpc-gateway mounts: JSON over HTTP."""
        service, one = "gateway.GatewayService", f"deployments/{_NAME}"
        table = [
            ("POST", "auth/authorize", f"{service}/Authorize", ""),
            ("POST", "auth/sign", f"{service}/SignPayload", ""),
            ("GET", f"objects/{_NAME}", f"{service}/HeadObject", "hash"),
            ("POST", "objects", f"{service}/CreateObject", ""),
            (
                "POST",
                "objects/multipart-upload/complete",
                f"{service}/CompleteObjectUpload",
                "",
            ),
            ("POST", "stubs", f"{service}/GetOrCreateStub", ""),
            ("POST", "stubs/deploy", f"{service}/DeployStub", ""),
            ("GET", f"stubs/{_NAME}/url", f"{service}/GetURL", "stubId"),
            ("GET", "deployments", f"{service}/ListDeployments", ""),
            ("POST", f"{one}/start", f"{service}/StartDeployment", "id"),
            ("POST", f"{one}/stop", f"{service}/StopDeployment", "id"),
            ("POST", f"{one}/scale", f"{service}/ScaleDeployment", "id"),
            ("DELETE", one, f"{service}/DeleteDeployment", "id"),
            ("POST", "tasks/stop", f"{service}/StopTasks", ""),
            ("POST", "images/verify-build", "image.ImageService/VerifyImageBuild", ""),
            ("POST", "images/build", "image.ImageService/BuildImage", ""),
            ("POST", "volumes", "volume.VolumeService/GetOrCreateVolume", ""),
        ]
        return [
            (verb, f"/api/v1/gateway/{pattern}", self._twin(name, parameter))
            for verb, pattern, name, parameter in table
            if self.completes_over_http or not name.endswith("/CompleteObjectUpload")
        ]

    def _twin(self, name: str, parameter: str) -> Route:
        operation, plane, method = self.methods[name]
        return Route(operation, plane, "grpc", _json_twin(method, parameter))

    def _rests(self) -> list[tuple[str, str, Route]]:
        rest = self.rest
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "/api/v1/workspace/current", "workspace", rest.current),
            ("GET", f"/api/v1/token/{_NAME}/signing-key", "workspace", rest.signing_key),
            ("GET", f"/api/v1/deployment/{_NAME}", "find", rest.deployments),
            ("GET", f"/api/v1/deployment/{_NAME}/url", "url", rest.deployment_url),
            ("GET", f"/api/v1/stub/{_NAME}/url", "url", rest.stub_url),
            ("GET", f"/api/v1/deployment/{_NAME}/{_NAME}", "find", rest.deployment),
            ("POST", f"/api/v1/deployment/{_NAME}/(start|stop)/{_NAME}", "change", rest.change),
            ("DELETE", f"/api/v1/deployment/{_NAME}/{_NAME}", "delete", rest.delete),
            ("PATCH", f"/api/v1/stub/{_NAME}/{_NAME}/config", "scale", rest.configure),
            ("GET", f"/api/v1/task/{_NAME}", "queue", rest.tasks),
            ("DELETE", f"/api/v1/task/{_NAME}", "cancel", rest.cancel),
            ("GET", f"/api/v1/task/{_NAME}/{_NAME}", "poll", rest.task),
            ("GET", f"/api/v1/task/{_NAME}/{_NAME}/subscribe", "poll", rest.subscribe),
            ("GET", f"/api/v1/container/{_NAME}", "status", rest.containers),
            ("POST", f"/api/v1/container/{_NAME}/{_NAME}/stop", "stop", rest.stop_container),
            ("GET", f"/api/v1/logs/{_NAME}", "logs", self.records.read),
            ("GET", f"/api/v1/logs/{_NAME}/stream", "logs", self.records.follow),
        ]
        found = [
            (verb, pattern, Route(operation, "client", "message", handle))
            for verb, pattern, operation, handle in table
        ]
        secrets: list[tuple[str, str, Handler]] = [
            ("GET", f"/secret/{_NAME}", rest.secrets),
            ("POST", f"/secret/{_NAME}", rest.create_secret),
            *((verb, f"/secret/{_NAME}/{_NAME}", rest.secret) for verb in _SECRET_VERBS),
        ]
        found += [
            (verb, pattern, Route("secret", "client", "error", handle))
            for verb, pattern, handle in secrets
        ]
        put = Route("put", "open", "message", self.storage.put)
        return [*found, ("PUT", "/emulated-storage/(.+)", put)]


_SECRET_VERBS = ("GET", "PATCH", "DELETE")


def _json_twin(method: Method, parameter: str) -> Handler:
    """Let a gRPC method be asked with a body, a path's parameter and a query."""

    async def handle(request: Request, *named: str) -> Answer:
        asked: dict[str, Any] = dict(request.query)
        if request.body:
            document = request.json()
            if not isinstance(document, dict):
                raise Problem(400, "proto: syntax error: an object is expected", "grpc")
            asked |= document
        if parameter:
            asked[parameter] = named[0]
        result = await method(asked)
        if not hasattr(result, "__aiter__"):
            return Answer.of(result)
        return Answer(200, _lines(result, "result"))

    return handle


def _rpc(method: Method) -> Handler:
    """Let a gRPC method be asked with what its message holds."""

    async def handle(request: Request) -> Answer:
        document = request.json()
        asked = document.get("requests", document.get("request", {}))
        result = await method(asked)
        if not hasattr(result, "__aiter__"):
            return Answer.of(result)
        return Answer(200, _lines(result, "result"))

    return handle


async def _lines(results: AsyncIterator[Any], name: str) -> AsyncIterator[bytes]:
    """Give a stream's messages, a line each, as grpc-gateway does; an error is the last one."""
    try:
        async for result in results:
            yield json.dumps({name: result}).encode() + b"\n"
    except Problem as problem:
        yield json.dumps({"error": problem.body("grpc")}).encode() + b"\n"


def _raising(problem: Problem) -> Handler:
    async def handle(*_: Any) -> Answer:
        raise problem

    return handle
