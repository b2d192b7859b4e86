"""Tokens of calls and inputs, in the form of JSON Web Tokens: Modal's client looks into them.

Unsigned: who reaches the emulator may do anything anyway.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import bad

if TYPE_CHECKING:
    from gpuhub_modal.emulator.calls import Call, Input

__all__ = ["call_token", "input_id_of", "input_token"]

_HEADER = {"alg": "none", "typ": "JWT"}


def call_token(call: Call) -> str:
    """Give the token of a call."""
    return _token({"function_call_id": call.id})


def input_token(entry: Input) -> str:
    """Give the token of an input, another one for each repetition."""
    return _token(
        {
            "function_call_id": entry.call.id,
            "idx": entry.idx,
            "input_id": entry.id,
            "retry_count": entry.retry_count,
        }
    )


def input_id_of(token: str) -> str:
    """Read the id of an input from its token.

    Raises:
        Refused: It is none.
    """
    parts = token.split(".")
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return str(payload["input_id"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise bad(f"not a token of an input: {token!r}") from None


def _token(payload: dict[str, Any]) -> str:
    parts = (_HEADER, payload)
    return ".".join(_encoded(part) for part in parts) + "."


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
