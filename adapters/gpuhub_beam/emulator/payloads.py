"""How the gateway reads the body of a call, and what its JSON does to numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpuhub_beam.emulator.problems import Problem

__all__ = ["as_go", "read_payload"]

_EXACT = 2**53


def read_payload(body: bytes, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Give ``{"args": …, "kwargs": …}`` of a call, as ``SerializeHttpPayload`` does.

    Raises:
        Problem: 400, the body is no JSON object.
    """
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Problem(400, "invalid request payload", "error")
    payload: dict[str, Any] = {"args": None, "kwargs": {}}
    if isinstance(document.get("args"), list):
        payload["args"] = document.pop("args")
    if isinstance(document.get("kwargs"), dict):
        payload["kwargs"] = document.pop("kwargs")
    elif document:
        payload["kwargs"] = document
    for name, values in query.items():
        numbers = [_number(value) for value in values]
        if len(values) == 1:
            payload["kwargs"][name] = numbers[0]
        else:
            all_numbers = all(isinstance(number, float) for number in numbers)
            payload["kwargs"][name] = numbers if all_numbers else list(values)
    return {name: as_go(value) for name, value in payload.items()}


def as_go(value: Any) -> Any:
    """Give a value as it comes out of Go's JSON: every number is a float64 on the way."""
    if isinstance(value, dict):
        return {name: as_go(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_go(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
