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


def union_converter(members: list[Converter]) -> Converter:
    """Make the converter of ``X | Y``.

    Two members may look the same as JSON, as ``str | bytes`` do. The later one then travels as
    ``{"$gpuhub": "option", "data": [index, value]}``; plain JSON is always accepted and means the
    first member that takes it.
    """
    union = _Union(members)
    kinds = {kind for member in members for kind in member.kinds}
    tag = () if all(union.is_plain) else ("tagged",)
    types = tuple(kind for member in members for kind in member.types)
    return Converter(union.name, union.encode, union.decode, {*kinds, *tag}, types)


class _Union:
    """The members of one union."""

    def __init__(self, members: list[Converter]) -> None:
        self.members = members
        self.name = " | ".join(member.name for member in members)
        # Plain JSON is taken for a member if no earlier one gives the like.
        self.is_plain = [
            not any(member.kinds & earlier.kinds for earlier in members[:index])
            for index, member in enumerate(members)
        ]
        self._by_type: dict[type, list[int]] = {}
        for index, member in enumerate(members):
            for kind in member.types:
                self._by_type.setdefault(kind, []).append(index)
        self._every = list(range(len(members)))

    def encode(self, value: Any) -> Any:
        candidates = self._by_type.get(type(value), self._every)
        if len(candidates) == 1:
            # The member's own error says more than ours.
            return self._wrapped(candidates[0], self.members[candidates[0]].encode(value))
        for index in candidates:
            try:
                return self._wrapped(index, self.members[index].encode(value))
            except ConversionError:
                continue
        raise ConversionError(self.name, type_name(value))

    def _wrapped(self, index: int, wire: Any) -> Any:
        return wire if self.is_plain[index] else tagged("option", [index, wire])

    def decode(self, wire: Any) -> Any:
        option = untagged(wire, "option")
        if option is not wire:
            return self._decode_option(option)
        candidates = self._candidates(kind_of(wire))
        if len(candidates) == 1:
            return candidates[0].decode(wire)
        for member in candidates:
            try:
                return member.decode(wire)
            except ConversionError:
                continue
        raise ConversionError(self.name, type_name(wire))

    def _candidates(self, kind: str) -> list[Converter]:
        """Order the members that may take a JSON value of a kind, the likeliest first."""
        if kind == "tagged":
            return self.members
        loose_kinds = _LOOSE.get(kind, ())
        exact = [member for member in self.members if kind in member.kinds]
        loose = [member for member in self.members if member.kinds.intersection(loose_kinds)]
        return [*exact, *(member for member in loose if member not in exact)]

    def _decode_option(self, option: Any) -> Any:
        if type(option) is list and len(option) == 2 and type(option[0]) is int:
            index, wire = option
            if 0 <= index < len(self.members):
                return self.members[index].decode(wire)
        raise ConversionError(f"[index, value] of {self.name}", type_name(option))
