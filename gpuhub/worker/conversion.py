"""The parts every converter is made of: the error, the converter itself, tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

__all__ = [
    "TAG",
    "ConversionError",
    "Converter",
    "UnsupportedAnnotation",
    "convert_each",
    "is_reserved",
    "kind_of",
    "tagged",
    "type_name",
    "untagged",
]

TAG = "$gpuhub"
"""Key of a JSON object that stands for a value JSON does not have."""

_KINDS = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "array",
    dict: "object",
}


class ConversionError(TypeError):
    """A value does not fit its annotation.

    Attributes:
        path: Where, such as ``texts[2].name``; grows outwards while the error rises.
        expected: What the annotation asks for.
        got: What is there instead. Never the value itself, which may be private.
    """

    def __init__(self, expected: str, got: str, path: str = "") -> None:
        super().__init__(expected, got, path)
        self.expected = expected
        self.got = got
        self.path = path

    def inside(self, step: str) -> ConversionError:
        """Put one step, such as ``[2]`` or ``.name``, before the path."""
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        """Give one sentence with path, expectation and finding."""
        where = f"{self.path.lstrip('.')}: " if self.path else ""
        return f"{where}expected {self.expected}, got {self.got}"


class UnsupportedAnnotation(ConversionError):  # noqa: N818  (says what happened)
    """An annotation that no JSON form is known for."""

    def __str__(self) -> str:
        """Give one sentence with path, annotation and the way out."""
        where = f"{self.path.lstrip('.')}: " if self.path else ""
        return f"{where}{self.got} has no JSON form; use {self.expected}"


class Converter:
    """Both directions of one annotation.

    Attributes:
        name: The annotation, for messages.
        encode: Python value to JSON value; raises :class:`ConversionError`.
        decode: JSON value to Python value; raises :class:`ConversionError`.
        kinds: Kinds of JSON value that ``encode`` gives, see :func:`kind_of`.
        types: Python types this converter is the first choice for, inside a union.
    """

    __slots__ = ("decode", "encode", "kinds", "name", "types")

    def __init__(
        self,
        name: str,
        encode: Callable[[Any], Any],
        decode: Callable[[Any], Any],
        kinds: Iterable[str],
        types: tuple[type, ...] = (),
    ) -> None:
        self.name = name
        self.encode = encode
        self.decode = decode
        self.kinds = frozenset(kinds)
        self.types = types


def kind_of(wire: Any) -> str:
    """Name the kind of a JSON value: ``null``, ``bool``, … or ``tagged`` for a tagged object."""
    kind = _KINDS.get(type(wire), "none")
    return "tagged" if kind == "object" and TAG in wire else kind


def is_reserved(key: str) -> bool:
    """Whether an object with this key could be taken for one of ours."""
    return key.startswith(TAG)


def tagged(tag: str, data: Any) -> dict[str, Any]:
    """Stand for a value of a type that JSON does not have."""
    return {TAG: tag, "data": data}


def untagged(wire: Any, tag: str) -> Any:
    """Give the data of an object tagged so; any other value as it is.

    A caller without our annotations sends tagged values where an annotated one sends plain ones.
    """
    if type(wire) is dict and len(wire) == 2 and wire.get(TAG) == tag and "data" in wire:
        return wire["data"]
    return wire


def type_name(value: Any) -> str:
    """Name a value's type for a message, without the value."""
    kind = type(value)
    if kind is dict and TAG in value:
        return f"a {TAG} object"
    if kind.__module__ in ("builtins", "datetime", "decimal", "pathlib", "uuid"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def convert_each(convert: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Convert items in order; an error names the index."""
    done: list[Any] = []
    try:
        for item in items:
            done.append(convert(item))  # noqa: PERF401  (a comprehension would hide the index)
    except ConversionError as error:
        raise error.inside(f"[{len(done)}]") from None
    return done
