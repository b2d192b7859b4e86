"""Stubs and deployments: what a client asked for, and what the gateway made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.reading import rfc3339

if TYPE_CHECKING:
    from gpuhub_beam.emulator.bodies import GetOrCreateStub, TaskPolicy

__all__ = ["App", "Deployment", "Stub", "config_of", "gpus_of", "timestamp"]

_MOST_RETRIES = 5
_MOST_TTL_S = 86_400
_REQUEST_S = 600
_TTL_S = {"endpoint": 600, "asgi": 600, "taskqueue": 7_200, "function": 43_200, "schedule": 43_200}
_PODS = frozenset({"pod/deployment", "pod/run", "sandbox"})


@dataclass(frozen=True, slots=True)
class App:
    """What a workspace groups deployments and logs by."""

    id: str
    name: str
    created_at: float


@dataclass(slots=True, eq=False)
class Stub:
    """A stub. Times are seconds since the epoch.

    Attributes:
        id: External id.
        name: Such as ``endpoint/app:handler``.
        type: Such as ``endpoint/deployment``.
        config: As the gateway keeps it (``StubConfigV1``).
        secrets: Values of the secrets it was made with, by name.
        object_id: Its code.
        app: What it belongs to.
        created_at: When it was made.
    """

    id: str
    name: str
    type: str
    config: dict[str, Any]
    secrets: dict[str, str] = field(repr=False)
    object_id: str
    app: App
    created_at: float

    @property
    def kind(self) -> str:
        """``endpoint``, ``asgi``, ``taskqueue``, ``function`` or ``schedule``."""
        return self.type.partition("/")[0]

    @property
    def is_deployment(self) -> bool:
        """Whether it is one, not a session of ``serve`` or the like."""
        return self.type.endswith("/deployment")

    def shown(self) -> dict[str, Any]:
        """Give the gateway's description; the configuration is text, as in its database."""
        return {
            "id": self.id,
            "external_id": self.id,
            "name": self.name,
            "type": self.type,
            "config": json.dumps(self.config),
            "config_version": 0,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.created_at),
        }


@dataclass(slots=True, eq=False)
class Deployment:
    """One version of a name. Times are seconds since the epoch."""

    id: str
    name: str
    version: int
    stub: Stub
    created_at: float
    updated_at: float
    active: bool = True
    is_deleted: bool = False
    subdomain: str = ""

    def shown(self, workspace_id: str) -> dict[str, Any]:
        """Give the REST API's description."""
        app = self.stub.app
        return {
            "id": self.id,
            "external_id": self.id,
            "name": self.name,
            "active": self.active,
            "subdomain": self.subdomain,
            "stub_type": self.stub.type,
            "version": self.version,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "deleted_at": None,
            "workspace": {"id": workspace_id, "external_id": workspace_id, "name": "emulated"},
            "stub": self.stub.shown(),
            "app": {"id": app.id, "external_id": app.id, "name": app.name},
            "stub_id": self.stub.id,
            "app_id": app.id,
            "workspace_id": workspace_id,
        }

    def url(self, base: str) -> str:
        """Give the address that names this version."""
        if not self.stub.config["authorized"]:
            return f"{base}/{self.stub.kind}/public/{self.stub.id}"
        return f"{base}/{self.stub.kind}/{self.name}/v{self.version}"


def gpus_of(asked: GetOrCreateStub) -> list[str]:
    """Give the wanted types in their order; a count without a type means any."""
    types = [name.strip() for name in asked.gpu.split(",") if name.strip()]
    return types or (["any"] if asked.gpu_count > 0 else [])


def config_of(asked: GetOrCreateStub) -> dict[str, Any]:
    """Give what the gateway keeps: the request with its defaults and limits applied."""
    gpus = gpus_of(asked)
    policy = asked.task_policy
    scaler = asked.autoscaler
    has_scaler = scaler is not None and scaler.type
    kind = asked.stub_type.partition("/")[0]
    return {
        "runtime": {
            "cpu": asked.cpu,
            "gpu": "",
            "gpu_count": max(1, asked.gpu_count) if gpus else asked.gpu_count,
            "memory": asked.memory,
            "image_id": asked.image_id,
            "gpus": gpus,
        },
        "handler": asked.handler,
        "on_start": asked.on_start,
        "on_deploy": asked.on_deploy,
        "on_deploy_stub_id": asked.on_deploy_stub_id,
        "python_version": asked.python_version,
        "keep_warm_seconds": _keep_warm(asked.keep_warm_seconds, asked.stub_type),
        "max_pending_tasks": asked.max_pending_tasks,
        "callback_url": asked.callback_url,
        "task_policy": _policy(kind, policy, asked),
        "workers": asked.workers,
        "concurrent_requests": asked.concurrent_requests,
        "authorized": asked.authorized,
        "volumes": [each.model_dump(exclude_defaults=True) for each in asked.volumes],
        "secrets": [{"name": each.name} for each in asked.secrets],
        "env": list(asked.env),
        "autoscaler": {
            "type": scaler.type if has_scaler and scaler else "queue_depth",
            "max_containers": scaler.max_containers if has_scaler and scaler else 1,
            "tasks_per_container": scaler.tasks_per_container if has_scaler and scaler else 1,
            "min_containers": scaler.min_containers if has_scaler and scaler else 0,
        },
        "extra": json.loads(asked.extra or "{}"),
        "checkpoint_enabled": asked.checkpoint_enabled,
        "inputs": asked.inputs,
        "outputs": asked.outputs,
    }


def _keep_warm(seconds: float, stub_type: str) -> int:
    whole = int(seconds)
    if 0 < whole < 10:
        return 10
    return 0 if whole < 0 and stub_type not in _PODS else whole


def _policy(kind: str, policy: TaskPolicy | None, asked: GetOrCreateStub) -> dict[str, int]:
    retries = policy.max_retries if policy else asked.retries
    timeout = policy.timeout if policy else asked.timeout
    ttl = min(policy.ttl, _MOST_TTL_S) if policy else 0
    retries = min(retries, _MOST_RETRIES)
    if kind in ("endpoint", "asgi"):
        retries = 0
        timeout = min(timeout, _REQUEST_S) if timeout > 0 else _REQUEST_S
    return {"max_retries": retries, "timeout": timeout, "ttl": ttl or _TTL_S.get(kind, 0)}


def timestamp(wall: float | None) -> str | None:
    """Give RFC 3339 of seconds since the epoch, if there are any."""
    return None if wall is None else rfc3339(wall)
