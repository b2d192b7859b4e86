"""Converters of single values: numbers, text, bytes, times."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import math
import os
import pathlib
import re
import uuid
from typing import Any, Callable

from gpuhub.worker.conversion import (
    ConversionError,
    Converter,
    tagged,
    type_name,
    untagged,
)

__all__ = ["ANY_TAGS", "SCALARS", "encode_float", "path_converter", "subclass_converter"]

_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<days>[0-9]+)D)?(?:T(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?"
    r"(?:(?P<seconds>[0-9]+)(?:\.(?P<micro>[0-9]{1,6}))?S)?)?\Z"
)


def _is_numpy_scalar(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ == "numpy" and hasattr(kind, "item") and getattr(value, "shape", 1) == ()


def _check_none(value: Any) -> None:
    if value is not None:
        raise ConversionError("None", type_name(value))


def _encode_bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    if _is_numpy_scalar(value) and isinstance(value.item(), bool):
        return bool(value)
    raise ConversionError("bool", type_name(value))


def _decode_bool(wire: Any) -> bool:
    if type(wire) is bool:
        return wire
    raise ConversionError("bool", type_name(wire))


def _encode_int(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, int):
        return value if type(value) is bool else int(value)
    if _is_numpy_scalar(value) and isinstance(value.item(), int):
        return int(value.item())
    raise ConversionError("int", type_name(value))


def _decode_int(wire: Any) -> int:
    if isinstance(wire, int):
        return wire
    raise ConversionError("int", type_name(wire))


def encode_float(value: Any) -> Any:
    """Give a number, or a tagged text for what JSON has no number for: nan and infinities."""
    if isinstance(value, int):
        return _encode_int(value)
    if not isinstance(value, float):
        if not (_is_numpy_scalar(value) and isinstance(value.item(), (int, float))):
            raise ConversionError("float", type_name(value))
        value = value.item()
    return float(value) if math.isfinite(value) else tagged("float", repr(float(value)))


def _decode_float(wire: Any) -> float:
    if type(wire) is float:
        return wire
    if isinstance(wire, int):
        try:
            return float(wire)
        except OverflowError:
            raise ConversionError("float", "an integer too large for one") from None
    text = untagged(wire, "float")
    if text in ("nan", "inf", "-inf"):
        return float(text)
    raise ConversionError("float", type_name(wire))


def _encode_str(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise ConversionError("str", type_name(value))


def _decode_str(wire: Any) -> str:
    if type(wire) is str:
        return wire
    raise ConversionError("str", type_name(wire))


def _text_converter(
    kind: type,
    to_text: Callable[[Any], str],
    from_text: Callable[[str], Any],
    form: str,
    accepted: tuple[type, ...] = (),
) -> Converter:
    """Make the converter of a type that travels as text of the given form."""
    name = kind.__name__
    expected = f"{name} as {form}"

    def encode(value: Any) -> str:
        if not isinstance(value, accepted or kind) or (kind is dt.date and _has_time(value)):
            raise ConversionError(name, type_name(value))
        return to_text(value)

    def decode(wire: Any) -> Any:
        text = wire if type(wire) is str else untagged(wire, name.lower())
        try:
            if type(text) in (int, float) and kind in _FROM_NUMBER:
                return _FROM_NUMBER[kind](text)
            if type(text) is str:
                return from_text(text)
        except (ValueError, ArithmeticError):
            raise ConversionError(expected, "another form of it") from None
        raise ConversionError(expected, type_name(wire))

    return Converter(name, encode, decode, {"string"}, (kind,))


_FROM_NUMBER: dict[type, Callable[[Any], Any]] = {
    dt.timedelta: lambda seconds: dt.timedelta(seconds=seconds),
    decimal.Decimal: lambda number: decimal.Decimal(str(number)),
}


def _has_time(value: Any) -> bool:
    return isinstance(value, dt.datetime)


def _from_iso(kind: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        # Python 3.10 and older do not know the Z that other languages write.
        return kind.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)

    return read


def _encode_duration(value: dt.timedelta) -> str:
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    micro = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{micro}S"


def _decode_duration(text: str) -> dt.timedelta:
    match = _DURATION.match(text)
    if not match or text[-1] in "PT":
        raise ValueError(text)
    parts = {
        name: int(match[name]) for name in ("days", "hours", "minutes", "seconds") if match[name]
    }
    micro = int((match["micro"] or "0").ljust(6, "0"))
    value = dt.timedelta(**parts, microseconds=micro)
    return -value if match["sign"] == "-" else value


def _to_base64(value: Any) -> str:
    return base64.b64encode(value).decode("ascii")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def path_converter(kind: type) -> Converter:
    """Make the converter of a path class; ``os.PathLike`` gives a ``Path``."""
    made: Any = pathlib.Path if kind is os.PathLike else kind
    base = _text_converter(pathlib.Path, str, made, "text", (pathlib.PurePath,))
    types = (made, pathlib.PosixPath, pathlib.WindowsPath)
    return Converter(kind.__name__, base.encode, base.decode, base.kinds, types)


def subclass_converter(kind: type, base: Converter) -> Converter:
    """Make the converter of a user's subclass of ``str``, ``int`` or ``float``."""

    def encode(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ConversionError(kind.__name__, type_name(value))
        return base.encode(value)

    def decode(wire: Any) -> Any:
        plain = base.decode(wire)
        try:
            return kind(plain)
        except (ValueError, TypeError) as error:
            raise ConversionError(kind.__name__, f"a value it refuses ({error})") from None

    return Converter(kind.__name__, encode, decode, base.kinds, (kind,))


def _encode_complex(value: Any) -> list[Any]:
    if not isinstance(value, (complex, float, int)):
        raise ConversionError("complex", type_name(value))
    number = complex(value)
    return [encode_float(number.real), encode_float(number.imag)]


def _decode_complex(wire: Any) -> complex:
    parts = untagged(wire, "complex")
    if type(parts) is not list or len(parts) != 2:
        raise ConversionError("complex as [real, imaginary]", type_name(wire))
    return complex(_decode_float(parts[0]), _decode_float(parts[1]))


_BYTES_LIKE = (bytes, bytearray, memoryview)

SCALARS: dict[Any, Converter] = {
    type(None): Converter("None", _check_none, _check_none, {"null"}, (type(None),)),
    bool: Converter("bool", _encode_bool, _decode_bool, {"bool"}, (bool,)),
    int: Converter("int", _encode_int, _decode_int, {"int"}, (int,)),
    float: Converter("float", encode_float, _decode_float, {"float"}, (float,)),
    str: Converter("str", _encode_str, _decode_str, {"string"}, (str,)),
    complex: Converter("complex", _encode_complex, _decode_complex, {"array"}, (complex,)),
    bytes: _text_converter(bytes, _to_base64, _from_base64, "base64 text", _BYTES_LIKE),
    bytearray: _text_converter(
        bytearray,
        _to_base64,
        lambda text: bytearray(_from_base64(text)),
        "base64 text",
        _BYTES_LIKE,
    ),
    dt.datetime: _text_converter(
        dt.datetime,
        dt.datetime.isoformat,
        _from_iso(dt.datetime),
        "ISO 8601 text",
    ),
    dt.date: _text_converter(dt.date, dt.date.isoformat, _from_iso(dt.date), "ISO 8601 text"),
    dt.time: _text_converter(dt.time, dt.time.isoformat, _from_iso(dt.time), "ISO 8601 text"),
    dt.timedelta: _text_converter(
        dt.timedelta, _encode_duration, _decode_duration, "ISO 8601 duration or seconds"
    ),
    decimal.Decimal: _text_converter(decimal.Decimal, str, decimal.Decimal, "decimal text"),
    uuid.UUID: _text_converter(uuid.UUID, str, uuid.UUID, "hexadecimal text"),
}
"""Converters of single values by annotation."""

ANY_TAGS: dict[type, str] = {
    complex: "complex",
    bytes: "bytes",
    bytearray: "bytearray",
    dt.datetime: "datetime",
    dt.date: "date",
    dt.time: "time",
    dt.timedelta: "timedelta",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
}
"""Tags of the types where no annotation names the type."""
