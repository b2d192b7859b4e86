"""Values of calls as JSON: what has no JSON form of its own keeps its tag."""

from __future__ import annotations

import json
from typing import Any

from gpuhub.worker.convert import Converters

__all__ = ["as_json", "as_text"]


def as_json(value: Any) -> Any:
    """A decoded value as JSON values: bytes and the like in the tagged form they travelled in."""
    return Converters().get(Any).encode(value)


def as_text(value: Any, *, indent: int | None = 2) -> str:
    """The JSON text for people: letters of all languages as they are."""
    return json.dumps(as_json(value), indent=indent, ensure_ascii=False)
