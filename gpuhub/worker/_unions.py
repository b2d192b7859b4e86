"""Converters of unions: plain where the JSON value tells the member, else with its index."""

from __future__ import annotations

from typing import Any

from gpuhub.worker.conversion import (
    ConversionError,
    Converter,
    kind_of,
    tagged,
    type_name,
    untagged,
)

__all__ = ["union_converter"]

_LOOSE = {"bool": ("int",), "int": ("float",)}
"""Kinds that a number of another kind may stand for, as in Python."""


def _is_plain(members: list[Converter], index: int) -> bool:
    """Whether what a member gives is taken for that member: no earlier one gives the like."""
    return not any(members[index].kinds & earlier.kinds for earlier in members[:index])


def _by_kind(members: list[Converter], wire: Any) -> list[Converter]:
    """Order the members that may take a JSON value, the likeliest first."""
    kind = kind_of(wire)
    if kind == "tagged":
        return members
    exact = [member for member in members if kind in member.kinds]
    loose = [
        member
        for member in members
        if member not in exact and member.kinds.intersection(_LOOSE.get(kind, ()))
    ]
    return exact + loose


def union_converter(members: list[Converter]) -> Converter:
    """Make the converter of ``X | Y``.

    Two members may look the same as JSON, as ``str | bytes`` do. The later one then travels as
    ``{"$gpuhub": "option", "data": [index, value]}``; plain JSON is always accepted and means the
    first member that takes it.
    """
    name = " | ".join(member.name for member in members)
    by_type = {kind: index for index, m in reversed(list(enumerate(members))) for kind in m.types}
    plain = [_is_plain(members, index) for index in range(len(members))]

    def wrap(index: int, wire: Any) -> Any:
        return wire if plain[index] else tagged("option", [index, wire])

    def encode(value: Any) -> Any:
        first = by_type.get(type(value))
        if first is not None:
            return wrap(first, members[first].encode(value))
        for index, member in enumerate(members):
            try:
                return wrap(index, member.encode(value))
            except ConversionError as error:
                last = error
        raise ConversionError(name, type_name(value)) from last

    def decode(wire: Any) -> Any:
        option = untagged(wire, "option")
        if option is not wire:
            return _decode_option(members, option, name)
        candidates = _by_kind(members, wire)
        for member in candidates:
            try:
                return member.decode(wire)
            except ConversionError as error:
                if len(candidates) == 1:
                    raise
                last = error
        raise ConversionError(name, type_name(wire)) from (last if candidates else None)

    kinds = frozenset().union(*(member.kinds for member in members))
    types = tuple(kind for member in members for kind in member.types)
    tag = () if all(plain) else ("tagged",)
    return Converter(name, encode, decode, {*kinds, *tag}, types)


def _decode_option(members: list[Converter], option: Any, name: str) -> Any:
    if type(option) is list and len(option) == 2 and type(option[0]) is int:
        index, wire = option
        if 0 <= index < len(members):
            return members[index].decode(wire)
    raise ConversionError(f"[index, value] of {name}", type_name(option))
