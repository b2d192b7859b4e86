"""Checks an input against a model's schema, in the words of Replicate's validator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["check_input", "with_defaults"]

_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array"}


def check_input(
    schema: Mapping[str, Any], inputs: Mapping[str, Any], *, strict: bool
) -> list[dict[str, str]]:
    """Give what is wrong, as ``invalid_fields``; empty: nothing.

    Args:
        schema: The whole OpenAPI document of the version.
        inputs: What was sent.
        strict: Whether unknown names are wrong.
    """
    parts = schema.get("components", {}).get("schemas", {})
    wanted = parts.get("Input", {})
    found = [
        _wrong("required", "input", f"{name} is required")
        for name in wanted.get("required", ())
        if name not in inputs
    ]
    for name, value in inputs.items():
        rule = wanted.get("properties", {}).get(name)
        if rule is not None:
            found += _check(f"input.{name}", _resolved(rule, parts), value)
        elif strict:
            words = f"Additional property {name} is not allowed"
            found.append(_wrong("additional_property_not_allowed", "input", words))
    return found


def with_defaults(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the input with the schema's defaults for what was not sent."""
    wanted = schema.get("components", {}).get("schemas", {}).get("Input", {})
    defaults = {
        name: rule["default"]
        for name, rule in wanted.get("properties", {}).items()
        if "default" in rule
    }
    return {**defaults, **inputs}


def _resolved(rule: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Put what a rule refers to in its place: choices are schemas of their own."""
    merged = dict(rule)
    for each in (*rule.get("allOf", ()), rule):
        if reference := each.get("$ref"):
            merged |= parts.get(str(reference).rsplit("/", 1)[-1], {})
    return merged


def _check(field: str, rule: Mapping[str, Any], value: Any) -> list[dict[str, str]]:
    if value is None:
        is_optional = rule.get("nullable") or {"type": "null"} in rule.get("anyOf", [])
        return [] if is_optional else [_mistaken(field, rule.get("type", "string"), value)]
    kind = str(rule.get("type", ""))
    if kind in _KINDS and not _is(value, kind):
        return [_mistaken(field, kind, value)]
    found = []
    if "enum" in rule and value not in rule["enum"]:
        choices = ", ".join(f'"{each}"' for each in rule["enum"])
        found.append(_wrong("enum", field, f"{field} must be one of the following: {choices}"))
    for word, limit in (("minimum", rule.get("minimum")), ("maximum", rule.get("maximum"))):
        if limit is None or not _is(value, "number"):
            continue
        if word == "minimum" and value < limit:
            words = f"Must be greater than or equal to {limit:g}"
            found.append(_wrong("number_gte", field, words))
        if word == "maximum" and value > limit:
            found.append(_wrong("number_lte", field, f"Must be less than or equal to {limit:g}"))
    if rule.get("format") == "uri" and isinstance(value, str) and not _is_uri(value):
        found.append(_wrong("format", field, "Does not match format 'uri'"))
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS[kind])


def _is_uri(text: str) -> bool:
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", text) is not None


def _mistaken(field: str, kind: str, value: Any) -> dict[str, str]:
    given = "null" if value is None else _NAMES.get(type(value), "object")
    return _wrong("invalid_type", field, f"Invalid type. Expected: {kind}, given: {given}")


def _wrong(kind: str, field: str, words: str) -> dict[str, str]:
    return {"type": kind, "field": field, "description": words}
