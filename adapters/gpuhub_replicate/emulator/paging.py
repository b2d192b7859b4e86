"""Lists in pages of 100, with cursors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gpuhub_replicate.emulator.problems import Problem
from gpuhub_replicate.emulator.web import Answer, Request

__all__ = ["paged"]

T = TypeVar("T")

_PAGE = 100


def paged(
    request: Request, base: str, items: Sequence[T], shown: Callable[[T], dict[str, Any]]
) -> Answer:
    """Answer with one page.

    Args:
        request: Names the page by its ``cursor``.
        base: Address of the emulator.
        items: All of them, newest first.
        shown: Gives the API's description of one.

    Raises:
        Problem: 400, the cursor is none of ours.
    """
    start = _read(request.query.get("cursor", ""))
    path = f"{base}{request.path}?cursor="
    body = {
        "next": path + _cursor(start + _PAGE) if start + _PAGE < len(items) else None,
        "previous": path + _cursor(max(0, start - _PAGE)) if start else None,
        "results": [shown(each) for each in items[start : start + _PAGE]],
    }
    return Answer.of(body)


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(b"%d" % start).decode().rstrip("=")


def _read(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise Problem(400, f"Invalid cursor: {cursor}") from None
