"""Which path is whose, what it means, and which right it takes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpuhub_baseten.emulator.planes.store import BUCKET
from gpuhub_baseten.emulator.problems import Problem
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.planes.belongings import Belongings
    from gpuhub_baseten.emulator.planes.gateway import Gateway
    from gpuhub_baseten.emulator.planes.graph import Graph
    from gpuhub_baseten.emulator.planes.management import Management
    from gpuhub_baseten.emulator.planes.queue import AsyncRequests
    from gpuhub_baseten.emulator.planes.store import Store

__all__ = ["Plane", "Route", "Routes"]

Plane = Literal["management", "inference", "store", "graph"]
Handler = Callable[..., Awaitable[Answer]]

_NAME = r"([^/]+)"
_TARGET = r"(production|development|environments/[^/]+|deployment/[^/]+)"


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

    @property
    def right(self) -> str:
        """What a key must be allowed to do."""
        return "invoke" if self.plane == "inference" else "manage"


Table = list[tuple[str, str, str, Handler]]
Compiled = list[tuple[str, re.Pattern[str], Route]]


@dataclass
class Routes:
    """All of them.

    Attributes:
        management: Handles models, deployments and environments.
        belongings: Handles the rest of the management API.
        gateway: Handles synchronous requests.
        queue: Handles asynchronous requests.
        store: Handles uploads.
        graph: Handles the older GraphQL API.
    """

    management: Management
    belongings: Belongings
    gateway: Gateway
    queue: AsyncRequests
    store: Store
    graph: Graph

    def __post_init__(self) -> None:
        """Build the tables."""
        tables: list[tuple[Plane, str, Table]] = [
            ("management", "/v1/", [*self._models(), *self._deployments(), *self._rest()]),
            ("inference", f"/model-{_NAME}/", self._inference()),
            ("store", f"/{BUCKET}/", self._store()),
            ("graph", "/", [("POST", "graphql/", "graphql", self.graph.handle)]),
        ]
        self._compiled: dict[Plane, Compiled] = {
            plane: [
                (method, re.compile(prefix + pattern), Route(operation, plane, handle))
                for method, pattern, operation, handle in table
            ]
            for plane, prefix, table in tables
        }

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """Give the route of a request, and what its path names."""
        plane = _plane(request.path)
        allowed = False
        for method, pattern, route in self._compiled[plane]:
            if match := pattern.fullmatch(request.path):
                if method in (request.method, "*"):
                    return route, match.groups()
                allowed = True
        words = f"{request.method} {request.path}: no such route"
        return Route("unknown", plane, _raising(Problem(405 if allowed else 404, words))), ()

    def _models(self) -> Table:
        management = self.management
        table: Table = [
            ("POST", "prepare_model_upload", "prepare", management.prepare),
            ("GET", "models", "find", management.all),
            ("POST", "models", "deploy", management.create),
            ("GET", f"models/{_NAME}", "find", management.get),
            ("PATCH", f"models/{_NAME}", "rename", management.rename),
            ("DELETE", f"models/{_NAME}", "delete", management.delete),
        ]
        places = f"models/{_NAME}/environments"
        one = f"{places}/{_NAME}"
        return [
            *table,
            ("GET", places, "status", management.environments),
            ("POST", places, "environment", management.create_environment),
            ("GET", one, "status", management.environment),
            ("PATCH", one, "scale", management.update_environment),
            ("DELETE", one, "environment", management.delete_environment),
            ("POST", f"{one}/promote", "promote", management.promote_to),
            ("POST", f"{one}/cancel_promotion", "promote", management.cancel_promotion),
            ("POST", f"{one}/activate", "activate", management.activate_environment),
            ("POST", f"{one}/deactivate", "deactivate", management.deactivate_environment),
            ("GET", f"{one}/logs", "logs", self.belongings.environment_logs),
        ]

    def _deployments(self) -> Table:
        management, belongings = self.management, self.belongings
        all_of = f"models/{_NAME}/deployments"
        one = f"{all_of}/{_NAME}"
        return [
            ("GET", all_of, "versions", management.deployments),
            ("POST", all_of, "deploy", management.add),
            ("GET", one, "status", management.deployment),
            ("PATCH", one, "rename", management.update),
            ("DELETE", one, "delete", management.remove),
            ("PATCH", f"{one}/autoscaling_settings", "scale", management.limits),
            ("PATCH", f"{one}/request_backpressure_settings", "scale", management.backpressure),
            ("POST", f"{one}/activate", "activate", management.activate),
            ("POST", f"{one}/deactivate", "deactivate", management.deactivate),
            ("POST", f"{one}/retry", "deploy", management.retry),
            ("POST", f"{one}/promote", "promote", management.promote),
            ("DELETE", f"{one}/replicas/{_NAME}", "scale", management.end_replica),
            ("GET", f"{one}/config", "config", management.config),
            ("GET", f"{one}/logs", "logs", belongings.logs),
            ("POST", f"{one}/logs", "logs", belongings.logs),
            ("GET", f"{one}/startups", "startups", belongings.startups),
            ("GET", f"{one}/startups/summary", "startups", belongings.startups_summary),
        ]

    def _rest(self) -> Table:
        belongings = self.belongings
        return [
            ("GET", "secrets", "list", belongings.secrets),
            ("POST", "secrets", "secrets", belongings.upsert_secret),
            ("DELETE", f"secrets/{_NAME}", "secrets", belongings.delete_secret),
            ("POST", "api_keys", "keys", belongings.create_key),
            ("DELETE", f"api_keys/{_NAME}", "keys", belongings.delete_key),
            ("GET", "teams", "list", belongings.teams),
            ("GET", "regions", "list", belongings.regions),
            ("GET", "users/me", "list", belongings.me),
            ("GET", "instance_types", "list", belongings.instance_types),
            ("GET", "instance_type_prices", "list", belongings.prices),
            ("GET", "billing/usage_summary", "list", belongings.bill),
        ]

    def _inference(self) -> Table:
        gateway, queue = self.gateway, self.queue
        return [
            ("POST", f"{_TARGET}/predict", "submit", gateway.predict),
            ("POST", f"{_TARGET}/wake", "wake", gateway.wake),
            ("*", f"{_TARGET}/sync/(.*)", "submit", gateway.sync),
            ("POST", f"{_TARGET}/async_predict", "submit", queue.submit),
            ("GET", f"{_TARGET}/async_queue_status", "queue", queue.queue),
            ("GET", f"async_request/{_NAME}", "poll", queue.status),
            ("DELETE", f"async_request/{_NAME}", "cancel", queue.cancel),
        ]

    def _store(self) -> Table:
        store = self.store
        return [
            ("PUT", "(.+)", "put", store.put),
            ("POST", "(.+)", "put", store.post),
            ("*", "(.*)", "put", store.other),
        ]


def _plane(path: str) -> Plane:
    if path.startswith(f"/{BUCKET}/"):
        return "store"
    if path.startswith("/model-"):
        return "inference"
    return "graph" if path == "/graphql/" else "management"


def _raising(problem: Problem) -> Handler:
    async def handle(*_: Any) -> Answer:
        raise problem

    return handle
