"""Which path is whose, what it means, and which right it takes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpuhub_runpod.emulator.problems import Problem
from gpuhub_runpod.emulator.releases import makes_release
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.planes.balancer import Balancer
    from gpuhub_runpod.emulator.planes.belongings import Belongings
    from gpuhub_runpod.emulator.planes.control import Endpoints
    from gpuhub_runpod.emulator.planes.jobs import Jobs
    from gpuhub_runpod.emulator.planes.rentals import Rentals
    from gpuhub_runpod.emulator.planes.workers import WorkerPlane

__all__ = ["Route", "Routes"]

Plane = Literal["control", "data", "worker"]
Handler = Callable[..., Awaitable[Answer]]

_NAME = r"([^/]+)"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        operation: What it means to a client, as in ``Emulator.requests``.
        plane: Whose face it is of.
        handle: Gives the answer.
    """

    operation: str
    plane: Plane
    handle: Handler

    def name_of(self, request: Request) -> str:
        """Give the operation; a PATCH of limits alone is a ``scale``."""
        if self.operation != "update":
            return self.operation
        try:
            sent = request.json()
        except Problem:
            return "deploy"
        is_scale = isinstance(sent, dict) and bool(sent) and not makes_release(sent)
        return "scale" if is_scale else "deploy"

    def right(self, request: Request) -> str:
        """Give what a key must be allowed to do."""
        if self.plane == "data":
            return "invoke"
        return "read" if request.method == "GET" else "write"


@dataclass
class Routes:
    """All of them.

    Attributes:
        endpoints: Handles ``/v2/serverless``.
        belongings: Handles templates, volumes and registries.
        rentals: Handles the catalog and the bill.
        jobs: Handles the data plane.
        workers: Handles the worker plane.
        balancer: Handles load-balancing endpoints.
    """

    endpoints: Endpoints
    belongings: Belongings
    rentals: Rentals
    jobs: Jobs
    workers: WorkerPlane
    balancer: Balancer

    def __post_init__(self) -> None:
        """Build the table; the data plane has one of its own, by the last part but one."""
        self._control = [
            (method, re.compile(f"/v2/{pattern}"), Route(operation, "control", handle))
            for method, pattern, operation, handle in self._control_table()
        ]
        self._data = self._data_table()
        self._worker = self._worker_table()
        self._load = Route("visit", "data", self.balancer.handle)

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """Give the route of a request, and what its path names."""
        parts = request.path.split("/", 4)
        if len(parts) > 2 and parts[1] == "lb":
            return self._load, (parts[2], "/".join(parts[3:]))
        if len(parts) > 3 and parts[1] == "v2":
            found = self._by_endpoint(request.method, parts)
            if found is not None:
                return found
        allowed = False
        for method, pattern, route in self._control:
            if match := pattern.fullmatch(request.path):
                if method == request.method:
                    return route, match.groups()
                allowed = True
        problem = Problem(
            405 if allowed else 404, f"{request.method} {request.path}: no such route"
        )
        return Route("unknown", "control", _raising(problem)), ()

    def _by_endpoint(self, method: str, parts: list[str]) -> tuple[Route, tuple[str, ...]] | None:
        endpoint, name = parts[2], parts[3]
        rest = parts[4] if len(parts) > 4 else ""
        if route := self._data.get((method, name, bool(rest))):
            return route, (endpoint, rest) if rest else (endpoint,)
        if name == "openai" and rest.startswith("v1/"):
            route = Route("submit", "data", self.jobs.openai)
            return route, (endpoint, rest.removeprefix("v1/"))
        if route := self._worker.get((method, name)):
            return route, (endpoint, *rest.split("/", 1))
        return None

    def _data_table(self) -> dict[tuple[str, str, bool], Route]:
        jobs = self.jobs
        table: dict[tuple[str, str, bool], tuple[str, Handler]] = {
            ("POST", "run", False): ("submit", jobs.run),
            ("POST", "runsync", False): ("submit", jobs.runsync),
            ("GET", "status", True): ("poll", jobs.status),
            ("GET", "stream", True): ("stream", jobs.stream),
            ("POST", "cancel", True): ("cancel", jobs.cancel),
            ("POST", "retry", True): ("retry", jobs.retry),
            ("POST", "purge-queue", False): ("purge", jobs.purge),
            ("GET", "health", False): ("status", jobs.health),
        }
        return {key: Route(name, "data", handle) for key, (name, handle) in table.items()}

    def _worker_table(self) -> dict[tuple[str, str], Route]:
        workers = self.workers
        table: dict[tuple[str, str], Handler] = {
            ("GET", "job-take"): workers.take,
            ("GET", "job-take-batch"): workers.take_batch,
            ("GET", "job-stop"): workers.stops,
            ("POST", "job-done"): workers.done,
            ("POST", "job-stream"): workers.item,
            ("GET", "ping"): workers.ping,
        }
        return {key: Route(key[1], "worker", handle) for key, handle in table.items()}

    def _control_table(self) -> list[tuple[str, str, str, Handler]]:
        endpoints, rentals = self.endpoints, self.rentals
        one = f"serverless/{_NAME}"
        catalog = r"catalog/(gpus|cpus|datacenters|templates)"
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", "serverless", "find", endpoints.all),
            ("POST", "serverless", "deploy", endpoints.create),
            ("GET", one, "find", endpoints.get),
            ("PATCH", one, "update", endpoints.update),
            ("DELETE", one, "delete", endpoints.delete),
            ("GET", f"{one}/workers", "status", endpoints.workers),
            ("GET", f"{one}/releases", "versions", endpoints.releases),
            ("GET", f"{one}/workers/{_NAME}/logs", "logs", endpoints.logs),
            ("GET", catalog, "catalog", rentals.all),
            ("GET", f"{catalog}/(.+)", "catalog", rentals.get),
            ("GET", "billing/serverless", "billing", rentals.bill),
        ]
        for place in ("templates", "network-volumes", "registries/(delegations)", "registries"):
            table += self._collection(place)
        return table

    def _collection(self, place: str) -> list[tuple[str, str, str, Handler]]:
        kept = self.belongings
        name = place.rpartition("/")[2].strip("()")
        pattern = place if "(" in place else f"({place})"
        one = f"{pattern}/{_NAME}"
        return [
            ("GET", pattern, name, kept.all),
            ("POST", pattern, name, kept.create),
            ("GET", one, name, kept.get),
            ("PATCH", one, name, kept.update),
            ("DELETE", one, name, kept.delete),
        ]


def _raising(problem: Problem) -> Handler:
    async def handle(*_: Any) -> Answer:
        raise problem

    return handle
