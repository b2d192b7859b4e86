"""Converters of lists, tuples, sets and mappings."""

from __future__ import annotations

import collections
import json
import math
from collections import abc
from typing import Any, Callable

from gpuhub.worker._scalars import SCALARS
from gpuhub.worker.conversion import (
    TAG,
    ConversionError,
    Converter,
    convert_each,
    is_reserved,
    tagged,
    type_name,
    untagged,
)

__all__ = [
    "MAPPINGS",
    "SEQUENCES",
    "SETS",
    "decode_pairs",
    "encode_pairs",
    "make_set",
    "mapping_converter",
    "sequence_converter",
    "set_converter",
    "sort_key",
    "tuple_converter",
]

SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    collections.deque: collections.deque,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Iterable: list,
    abc.Collection: list,
    abc.Reversible: list,
}
"""What to make of a JSON array, by annotation."""

SETS: dict[Any, Callable[[list[Any]], Any]] = {
    set: set,
    frozenset: frozenset,
    abc.Set: set,
    abc.MutableSet: set,
}

MAPPINGS: dict[Any, Callable[[dict[Any, Any]], Any]] = {
    dict: dict,
    collections.OrderedDict: collections.OrderedDict,
    collections.Counter: collections.Counter,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
}


_PLAIN = {SCALARS[kind]: kind for kind in (str, int, float, bool)}


def _plain_copy(plain: type | None, values: Any) -> list[Any] | None:
    """Give a list of numbers or texts at the speed of C, or ``None`` when one needs more care.

    Embeddings are lists of thousands of floats: a Python call for each would cost more than
    sending them.
    """
    if plain is None or set(map(type, values)) != {plain}:
        return None
    if plain is float and not all(map(math.isfinite, values)):
        return None
    return list(values)


def sequence_converter(origin: Any, item: Converter) -> Converter:
    """Make the converter of a list-like annotation."""
    make = SEQUENCES[origin]
    name = f"{origin.__name__}[{item.name}]"
    plain = _PLAIN.get(item)

    def encode(value: Any) -> list[Any]:
        # A text is an iterable of texts, and passing one for a list of them is always a mistake.
        if not isinstance(value, origin) or isinstance(value, (str, bytes, abc.Mapping)):
            raise ConversionError(name, type_name(value))
        copied = _plain_copy(plain, value) if type(value) in (list, tuple) else None
        return convert_each(item.encode, value) if copied is None else copied

    def decode(wire: Any) -> Any:
        if type(wire) is not list:
            wire = untagged(untagged(untagged(wire, "tuple"), "set"), "frozenset")
            if type(wire) is not list:
                raise ConversionError(name, type_name(wire))
        copied = _plain_copy(plain, wire)
        return make(convert_each(item.decode, wire) if copied is None else copied)

    return Converter(name, encode, decode, {"array"}, (make,))  # type: ignore[arg-type]


def tuple_converter(items: list[Converter], *, repeated: bool) -> Converter:
    """Make the converter of ``tuple[X, ...]`` (one item, repeated) or of a fixed tuple."""
    inside = ", ".join(item.name for item in items) or "()"
    name = f"tuple[{inside}, ...]" if repeated else f"tuple[{inside}]"

    def each(values: Any, direction: str) -> list[Any]:
        if repeated:
            return convert_each(getattr(items[0], direction), values)
        if len(values) != len(items):
            raise ConversionError(f"{len(items)} items ({name})", f"{len(values)}")
        pairs = zip(items, values)
        return convert_each(lambda pair: getattr(pair[0], direction)(pair[1]), pairs)

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, tuple):
            raise ConversionError(name, type_name(value))
        return each(value, "encode")

    def decode(wire: Any) -> tuple[Any, ...]:
        wire = untagged(wire, "tuple")
        if type(wire) is not list:
            raise ConversionError(name, type_name(wire))
        return tuple(each(wire, "decode"))

    return Converter(name, encode, decode, {"array"}, (tuple,))


def sort_key(wire: Any) -> str:
    """Order the members of a set, so that equal sets give equal payloads."""
    return json.dumps(wire, sort_keys=True)


def make_set(make: Callable[[list[Any]], Any], items: list[Any], name: str) -> Any:
    """Make a set, or say which item cannot be a member."""
    try:
        return make(items)
    except TypeError:
        raise ConversionError(f"hashable members ({name})", "one that is not") from None


def set_converter(origin: Any, item: Converter) -> Converter:
    """Make the converter of a set annotation."""
    make = SETS[origin]
    name = f"{origin.__name__}[{item.name}]"
    tag = make.__name__

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, origin):
            raise ConversionError(name, type_name(value))
        return sorted(convert_each(item.encode, value), key=sort_key)

    def decode(wire: Any) -> Any:
        wire = untagged(wire, tag)
        if type(wire) is not list:
            raise ConversionError(name, type_name(wire))
        return make_set(make, convert_each(item.decode, wire), name)

    return Converter(name, encode, decode, {"array"}, (make,))  # type: ignore[arg-type]


def encode_pairs(
    value: Any, key: Callable[[Any], Any], item: Callable[[Any], Any]
) -> dict[str, Any]:
    """Give the form of a mapping whose keys cannot be the keys of a JSON object."""
    pairs = convert_each(lambda pair: [key(pair[0]), item(pair[1])], value.items())
    return tagged("dict", pairs)


def decode_pairs(
    pairs: Any, key: Callable[[Any], Any], item: Callable[[Any], Any], name: str
) -> dict[Any, Any]:
    """Read what :func:`encode_pairs` gave."""

    def one(pair: Any) -> tuple[Any, Any]:
        if type(pair) is not list or len(pair) != 2:
            raise ConversionError("[key, value]", type_name(pair))
        return key(pair[0]), item(pair[1])

    if type(pairs) is not list:
        raise ConversionError(name, type_name(pairs))
    try:
        return dict(convert_each(one, pairs))
    except ConversionError:
        raise
    except TypeError:
        raise ConversionError(f"hashable keys ({name})", "one that is not") from None


def _key_texts(key: Converter) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Give both directions of keys that can be the keys of a JSON object, else ``None``."""
    if key.kinds == {"string"}:
        return key.encode, key.decode
    if key is not SCALARS[int]:
        return None

    def decode(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise ConversionError("int", "text that is no number") from None

    return lambda value: str(int(key.encode(value))), decode


def mapping_converter(origin: Any, key: Converter, item: Converter) -> Converter:
    """Make the converter of a mapping: a JSON object where the keys allow it."""
    make = MAPPINGS[origin]
    name = f"{origin.__name__}[{key.name}, {item.name}]"
    texts = _key_texts(key)

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, origin):
            raise ConversionError(name, type_name(value))
        if texts is None:
            return encode_pairs(value, key.encode, item.encode)
        wire = _convert_items(value, texts[0], item.encode)
        if len(wire) != len(value) or any(map(is_reserved, wire)):
            return encode_pairs(value, key.encode, item.encode)
        return wire

    def decode(wire: Any) -> Any:
        if type(wire) is not dict:
            raise ConversionError(name, type_name(wire))
        if TAG in wire:
            return make(decode_pairs(untagged(wire, "dict"), key.decode, item.decode, name))
        if texts is None:
            raise ConversionError(f"{name} as a list of pairs tagged dict", "dict")
        return make(_convert_items(wire, texts[1], item.decode))

    return Converter(name, encode, decode, {"object"}, (make,))  # type: ignore[arg-type]


def _convert_items(
    value: Any, key: Callable[[Any], Any], item: Callable[[Any], Any]
) -> dict[Any, Any]:
    done: dict[Any, Any] = {}
    name: Any = ""
    try:
        for name, inner in value.items():
            done[key(name)] = item(inner)
    except ConversionError as error:
        raise error.inside(f"[{name!r:.40}]") from None
    return done
