"""Reads what Modal's runtime pickled, as far as it is plain data: no code of a network's runs.

Modal's protocol carries arguments and results as pickles. The SDK unpickles whatever comes back;
gpuhub's functions return ``bytes``, so an unpickler that knows no classes reads them all.
"""

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251 - writes, and reads what names no class
from typing import Any

from typing_extensions import override

__all__ = ["NotPlain", "as_json", "pickled", "plain_value"]


class NotPlain(ValueError):  # noqa: N818 - says what it is
    """A value that is no plain data; its text names the class."""


class _Plain(pickle.Unpickler):
    @override
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise NotPlain(f"{module_name}.{global_name}")


def plain_value(data: bytes) -> Any:
    """Read a pickle that holds text, numbers, bytes, lists, tuples, sets and dictionaries only.

    Raises:
        NotPlain: It holds anything else, or is no pickle.
    """
    try:
        return _Plain(io.BytesIO(data)).load()
    except NotPlain:
        raise
    except Exception as error:
        raise NotPlain(f"no pickle ({type(error).__name__})") from error


def as_json(value: Any) -> bytes:
    """Write a plain value as JSON.

    Raises:
        NotPlain: JSON has no such value.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise NotPlain(f"{type(value).__name__}: {error}") from None


def pickled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Write arguments as the SDK does: a pickle of protocol 4."""
    return pickle.dumps((args, kwargs), protocol=4)
