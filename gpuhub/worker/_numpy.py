"""Converters of numpy arrays, without importing numpy before a value needs it."""

from __future__ import annotations

import base64
import importlib
import math
import re
from typing import Any

from gpuhub.worker._scalars import encode_float
from gpuhub.worker.conversion import ConversionError, Converter, type_name, untagged

__all__ = ["array_converter", "decode_array", "encode_array", "is_array", "scalar_converter"]

# Booleans, numbers, times and fixed texts. Objects (O) would need pickle; raw bytes (V) lose
# their meaning.
_DTYPE = re.compile(r"[<>|=]?[biufcSUmM][0-9]+(\[[0-9a-z/]+\])?\Z")
_FIELDS = {"dtype", "shape", "data"}


def is_array(value: Any) -> bool:
    """Whether a value is a numpy array."""
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ == "ndarray"


def encode_array(value: Any) -> dict[str, Any]:
    """Give ``{"dtype", "shape", "data"}``: the bytes in C order, as base64."""
    if not is_array(value):
        raise ConversionError("numpy.ndarray", type_name(value))
    if not _DTYPE.match(value.dtype.str):
        raise ConversionError("an array of numbers", f"an array of dtype {value.dtype}")
    data = base64.b64encode(value.tobytes()).decode("ascii")
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}


def decode_array(wire: Any, dtype: Any = None) -> Any:
    """Read what :func:`encode_array` gave, or nested lists of numbers.

    Args:
        wire: The JSON value.
        dtype: Data type for nested lists; a described array has its own.
    """
    wire = untagged(wire, "ndarray")
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        raise ConversionError("numpy to be installed, for a numpy array", "no numpy") from None
    if type(wire) is list:
        return _from_lists(numpy, wire, dtype)
    if type(wire) is not dict or set(wire) != _FIELDS:
        raise ConversionError("an array as {dtype, shape, data} or lists", type_name(wire))
    return _from_bytes(numpy, wire)


def _from_lists(numpy: Any, wire: list[Any], dtype: Any) -> Any:
    try:
        array = numpy.asarray(wire, dtype=dtype)
    except (ValueError, TypeError, OverflowError):
        raise ConversionError("an array as nested lists", "uneven or mixed lists") from None
    if array.dtype.hasobject:
        raise ConversionError("an array as nested lists", "uneven or mixed lists")
    return array


def _from_bytes(numpy: Any, wire: dict[str, Any]) -> Any:
    dtype, shape, data = wire["dtype"], wire["shape"], wire["data"]
    if type(dtype) is not str or not _DTYPE.match(dtype):
        raise ConversionError("a dtype such as '<f4'", type_name(dtype))
    if type(shape) is not list or any(type(size) is not int or size < 0 for size in shape):
        raise ConversionError("a shape such as [2, 3]", type_name(shape))
    try:
        kind = numpy.dtype(dtype)
        content = base64.b64decode(data, validate=True)
    except (ValueError, TypeError):
        raise ConversionError("an array as {dtype, shape, data}", "another form of it") from None
    needed = math.prod(shape) * kind.itemsize
    if len(content) != needed:
        raise ConversionError(f"{needed} bytes of array data", f"{len(content)}")
    # A copy: an array over the decoded bytes would be read-only.
    return numpy.ndarray(shape, kind, content).copy()


def array_converter(dtype: Any = None) -> Converter:
    """Make the converter of ``numpy.ndarray`` and ``numpy.typing.NDArray``."""
    numpy = importlib.import_module("numpy")

    def decode(wire: Any) -> Any:
        return decode_array(wire, dtype)

    return Converter("numpy.ndarray", encode_array, decode, {"object", "array"}, (numpy.ndarray,))


def scalar_converter(kind: Any) -> Converter:
    """Make the converter of a numpy scalar such as ``numpy.float32``."""
    name = f"numpy.{kind.__name__}"

    def encode(value: Any) -> Any:
        plain = value.item() if isinstance(value, kind) else value
        if not isinstance(plain, (bool, int, float, str)):
            raise ConversionError(name, type_name(value))
        return encode_float(plain) if isinstance(plain, float) else plain

    def decode(wire: Any) -> Any:
        plain = untagged(wire, "float")
        if not isinstance(plain, (bool, int, float, str)):
            raise ConversionError(name, type_name(wire))
        try:
            return kind(plain)
        except (ValueError, TypeError, OverflowError):
            raise ConversionError(name, f"a {type_name(wire)} that it cannot hold") from None

    return Converter(name, encode, decode, {"bool", "int", "float", "string"}, (kind,))
