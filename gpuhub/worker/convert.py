"""Python values to JSON values and back, driven by annotations: both sides use this one.

A value whose annotation names its type travels as plain JSON, so any HTTP client can send it.
Where no annotation helps, values that JSON lacks travel as ``{"$gpuhub": tag, "data": …}``.
Nothing is ever pickled.
"""

from __future__ import annotations

import types
import typing
from typing import Any

from gpuhub.worker import _containers, _objects
from gpuhub.worker._classes import class_converter
from gpuhub.worker._scalars import SCALARS
from gpuhub.worker._tagged import ANY
from gpuhub.worker._unions import union_converter
from gpuhub.worker.annotations import strip_qualifiers
from gpuhub.worker.conversion import ConversionError, Converter, UnsupportedAnnotation

__all__ = ["ConversionError", "Converters", "UnsupportedAnnotation", "from_wire", "to_wire"]

_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
_ADVICE = "a list, dict, dataclass, pydantic model, numpy array, bytes or gpuhub.File"


class Converters:
    """Makes converters by annotation, each once.

    One per handler or codec: a process-wide cache would keep every class it ever saw alive.
    """

    def __init__(self) -> None:
        self._made: dict[Any, Converter] = {}
        self._open: set[Any] = set()

    def get(self, annotation: Any) -> Converter:
        """Give the converter of an annotation; no annotation is ``Any``.

        Raises:
            UnsupportedAnnotation: No JSON form is known for it.
        """
        # The text as well: int | str == str | int, but to us the order matters.
        key = (_hashable(annotation), repr(annotation))
        if key in self._open:
            return self._late(key, annotation)
        if key not in self._made:
            self._open.add(key)
            try:
                self._made[key] = self._build(strip_qualifiers(annotation))
            finally:
                self._open.discard(key)
        return self._made[key]

    def get_or_refuse(self, annotation: Any) -> Converter:
        """Give the converter, or one that refuses every value: perhaps none ever comes."""
        try:
            return self.get(annotation)
        except UnsupportedAnnotation as problem:
            return _refusing(problem)

    def _late(self, key: Any, annotation: Any) -> Converter:
        """Stand in for a converter that is being made: the type contains itself."""
        is_class = isinstance(annotation, type)
        return Converter(
            getattr(annotation, "__name__", str(annotation)),
            lambda value: self._made[key].encode(value),  # noqa: PLW0108  (not made yet)
            lambda wire: self._made[key].decode(wire),  # noqa: PLW0108
            {"object"} if is_class else ANY.kinds,
            (annotation,) if is_class else (),
        )

    def _build(self, annotation: Any) -> Converter:
        if annotation in (Any, object):
            return ANY
        scalar = SCALARS.get(type(None) if annotation is None else _hashable(annotation))
        if scalar is not None:
            return scalar
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if origin in _UNIONS:
            return union_converter([self.get_or_refuse(member) for member in arguments])
        if origin is typing.Literal:
            return _objects.literal_converter(arguments, self.get)
        made = self._container(origin, arguments)
        if made is None and isinstance(origin, type):
            made = class_converter(origin, annotation, self.get_or_refuse)
        if made is None:
            raise UnsupportedAnnotation(_ADVICE, _describe(annotation))
        return made

    def _container(self, origin: Any, arguments: tuple[Any, ...]) -> Converter | None:
        hashable = _hashable(origin)
        if hashable in _containers.SEQUENCES:
            return _containers.sequence_converter(origin, self.get(_first(arguments)))
        if hashable in _containers.SETS:
            return _containers.set_converter(origin, self.get(_first(arguments)))
        if hashable in _containers.MAPPINGS:
            defaults: list[Any] = [Any, int if origin.__name__ == "Counter" else Any]
            key, value = [*arguments, *defaults[len(arguments) :]]
            return _containers.mapping_converter(origin, self.get(key), self.get(value))
        return self._tuple(arguments) if origin is tuple else None

    def _tuple(self, arguments: tuple[Any, ...]) -> Converter:
        if not arguments:
            return _containers.tuple_converter([ANY], repeated=True)
        if arguments[-1] is Ellipsis:
            return _containers.tuple_converter([self.get(arguments[0])], repeated=True)
        items = [] if arguments == ((),) else [self.get(item) for item in arguments]
        return _containers.tuple_converter(items, repeated=False)


def _hashable(annotation: Any) -> Any:
    try:
        hash(annotation)
    except TypeError:
        return id(annotation)
    return annotation


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else Any


def _describe(annotation: Any) -> str:
    if isinstance(annotation, type):
        return f"the annotation {annotation.__module__}.{annotation.__qualname__}"
    return f"the annotation {annotation}"


def _refusing(problem: UnsupportedAnnotation) -> Converter:
    def refuse(_value: Any) -> Any:
        raise UnsupportedAnnotation(problem.expected, problem.got, problem.path)

    return Converter(problem.got, refuse, refuse, ())


def to_wire(value: Any, annotation: Any = Any) -> Any:
    """Give the JSON value of a Python value.

    Raises:
        ConversionError: The value does not fit; names the place.
    """
    return guarded(Converters().get(annotation).encode, value)


def from_wire(wire: Any, annotation: Any = Any) -> Any:
    """Give the Python value of a JSON value.

    Raises:
        ConversionError: The value does not fit; names the place.
    """
    return guarded(Converters().get(annotation).decode, wire)


def guarded(convert: typing.Callable[[Any], Any], value: Any) -> Any:
    """Convert, and report what is nested without end like any other misfit."""
    try:
        return convert(value)
    except RecursionError:
        raise ConversionError("a value of limited depth", "one nested too deeply") from None
