"""Converters of classes with named fields, of enumerations and of literals."""

from __future__ import annotations

import json
import math
from typing import Any, Callable

from gpuhub.worker.conversion import (
    ConversionError,
    Converter,
    convert_each,
    kind_of,
    type_name,
    untagged,
)

__all__ = [
    "Field",
    "enum_converter",
    "literal_converter",
    "model_converter",
    "named_tuple_converter",
    "record_converter",
    "typed_dict_converter",
]

_TEXT_OR_INT = (str, int)


class Field:
    """One named field of a class.

    Attributes:
        name: Its name, in Python and on the wire.
        converter: How its value travels.
        required: Whether it must be there.
    """

    __slots__ = ("converter", "name", "required")

    def __init__(self, name: str, converter: Converter, *, required: bool) -> None:
        self.name = name
        self.converter = converter
        self.required = required


def _decode_fields(name: str, fields: dict[str, Field], wire: Any) -> dict[str, Any]:
    """Convert the members of a JSON object, all known and none missing."""
    if type(wire) is not dict:
        raise ConversionError(name, type_name(wire))
    unknown = [key for key in wire if key not in fields]
    if unknown:
        raise ConversionError(f"{name} with {', '.join(fields)}", f"the field {unknown[0]!r:.40}")
    missing = [key for key, field in fields.items() if field.required and key not in wire]
    if missing:
        raise ConversionError(f"{name} with {', '.join(missing)}", "none")
    done: dict[str, Any] = {}
    for key, value in wire.items():
        try:
            done[key] = fields[key].converter.decode(value)
        except ConversionError as error:
            raise error.inside(f".{key}") from None
    return done


def _encode_field(field: Field, value: Any) -> Any:
    try:
        return field.converter.encode(value)
    except ConversionError as error:
        raise error.inside(f".{field.name}") from None


def record_converter(kind: Any, fields: dict[str, Field]) -> Converter:
    """Make the converter of a dataclass: an object with its constructor's fields.

    Args:
        kind: The class.
        fields: Its fields that the constructor takes; the others it computes itself.
    """
    name = kind.__qualname__

    def encode(value: Any) -> dict[str, Any]:
        # A subclass would arrive as its base, without what it adds.
        if type(value) is not kind:
            raise ConversionError(name, type_name(value))
        return {key: _encode_field(field, getattr(value, key)) for key, field in fields.items()}

    def decode(wire: Any) -> Any:
        values = _decode_fields(name, fields, untagged(wire, name.lower()))
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            raise ConversionError(name, f"fields it refuses ({error})") from error

    return Converter(name, encode, decode, {"object"}, (kind,))


def named_tuple_converter(kind: Any, fields: dict[str, Field]) -> Converter:
    """Make the converter of a named tuple: an object; an array is accepted too."""
    record = record_converter(kind, fields)

    def decode(wire: Any) -> Any:
        if type(wire) is not list:
            return record.decode(wire)
        if len(wire) > len(fields):
            raise ConversionError(f"{len(fields)} items ({record.name})", f"{len(wire)}")
        return record.decode(dict(zip(fields, wire)))

    return Converter(record.name, record.encode, decode, {"object"}, (kind,))


def typed_dict_converter(kind: Any, fields: dict[str, Field]) -> Converter:
    """Make the converter of a ``TypedDict``."""
    name = kind.__qualname__

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ConversionError(name, type_name(value))
        unknown = [key for key in value if key not in fields]
        if unknown:
            raise ConversionError(f"{name} with {', '.join(fields)}", f"the key {unknown[0]!r:.40}")
        for key, field in fields.items():
            if field.required and key not in value:
                raise ConversionError(f"{name} with {key}", "none")
        return {key: _encode_field(fields[key], item) for key, item in value.items()}

    def decode(wire: Any) -> Any:
        return _decode_fields(name, fields, wire)

    return Converter(name, encode, decode, {"object"})


def enum_converter(kind: Any) -> Converter:
    """Make the converter of an enumeration: by value if all are texts or integers, else by name."""
    name = kind.__qualname__
    values = [member.value for member in kind]
    by_value = all(type(value) in _TEXT_OR_INT for value in values) and bool(values)
    allowed = ", ".join(repr(v) for v in (values if by_value else kind.__members__))

    def encode(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ConversionError(name, type_name(value))
        return value.value if by_value else value.name

    def decode(wire: Any) -> Any:
        if type(wire) in _TEXT_OR_INT:
            try:
                return kind(wire) if by_value else kind[wire]
            except (ValueError, KeyError):
                raise ConversionError(f"{name}: one of {allowed}", f"{wire!r:.40}") from None
        raise ConversionError(f"{name}: one of {allowed}", type_name(wire))

    if not by_value:
        return Converter(name, encode, decode, {"string"}, (kind,))
    return Converter(name, encode, decode, {kind_of(value) for value in values}, (kind,))


def literal_converter(
    values: tuple[Any, ...], converter_of: Callable[[Any], Converter]
) -> Converter:
    """Make the converter of ``Literal[…]``; ``converter_of`` converts by a value's own type."""
    pairs = [(value, converter_of(type(value)).encode(value)) for value in values]
    name = f"Literal[{', '.join(map(repr, values))}]"

    def pick(wanted: Any, index: int) -> Any:
        for pair in pairs:
            # By type too: 1 == True, and both may be listed.
            if type(pair[index]) is type(wanted) and pair[index] == wanted:
                return pair[1 - index]
        raise ConversionError(name, f"{wanted!r:.40}")

    def encode(value: Any) -> Any:
        return pick(value, 0)

    def decode(wire: Any) -> Any:
        return pick(wire, 1)

    return Converter(name, encode, decode, {kind_of(pair[1]) for pair in pairs})


def model_converter(kind: Any) -> Converter:
    """Make the converter of a pydantic model, by its own rules, without importing pydantic."""
    name = kind.__qualname__
    strict = bool(getattr(kind, "model_config", {}).get("strict"))

    def encode(value: Any) -> Any:
        if type(value) is not kind:
            raise ConversionError(name, type_name(value))
        try:
            wire = value.model_dump(mode="json", by_alias=True, round_trip=True)
        except ValueError as error:
            raise ConversionError(f"a {name} with a JSON form", f"one without ({error})") from error
        _refuse_non_finite(wire)
        return wire

    def decode(wire: Any) -> Any:
        try:
            # A strict model takes texts for times and the like only where it knows of JSON.
            if strict:
                return kind.model_validate_json(json.dumps(wire))
            return kind.model_validate(wire)
        except ValueError as error:
            raise ConversionError(name, _validation_problem(error)) from None

    kinds = {"object"}
    if getattr(kind, "__pydantic_root_model__", False):
        kinds = {"null", "bool", "int", "float", "string", "array", "object"}
    return Converter(name, encode, decode, kinds, (kind,))


def _validation_problem(error: Any) -> str:
    """Say what pydantic found, by field and without the values."""
    try:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{first['msg']} at {where}" if where else str(first["msg"])
    except (AttributeError, TypeError, IndexError, KeyError):
        return f"fields it refuses ({error})"


def _refuse_non_finite(wire: Any) -> None:
    """Refuse nan and infinities: pydantic leaves them in, and JSON has no numbers for them."""
    if isinstance(wire, float) and not math.isfinite(wire):
        raise ConversionError("a finite number, inside a pydantic model", repr(wire))
    if isinstance(wire, dict):
        for key, value in wire.items():
            try:
                _refuse_non_finite(value)
            except ConversionError as error:
                raise error.inside(f".{key}") from None
    elif isinstance(wire, list):
        convert_each(_refuse_non_finite, wire)
