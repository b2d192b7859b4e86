"""The converter for values whose type no annotation tells: they carry it along as a tag."""

from __future__ import annotations

import math
import pathlib
from typing import Any, Callable

from gpuhub.worker._containers import decode_pairs, encode_pairs, make_set, sort_key
from gpuhub.worker._numpy import decode_array, encode_array, is_array
from gpuhub.worker._scalars import ANY_TAGS, SCALARS, encode_float, path_converter
from gpuhub.worker.conversion import (
    TAG,
    ConversionError,
    Converter,
    convert_each,
    is_reserved,
    tagged,
    type_name,
)
from gpuhub.worker.file import File

__all__ = ["ANY"]

_PLAIN = frozenset({type(None), bool, int, str})
_ANY_KINDS = ("null", "bool", "int", "float", "string", "array", "object", "tagged")
_PATH = path_converter(pathlib.Path)
_BYTES = SCALARS[bytes]


def _encode(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    encode = _ENCODERS.get(kind)
    if encode is not None:
        return encode(value)
    for base, encode in _FALLBACKS:
        if isinstance(value, base) and _is_harmless(kind, base):
            return encode(value)
    if is_array(value):
        return tagged("ndarray", encode_array(value))
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        plain = value.item()
        if type(plain) is not kind:  # a longdouble gives itself
            return _encode(plain)
    raise ConversionError(
        "a value that JSON or a tag can carry (annotate the parameter or result with its type, "
        "so that it can be rebuilt)",
        type_name(value),
    )


def _is_harmless(kind: type, base: type) -> bool:
    """Whether a subclass may travel as its base: not where it would lose what it adds."""
    if base in (str, int, float):
        return kind.__module__ == "numpy"
    return base is not tuple


def _encode_list(value: Any) -> list[Any]:
    kinds = set(map(type, value))
    if kinds <= _PLAIN or (kinds == {float} and all(map(math.isfinite, value))):
        return list(value)
    return convert_each(_encode, value)


def _encode_set(value: Any) -> dict[str, Any]:
    tag = "frozenset" if isinstance(value, frozenset) else "set"
    return tagged(tag, sorted(convert_each(_encode, value), key=sort_key))


def _encode_dict(value: Any) -> dict[str, Any]:
    if not all(type(key) is str for key in value) or any(map(is_reserved, value)):
        return encode_pairs(value, _encode, _encode)
    return _convert_values(_encode, value)


def _convert_values(convert: Callable[[Any], Any], value: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {}
    name = ""
    try:
        for name, item in value.items():
            done[name] = convert(item)
    except ConversionError as error:
        raise error.inside(f"[{name!r:.40}]") from None
    return done


def _encode_tagged(tag: str, kind: type) -> Callable[[Any], Any]:
    encode = SCALARS[kind].encode
    return lambda value: tagged(tag, encode(value))


def _encode_file(value: File) -> dict[str, Any]:
    data = {"name": value.name, "media_type": value.media_type, "data": _BYTES.encode(value.data)}
    return tagged("file", data)


def _decode_file(data: Any) -> File:
    if type(data) is not dict or set(data) != {"name", "media_type", "data"}:
        raise ConversionError("a file as {name, media_type, data}", type_name(data))
    text = SCALARS[str].decode
    return File(_BYTES.decode(data["data"]), text(data["name"]), text(data["media_type"]))


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    float: encode_float,
    list: _encode_list,
    dict: _encode_dict,
    tuple: lambda value: tagged("tuple", _encode_list(value)),
    set: _encode_set,
    frozenset: _encode_set,
    memoryview: lambda value: tagged("bytes", _BYTES.encode(value)),
    File: _encode_file,
    **{kind: _encode_tagged(tag, kind) for kind, tag in ANY_TAGS.items()},
}

# Subclasses that compare equal to what arrives: an OrderedDict, a PosixPath, a numpy.float64.
_FALLBACKS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (pathlib.PurePath, lambda value: tagged("path", _PATH.encode(value))),
    (dict, _encode_dict),
    (list, _encode_list),
    (float, encode_float),
    (str, str),
)


def _decode(wire: Any) -> Any:
    kind = type(wire)
    if kind is list:
        return _decode_list(wire)
    if kind is not dict:
        return wire
    if TAG not in wire:
        return _convert_values(_decode, wire)
    decode = _DECODERS.get(wire[TAG]) if type(wire[TAG]) is str else None
    if decode is None or len(wire) != 2 or "data" not in wire:
        known = ", ".join(_DECODERS)
        raise ConversionError(f"{{{TAG!r}: …, 'data': …}} with a tag of {known}", "another one")
    return decode(wire["data"])


def _decode_list(wire: Any) -> list[Any]:
    if type(wire) is not list:
        raise ConversionError("list", type_name(wire))
    kinds = set(map(type, wire))
    if list not in kinds and dict not in kinds:
        return wire
    return convert_each(_decode, wire)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": lambda data: SCALARS[float].decode(tagged("float", data)),
    "tuple": lambda data: tuple(_decode_list(data)),
    "set": lambda data: make_set(set, _decode_list(data), "set"),
    "frozenset": lambda data: make_set(frozenset, _decode_list(data), "frozenset"),
    "dict": lambda data: decode_pairs(data, _decode, _decode, "dict"),
    "ndarray": decode_array,
    "path": _PATH.decode,
    "file": _decode_file,
    **{tag: SCALARS[kind].decode for kind, tag in ANY_TAGS.items()},
}

ANY = Converter("Any", _encode, _decode, _ANY_KINDS)
"""Converts anything that has a JSON form, plain or tagged."""
