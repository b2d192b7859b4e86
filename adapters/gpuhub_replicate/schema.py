"""The OpenAPI document of gpuhub's own versions, and what one says of a version. Pure.

Shaped as Cog's CLI writes it ("OpenAPI schema" and the types of Cog's documentation, read
2026-11-20): Replicate reads inputs, outputs and whether a version streams from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["INPUT", "facts_of", "input_schema", "is_ours", "output_schema", "own_schema"]

INPUT = "payload"
"""The one input of gpuhub's versions."""

_MARK = "gpuhub: "
_DESCRIPTION = f"{_MARK}the named arguments, as one JSON object"
"""As in ``run.py``: what Cog's own generator reads there marks a version as gpuhub's."""
_FACTS = "x-gpuhub"
_TEXT = {"type": "string", "title": "Output"}
_LINES = {
    "type": "array",
    "title": "Output",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}


def own_schema(*, streams: bool, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give the document of a version with gpuhub's runner.

    Args:
        streams: Whether it gives a line for each item.
        facts: What another machine should know of it; JSON values.
    """
    payload = {"type": "string", "title": "Payload", "description": _DESCRIPTION, "x-order": 0}
    schemas = {
        "Input": {
            "type": "object",
            "title": "Input",
            "required": [INPUT],
            "properties": {INPUT: payload},
        },
        "Output": dict(_LINES if streams else _TEXT),
        "PredictionRequest": {
            "type": "object",
            "title": "PredictionRequest",
            "properties": {
                "id": {"type": "string", "title": "Id"},
                "input": {"$ref": "#/components/schemas/Input"},
            },
        },
        "PredictionResponse": {
            "type": "object",
            "title": "PredictionResponse",
            "properties": {
                "id": {"type": "string", "title": "Id"},
                "input": {"$ref": "#/components/schemas/Input"},
                "output": {"$ref": "#/components/schemas/Output"},
                "error": {"type": "string", "title": "Error"},
                "logs": {"type": "string", "title": "Logs"},
                "status": {"$ref": "#/components/schemas/Status"},
            },
        },
        "Status": {
            "type": "string",
            "title": "Status",
            "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
        },
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0", _FACTS: dict(facts)},
        "paths": {"/predictions": {"post": _operation()}},
        "components": {"schemas": schemas},
    }


def _operation() -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"content": {"application/json": {"schema": reference}}}

    return {
        "summary": "Predict",
        "operationId": "predict_predictions_post",
        "requestBody": content("PredictionRequest"),
        "responses": {"200": {"description": "Done", **content("PredictionResponse")}},
    }


def _schemas(document: Any) -> Mapping[str, Any]:
    components = document.get("components") if isinstance(document, Mapping) else None
    found = components.get("schemas") if isinstance(components, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def input_schema(document: Any) -> dict[str, Any]:
    """Give what a version takes, with what it refers to as ``schemas``; empty when unknown."""
    schemas = _schemas(document)
    wanted = schemas.get("Input")
    if not isinstance(wanted, Mapping):
        return {}
    others = {
        name: each for name, each in schemas.items() if isinstance(each, Mapping) and "enum" in each
    }
    others.pop("Status", None)
    others.pop("WebhookEvent", None)
    return {
        "properties": dict(wanted.get("properties") or {}),
        "required": list(wanted.get("required") or ()),
        "schemas": others,
    }


def output_schema(document: Any) -> Mapping[str, Any]:
    """Give what a version answers; empty when unknown."""
    found = _schemas(document).get("Output")
    return found if isinstance(found, Mapping) else {}


def is_ours(document: Any) -> bool:
    """Whether a version has gpuhub's runner in it."""
    properties = input_schema(document).get("properties", {})
    payload = properties.get(INPUT)
    said = payload.get("description") if isinstance(payload, Mapping) else ""
    return set(properties) == {INPUT} and str(said).startswith(_MARK)


def facts_of(document: Any) -> dict[str, str]:
    """Give the facts that :func:`own_schema` was given, as text."""
    info = document.get("info") if isinstance(document, Mapping) else None
    facts = info.get(_FACTS) if isinstance(info, Mapping) else None
    if not isinstance(facts, Mapping):
        return {}
    return {str(name): str(value) for name, value in facts.items()}
