"""Which converter a class gets: found by what it looks like, so that no package is imported."""

from __future__ import annotations

import dataclasses
import enum
import os
import pathlib
import typing
from typing import Any, Callable

from gpuhub.worker import _objects
from gpuhub.worker._numpy import array_converter, scalar_converter
from gpuhub.worker._scalars import SCALARS, path_converter, subclass_converter
from gpuhub.worker.annotations import class_hints
from gpuhub.worker.conversion import Converter, UnsupportedAnnotation

__all__ = ["class_converter"]

Get = Callable[[Any], Converter]


def class_converter(kind: Any, annotation: Any, get: Get) -> Converter | None:
    """Give the converter of a class, or ``None`` when it has no JSON form.

    Args:
        kind: The class.
        annotation: The annotation it came from, with what the class is generic over.
        get: Gives the converter of a field's annotation.
    """
    if issubclass(kind, enum.Enum):
        return _objects.enum_converter(kind)
    if hasattr(kind, "model_dump") and hasattr(kind, "model_validate"):
        return _objects.model_converter(kind)
    for is_kind, make in _RECORDS:
        if is_kind(kind):
            return make(kind, class_hints(kind, annotation), get)
    if kind is os.PathLike or issubclass(kind, pathlib.PurePath):
        return path_converter(kind)
    return _numpy(kind, annotation) or _subclass(kind)


def _dataclass(kind: Any, hints: dict[str, Any], get: Get) -> Converter:
    every = kind.__dataclass_fields__.values()
    if any(repr(field._field_type) == "_FIELD_INITVAR" for field in every):  # noqa: SLF001
        name = f"the dataclass {kind.__qualname__} with an InitVar"
        raise UnsupportedAnnotation("fields that can be read back", name)
    missing = dataclasses.MISSING
    fields = {
        field.name: _objects.Field(
            field.name,
            get(hints.get(field.name, Any)),
            required=field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }
    return _objects.record_converter(kind, fields)


def _is_typed_dict(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__total__")


def _typed_dict(kind: Any, hints: dict[str, Any], get: Get) -> Converter:
    fields = {
        name: _objects.Field(name, get(hint), required=_is_required(kind, name, hint))
        for name, hint in hints.items()
    }
    return _objects.typed_dict_converter(kind, fields)


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    # The class's own list is wrong where the annotations are text: there, the marker counts.
    marker = getattr(typing.get_origin(hint), "_name", None)
    if marker == "ReadOnly":
        return _is_required(kind, name, typing.get_args(hint)[0])
    if marker in ("Required", "NotRequired"):
        return bool(marker == "Required")
    return bool(name in kind.__required_keys__)


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _named_tuple(kind: Any, hints: dict[str, Any], get: Get) -> Converter:
    fields = {
        name: _objects.Field(
            name,
            get(hints.get(name, Any)),
            required=name not in kind._field_defaults,
        )
        for name in kind._fields
    }
    return _objects.named_tuple_converter(kind, fields)


_RECORDS: tuple[tuple[Callable[[Any], bool], Callable[..., Converter]], ...] = (
    (dataclasses.is_dataclass, _dataclass),
    (_is_typed_dict, _typed_dict),
    (_is_named_tuple, _named_tuple),
)


def _numpy(kind: Any, annotation: Any) -> Converter | None:
    if kind.__module__ != "numpy":
        return None
    if kind.__name__ == "ndarray":
        # NDArray[float32] is ndarray[shape, dtype[float32]].
        data_type = (*typing.get_args(annotation), None, None)[1]
        scalar = (*typing.get_args(data_type), None)[0]
        return array_converter(scalar if isinstance(scalar, type) else None)
    return scalar_converter(kind) if hasattr(kind, "item") else None


def _subclass(kind: type) -> Converter | None:
    for base in (str, int, float):
        if issubclass(kind, base):
            return subclass_converter(kind, SCALARS[base])
    return None
