"""What Replicate answers, made up for tests."""

from __future__ import annotations

from typing import Any

from gpuhub.adapter import DeploymentRef
from gpuhub_replicate.schema import own_schema

API = "https://api.replicate.com/v1"
STREAM = "https://streaming.api.replicate.com/v1/predictions/p1"
VERSION = "ab" * 32
OURS = own_schema(streams=False, facts={"concurrency": 1, "timeout": 300, "kind": "function"})
PROMPTED = {
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["prompt"],
                "properties": {
                    "prompt": {"type": "string"},
                    "steps": {"type": "integer", "minimum": 1, "maximum": 50},
                    "size": {"allOf": [{"$ref": "#/components/schemas/size"}]},
                    "image": {"type": "string", "format": "uri", "nullable": True},
                    "scale": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "flag": {"type": "boolean"},
                },
            },
            "size": {"type": "string", "enum": ["small", "large"]},
            "Output": {"type": "string"},
        }
    }
}


def prediction(status: str, output: Any = None, **facts: Any) -> dict[str, Any]:
    """Give a prediction of gpuhub's own runner."""
    return {
        "id": "p1",
        "status": status,
        "input": {"payload": "{}"},
        "output": output,
        "error": None,
        "urls": {"get": f"{API}/predictions/p1", "cancel": f"{API}/predictions/p1/cancel"},
        **facts,
    }


def deployment(version: str = VERSION, **facts: Any) -> dict[str, Any]:
    """Give a deployment of gpuhub's."""
    configuration = {"hardware": "cpu", "min_instances": 0, "max_instances": 3}
    configuration |= facts.pop("configuration", {})
    release = {
        "number": 1,
        "model": "acme/lab-echo",
        "version": version,
        "created_at": "2026-11-01T00:00:00Z",
        "created_by": {"type": "organization", "username": "acme", "name": "Acme"},
        "configuration": configuration,
    }
    return {"owner": "acme", "name": "lab-echo", "current_release": release, **facts}


def version(schema: dict[str, Any] | None = None, number: str = VERSION) -> dict[str, Any]:
    """Give a version of a model."""
    return {
        "id": number,
        "created_at": "2026-11-01T00:00:00Z",
        "cog_version": "0.23.1",
        "openapi_schema": OURS if schema is None else schema,
    }


def reference(**facts: Any) -> DeploymentRef:
    """Give the identity of a deployment of gpuhub's."""
    data = {"concurrency": "1", "model": "acme/lab-echo", **facts.pop("data", {})}
    given = {
        "provider": "replicate",
        "name": "lab-echo",
        "address": "deployments/acme/lab-echo",
        "version": VERSION,
        **facts,
    }
    return DeploymentRef(**given, data=data)
