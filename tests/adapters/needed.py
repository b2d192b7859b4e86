"""What a test needs and a machine may lack: skipped aloud there, and a failure in CI."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from pydantic import BaseModel

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SPECS = ROOT.parent / "shared" / "specs"


def absent(message: str) -> NoReturn:
    """Skip and say what is not tested; with CI=true everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def present(find: Callable[[], T], missing: type[Exception]) -> T:
    """Give what a search finds, the Python of a vendor's environment say.

    Args:
        find: The search.
        missing: What it raises in vain: the text says how to make what is missing.
    """
    try:
        return find()
    except missing as error:
        absent(str(error))


def published(name: str) -> dict[str, Any]:
    """Read a document that a provider publishes; it is beside the checkout."""
    place = SPECS / name
    if not place.is_file():
        absent(f"{name} is not in {SPECS}: NOT compared with what the provider publishes")
    document: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return document


def validator(document: dict[str, Any]) -> Callable[[str, Any], list[str]]:
    """Give what compares a JSON value with a schema of an OpenAPI document: the problems."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

    def problems(schema: str, value: Any) -> list[str]:
        whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
        errors = jsonschema.Draft202012Validator(whole).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in errors]

    return problems


def takes(model: type[BaseModel], value: Any) -> bool:
    """Whether an emulator's model of a body takes a JSON value."""
    try:
        model.model_validate(value)
    except ValueError:
        return False
    return True
