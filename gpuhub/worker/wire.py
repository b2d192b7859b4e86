"""The envelope: what every worker answers, on every provider.

``{"result": …}`` or ``{"gpuhub_error": {"type", "message", "traceback", "wire": 1}}``. A stream is
one envelope for each item and a last one, ``{"gpuhub_end": {"items": n, "wire": 1}}`` or an
error, so that a stream that broke off can be told from one that ended.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

__all__ = [
    "END",
    "ERROR",
    "RESULT",
    "WIRE",
    "dumps",
    "end_envelope",
    "envelope_bytes",
    "error_envelope",
    "loads",
    "result_envelope",
    "without_secrets",
]

WIRE = 1
"""Version of the wire form."""
RESULT = "result"
ERROR = "gpuhub_error"
END = "gpuhub_end"

_TEXT_LIMIT = 64_000
_SECRET_LENGTH = 4
_HERE = Path(__file__).resolve().parent


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_ENCODER = json.JSONEncoder(
    allow_nan=False, separators=(",", ":"), ensure_ascii=False, check_circular=False
)
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def dumps(document: Any) -> bytes:
    """Write standard JSON, compact, in UTF-8.

    Raises:
        ValueError: It holds nan, an infinity or an integer that is too long to print.
    """
    text = _ENCODER.encode(document)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair, as in the name of a file that is no text: JSON can escape it.
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")


def loads(payload: bytes | bytearray | str) -> Any:
    """Read standard JSON.

    Raises:
        ValueError: It is not UTF-8, not JSON, or nested too deeply; the message says where.
    """
    text = payload if isinstance(payload, str) else payload.decode("utf-8")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def envelope_bytes(envelope: dict[str, Any]) -> bytes:
    """Write an envelope; one that JSON cannot hold, such as a huge integer, becomes an error."""
    try:
        return dumps(envelope)
    except ValueError as error:
        return dumps(error_envelope(error))


def result_envelope(wire: Any) -> dict[str, Any]:
    """Wrap a JSON value."""
    return {RESULT: wire}


def end_envelope(items: int) -> dict[str, Any]:
    """Tell that a stream ended after so many items."""
    return {END: {"items": items, "wire": WIRE}}


def error_envelope(error: BaseException) -> dict[str, Any]:
    """Wrap an exception of the user's code; its traceback starts at the user's frames."""
    return {
        ERROR: {
            "type": _type_name(type(error)),
            "message": _safe_text(_message(error)),
            "traceback": _safe_text(_traceback(error)),
            "wire": WIRE,
        }
    }


def without_secrets(envelope: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Blot the values of environment variables out of an error's message and traceback.

    Args:
        envelope: Of any kind; other kinds than errors come back as they are.
        names: Variables that hold secrets. Values of less than 4 characters are left alone: they
            would be found in every other text.
    """
    if ERROR not in envelope:
        return envelope
    values = [value for name in names if len(value := os.environ.get(name, "")) >= _SECRET_LENGTH]
    hidden = dict(envelope[ERROR])
    for field in ("message", "traceback"):
        for value in sorted(values, key=len, reverse=True):  # one may begin with another
            hidden[field] = hidden[field].replace(value, "***")
    return {**envelope, ERROR: hidden}


def _type_name(kind: type) -> str:
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (the user's __str__ may raise anything)
        return f"<unprintable {type(error).__name__}>"


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    """Drop the frames at the top that are not the user's: the worker's and its loop's."""
    while frames is not None and _is_machinery(frames.tb_frame):
        frames = frames.tb_next
    return frames


def _is_machinery(frame: FrameType) -> bool:
    if Path(frame.f_code.co_filename).resolve().parent == _HERE:
        return True
    return frame.f_globals.get("__name__", "").split(".")[0] in ("asyncio", "concurrent")


def _traceback(error: BaseException) -> str:
    try:
        frames = _users_part(error.__traceback__)
        return "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # noqa: BLE001  (the user's __str__ or __repr__ may raise anything)
        return f"{_type_name(type(error))}: {_message(error)}\n"


def _safe_text(text: str) -> str:
    """Make text that every JSON reader takes, with the middle cut out of a very long one."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= _TEXT_LIMIT:
        return text
    half = _TEXT_LIMIT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
