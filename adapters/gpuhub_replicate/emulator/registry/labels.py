"""What an image must say of itself to become a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpuhub_replicate.emulator.problems import RegistryProblem

__all__ = ["env_of", "image_problem", "labels_of", "schema_of"]

_LABELS = ("run.cog.version", "run.cog.config", "run.cog.openapi_schema")
_NOT_COG = "The image doesn't look like it was built with Cog: {why}"


def labels_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Give the labels of an image's configuration."""
    return dict((config.get("config") or {}).get("Labels") or {})


def env_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables of an image's configuration."""
    lines = (config.get("config") or {}).get("Env") or ()
    return dict(line.partition("=")[::2] for line in lines)


def schema_of(labels: Mapping[str, str]) -> dict[str, Any]:
    """Read the schema, which :func:`image_problem` has found right."""
    return dict(json.loads(labels["run.cog.openapi_schema"]))


def image_problem(config: Mapping[str, Any]) -> RegistryProblem | None:
    """Tell why an image is refused; ``None``: it is not.

    That images without Cog's labels are is known, how it is worded beyond the first words is not.
    """
    labels = labels_of(config)
    why = ""
    if lacking := [name for name in _LABELS if not labels.get(name)]:
        why = f"it has no label {', '.join(lacking)}"
    elif not (_parsed(labels["run.cog.config"])):
        why = "the label run.cog.config is no JSON object"
    elif not _has_parts(_parsed(labels["run.cog.openapi_schema"])):
        why = "the label run.cog.openapi_schema has no Input and Output"
    elif config.get("os") != "linux" or config.get("architecture") != "amd64":
        why = "it is not for linux/amd64"
    if not why:
        return None
    return RegistryProblem(400, "MANIFEST_INVALID", _NOT_COG.format(why=why))


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _has_parts(schema: Mapping[str, Any]) -> bool:
    parts = (schema.get("components") or {}).get("schemas") or {}
    return "Input" in parts and "Output" in parts
