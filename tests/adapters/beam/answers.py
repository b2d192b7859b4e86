"""What the gateway answers, made up for tests."""

from __future__ import annotations

import json
from typing import Any

from gpuhub.adapter import DeploymentRef

WORKSPACE = "ws-1"
GATEWAY = "/api/v1/gateway"
LIST = f"/api/v1/deployment/{WORKSPACE}"
FINGERPRINT = "f" * 64


def config(*, parts: str = "endpoint,taskqueue", **facts: Any) -> dict[str, Any]:
    """Give a stub's configuration, with the limits that were deployed."""
    limits = {
        "autoscaler.max_containers": 3,
        "autoscaler.tasks_per_container": 1,
        "autoscaler.min_containers": facts.pop("least", 0),
        "keep_warm_seconds": 60,
    }
    env = {
        "GPUHUB_FINGERPRINT": facts.pop("fingerprint", FINGERPRINT),
        "GPUHUB_PARTS": parts,
        "GPUHUB_LIMITS": json.dumps(limits),
        "GPUHUB_CONCURRENCY": "1",
        **facts.pop("env", {}),
    }
    scaler = {"max_containers": 3, "tasks_per_container": 1}
    scaler["min_containers"] = limits["autoscaler.min_containers"]
    return {
        "env": [f"{name}={value}" for name, value in env.items()],
        "autoscaler": scaler,
        "keep_warm_seconds": 60,
        "task_policy": {"timeout": 300, "max_retries": 0},
        "authorized": True,
        **facts,
    }


def deployed(kind: str, number: int, made: int, **facts: Any) -> dict[str, Any]:
    """Give one entry of the list of deployments, made in the minute ``made``."""
    name = facts.pop("name", "lab-echo")
    active = facts.pop("active", True)
    return {
        "id": f"{kind}-{number}",
        "external_id": f"{kind}-{number}",
        "name": name,
        "active": active,
        "stub_type": f"{kind}/deployment",
        "version": number,
        "created_at": f"2026-11-01T00:{made:02}:00.123456Z",
        "stub": {
            "external_id": f"stub-{kind}-{number}",
            "name": "x",
            "config": json.dumps(facts.pop("config", None) or config(**facts)),
        },
        "app": {"id": "app-1", "name": name},
    }


def pair(number: int, made: int, **facts: Any) -> list[dict[str, Any]]:
    """Give what one deploy makes: a queue, and a moment later an endpoint."""
    queue = deployed("taskqueue", number, made, **dict(facts))
    main = deployed("endpoint", number, made, **dict(facts))
    main["created_at"] = main["created_at"].replace(".123456", ".523456")
    return [main, queue]


def reference(**facts: Any) -> DeploymentRef:
    """Give the identity of a deployment of gpuhub's."""
    data = {
        "kind": "endpoint",
        "path": "/endpoint/lab-echo/v1",
        "stub": "stub-endpoint-1",
        "queue": "/taskqueue/lab-echo/v1",
        "queue_stub": "stub-taskqueue-1",
        "app": "app-1",
        "timeout": "300",
        **facts.pop("data", {}),
    }
    given = {
        "provider": "beam",
        "name": "lab-echo",
        "address": "lab-echo",
        "version": "endpoint-v1",
        **facts,
    }
    return DeploymentRef(**given, data=data)


def task(status: str, **facts: Any) -> dict[str, Any]:
    """Give a task as the gateway describes it."""
    times = {"created_at": "2026-11-01T00:00:00Z", "started_at": None, "ended_at": None}
    return {"external_id": "t-1", "status": status, "result": None, **times, **facts}
