"""Inputs of models: checked against the model's own OpenAPI schema before they are sent. Pure.

What Cog writes there: types of JSON, ``enum`` behind ``allOf``, bounds, ``format: uri`` for files
("OpenAPI schemas" of Replicate's documentation, read 2026-11-20). What a schema says otherwise is
left to Replicate. An unknown name, which Cog's server drops in silence, is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from gpuhub.errors import SpecError

__all__ = ["check_input", "is_file"]

_FILE = {"name", "media_type", "data"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def is_file(value: Any) -> bool:
    """Whether a value is the wire form of a :class:`gpuhub.File`."""
    return isinstance(value, dict) and set(value) == _FILE and isinstance(value["data"], str)


def check_input(model: str, schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check named inputs.

    Args:
        model: Name, for the error.
        schema: As :func:`~gpuhub_replicate.schema.input_schema` gives it; empty: nothing is known.
        given: JSON values by name.

    Raises:
        SpecError: Names every input that is wrong, missing or unknown, and why.
    """
    properties = schema.get("properties") or {}
    if not properties:
        return
    problems = list(_problems(schema, properties, given))
    if problems:
        required = set(schema.get("required") or ())
        listed = ", ".join(f"{name}*" if name in required else name for name in properties)
        raise SpecError(
            f"{model}: {'; '.join(problems)}",
            next_step=f"its inputs are {listed} (* required)",
            provider="replicate",
        )


def _problems(
    schema: Mapping[str, Any], properties: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[str]:
    for name, value in given.items():
        if name not in properties:
            near = get_close_matches(name, properties, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield f"it has no input {name!r}{hint}"
        elif problem := _problem(value, properties[name], schema.get("schemas") or {}):
            yield f"the input {name!r} {problem}"
    for name in schema.get("required") or ():
        if name not in given:
            yield f"the input {name!r} is missing"


def _problem(value: Any, wanted: Any, schemas: Mapping[str, Any]) -> str:
    """Say what is wrong with a value; empty when nothing is known to be."""
    if not isinstance(wanted, Mapping):
        return ""
    if value is None and wanted.get("nullable"):
        return ""
    if choices := wanted.get("anyOf") or wanted.get("oneOf"):
        found = [_problem(value, each, schemas) for each in choices]
        return "" if "" in found else found[0]
    for part in wanted.get("allOf") or ():
        if problem := _problem(value, part, schemas):
            return problem
    if reference := wanted.get("$ref"):
        return _problem(value, schemas.get(str(reference).rpartition("/")[2]), schemas)
    return _type_problem(value, wanted) or _bound_problem(value, wanted, schemas)


def _type_problem(value: Any, wanted: Mapping[str, Any]) -> str:
    names = wanted.get("type")
    names = [names] if isinstance(names, str) else list(names or ())
    if is_file(value):
        is_wanted = not names or wanted.get("format") == "uri" or "object" in names
        return "" if is_wanted else f"is {_listed(names)}, and no file"
    known = [_TYPES[name] for name in names if name in _TYPES]
    if not known or any(_is_a(value, kinds) for kinds in known):
        return ""
    return f"must be {_listed(names)} (got {_shown(value)})"


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, float) and int in kinds:
        return value.is_integer()
    return isinstance(value, kinds)


def _bound_problem(value: Any, wanted: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    if "enum" in wanted and value not in wanted["enum"]:
        return f"must be one of {', '.join(map(repr, wanted['enum']))} (got {_shown(value)})"
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = wanted.get("minimum"), wanted.get("maximum")
        if (least is not None and value < least) or (most is not None and value > most):
            return f"must be {_range(least, most)} (got {value!r})"
    if isinstance(value, list) and "items" in wanted:
        problems = (_problem(each, wanted["items"], schemas) for each in value)
        return next((f"has an item that {problem}" for problem in problems if problem), "")
    return ""


def _range(least: Any, most: Any) -> str:
    if most is None:
        return f"at least {least}"
    return f"at most {most}" if least is None else f"from {least} to {most}"


def _listed(names: list[str]) -> str:
    return " or ".join(names)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
