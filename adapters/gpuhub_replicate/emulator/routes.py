"""Which path is whose, and what it means."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gpuhub_replicate.emulator.problems import Problem, RegistryProblem
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.planes.deployments import Deployments
    from gpuhub_replicate.emulator.planes.files import FilePlane
    from gpuhub_replicate.emulator.planes.models import Models
    from gpuhub_replicate.emulator.planes.predictions import Predictions
    from gpuhub_replicate.emulator.registry import RegistryPlane

__all__ = ["Route", "Routes"]

Plane = Literal["api", "registry", "open", "worker"]
Handler = Callable[..., Awaitable[Answer]]
Row = tuple[str, str, str, Handler]

_NAME = r"([^/]+)"
_LIMITS = {"min_instances", "max_instances"}


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
        """Give the operation; a change of a deployment's limits alone is a ``scale``."""
        if self.operation != "update":
            return self.operation
        try:
            sent = request.json()
        except Problem:
            return "deploy"
        is_scale = isinstance(sent, dict) and bool(sent) and set(sent) <= _LIMITS
        return "scale" if is_scale else "deploy"


@dataclass
class Routes:
    """All of them.

    Attributes:
        models: Handles models, versions and what is the account's.
        deployments: Handles ``/v1/deployments``.
        predictions: Handles predictions.
        files: Handles files.
        registry: Handles ``/v2/``.
    """

    models: Models
    deployments: Deployments
    predictions: Predictions
    files: FilePlane
    registry: RegistryPlane

    def __post_init__(self) -> None:
        """Build the tables."""
        predictions = self.predictions
        self._quick = {
            ("POST", "/v1/predictions"): Route("submit", "api", predictions.of_version),
        }
        planes: dict[Plane, list[Row]] = {
            "api": self._api(),
            "registry": self._registry(),
            "open": self._open(),
            "worker": [("POST", f"/workers/{_NAME}", "told", self.files.told)],
        }
        self._table = [
            (method, re.compile(pattern), Route(operation, plane, handle))
            for plane, rows in planes.items()
            for method, pattern, operation, handle in rows
        ]

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """Give the route of a request, and what its path names."""
        if (quick := self._quick.get((request.method, request.path))) is not None:
            return quick, ()
        allowed = False
        for method, pattern, route in self._table:
            if match := pattern.fullmatch(request.path):
                if request.method in method.split("|"):
                    return route, match.groups()
                allowed = True
        status = 405 if allowed else 404
        if request.path.startswith("/v2/"):
            problem: Problem = RegistryProblem(status, "UNSUPPORTED", "unsupported operation")
            return Route("registry", "registry", _raising(problem)), ()
        words = f"{request.method} {request.path}: no such route"
        return Route("unknown", "open", _raising(Problem(status, words, title="Not found"))), ()

    def _api(self) -> list[Row]:
        models, deployments = self.models, self.deployments
        model, deployment = f"/v1/models/{_NAME}/{_NAME}", f"/v1/deployments/{_NAME}/{_NAME}"
        predictions, files = self.predictions, self.files
        return [
            ("POST", f"{deployment}/predictions", "submit", predictions.of_deployment),
            ("POST", f"{model}/predictions", "submit", predictions.of_model),
            ("GET", f"/v1/predictions/{_NAME}", "poll", predictions.get),
            ("POST", f"/v1/predictions/{_NAME}/cancel", "cancel", predictions.cancel),
            ("GET", "/v1/predictions", "list", predictions.all),
            ("GET", "/v1/deployments", "find", deployments.all),
            ("POST", "/v1/deployments", "deploy", deployments.create),
            ("GET", deployment, "status", deployments.get),
            ("PATCH", deployment, "update", deployments.update),
            ("DELETE", deployment, "delete", deployments.delete),
            ("GET", "/v1/account", "account", models.account),
            ("GET", "/v1/hardware", "hardware", models.hardware),
            ("GET", "/v1/webhooks/default/secret", "webhook-secret", models.secret),
            ("GET", "/v1/models", "model", models.all),
            ("POST", "/v1/models", "model", models.create),
            ("GET", model, "model", models.get),
            ("PATCH", model, "model", models.update),
            ("DELETE", model, "model", models.delete),
            ("GET", f"{model}/versions", "versions", models.versions),
            ("GET", f"{model}/versions/{_NAME}", "versions", models.version),
            ("DELETE", f"{model}/versions/{_NAME}", "version", models.drop),
            ("GET", "/v1/files", "files", files.all),
            ("POST", "/v1/files", "files", files.create),
            ("GET", f"/v1/files/{_NAME}", "files", files.get),
            ("DELETE", f"/v1/files/{_NAME}", "files", files.delete),
        ]

    def _registry(self) -> list[Row]:
        registry = self.registry
        return [
            ("GET", "/v2/", "registry", registry.ping),
            ("GET", "/v2/(.+)/tags/list", "registry", registry.tags),
            ("GET|HEAD", f"/v2/(.+)/manifests/{_NAME}", "registry", registry.manifest),
            ("PUT", f"/v2/(.+)/manifests/{_NAME}", "push", registry.put_manifest),
            ("GET|HEAD", f"/v2/(.+)/blobs/{_NAME}", "registry", registry.blob),
            ("POST", "/v2/(.+)/blobs/uploads/?", "push", registry.begin),
            ("PATCH|PUT|GET", f"/v2/(.+)/blobs/uploads/{_NAME}", "push", registry.upload),
            ("POST", "/cog/v1/verify-token", "login", registry.login.verify),
            ("GET", "/token", "login", registry.login.token),
        ]

    def _open(self) -> list[Row]:
        return [
            ("GET", f"/streams/{_NAME}", "stream", self.predictions.stream),
            ("GET", f"/v1/files/{_NAME}/download", "download", self.files.download),
            ("GET", "/delivery/(.+)", "download", self.files.deliver),
        ]


def _raising(problem: Problem) -> Handler:
    async def handle(_request: Request) -> Answer:
        raise problem

    return handle
