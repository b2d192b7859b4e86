"""What Baseten answers, made up for tests."""

from __future__ import annotations

from typing import Any

from gpuhub.adapter import DeploymentRef

API = "https://api.baseten.co/v1"
MODEL = "https://model-abc123.api.baseten.co"
STORE = "https://uploads.s3.us-west-2.amazonaws.com"
LIMITS = {
    "min_replica": 0,
    "max_replica": 3,
    "autoscaling_window": 60,
    "scale_down_delay": 60,
    "concurrency_target": 1,
    "target_utilization_percentage": 70,
}
PREPARED = {
    "creds": {
        "aws_access_key_id": "AKIA",
        "aws_secret_access_key": "made-up-secret",
        "aws_session_token": "made-up-token",
    },
    "s3_bucket": "uploads",
    "s3_key": "org/truss.tar",
    "s3_region": "us-west-2",
}


def model(**facts: Any) -> dict[str, Any]:
    """Give Baseten's description of a model."""
    return {
        "id": "abc123",
        "created_at": "2026-11-01T00:00:00Z",
        "name": "lab-echo",
        "deployments_count": 1,
        "production_deployment_id": "dep1",
        "development_deployment_id": None,
        "instance_type_name": "1x2",
        "team_name": None,
        **facts,
    }


def deployment(name: str = "dep1", status: str = "ACTIVE", **facts: Any) -> dict[str, Any]:
    """Give Baseten's description of a deployment of gpuhub's."""
    labels = {
        "gpuhub_fingerprint": "f" * 64,
        "gpuhub_kind": "function",
        "gpuhub_concurrency": "1",
        **facts.pop("labels", {}),
    }
    return {
        "id": name,
        "created_at": "2026-11-01T00:00:00Z",
        "name": "version 1",
        "model_id": "abc123",
        "is_production": True,
        "is_development": False,
        "status": status,
        "active_replica_count": 1,
        "autoscaling_settings": LIMITS,
        "instance_type_name": "1x2",
        "environment": "production",
        "labels": labels,
        "request_backpressure_settings": {"policy": None},
        **facts,
    }


def environment(
    current: dict[str, Any] | None = None, candidate: dict[str, Any] | None = None, **facts: Any
) -> dict[str, Any]:
    """Give Baseten's description of the production environment."""
    return {
        "name": "production",
        "created_at": "2026-11-01T00:00:00Z",
        "model_id": "abc123",
        "current_deployment": current,
        "candidate_deployment": candidate,
        "in_progress_promotion": None,
        "autoscaling_settings": LIMITS,
        "promotion_settings": {},
        "instance_type": {},
        "request_backpressure_settings": {"policy": None},
        **facts,
    }


def reference(**facts: Any) -> DeploymentRef:
    """Give the identity of a deployment of gpuhub's."""
    given = {"provider": "baseten", "name": "lab-echo", "address": "abc123", "version": "dep1"}
    return DeploymentRef(**{**given, "data": {"concurrency": "1"}, **facts})
