"""What a client asked an emulator for, kept for tests to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RecordedRequest", "RequestLog", "masked_headers"]

_SECRET_PARTS = ("authorization", "cookie", "key", "secret", "token")
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived.

    Attributes:
        operation: What it meant, such as ``"submit"`` or ``"deploy"``.
        method: HTTP method, ``"rpc"`` for a step without one.
        path: Path and query.
        headers: Names in lower case; values of credentials are masked.
        json: JSON body, where it is small and holds no secret.
        size: Bytes of the body.
        at: When, in seconds of the emulator's clock.
    """

    operation: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    size: int = 0
    at: float = 0.0


class RequestLog:
    """The last requests, oldest first; older ones are dropped.

    Args:
        limit: Requests kept. Default 10,000.
    """

    def __init__(self, limit: int = _KEPT) -> None:
        self._kept: deque[RecordedRequest] = deque(maxlen=limit)
        self.total = 0

    def add(self, request: RecordedRequest) -> None:
        """Keep one request."""
        self.total += 1
        self._kept.append(request)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(list(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, operation: str) -> list[RecordedRequest]:
        """Give the kept requests of one operation."""
        return [request for request in self if request.operation == operation]

    def clear(self) -> None:
        """Forget them."""
        self._kept.clear()
        self.total = 0


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give headers with names in lower case and without the values of credentials.

    The scheme of an ``Authorization`` header stays readable: ``Bearer ****``.
    """
    return {name.lower(): _masked(name.lower(), value) for name, value in headers.items()}


def _masked(name: str, value: str) -> str:
    if name == "idempotency-key" or not any(part in name for part in _SECRET_PARTS):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} ****" if name == "authorization" and space else "****"
