"""Large arguments by reference, where a payload store is configured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Payloads:
    """Moves encoded arguments above a size to the project's payload store.

    Attributes:
        url: The store, such as ``"s3://bucket/prefix"``; ``None``: everything travels inline.
    """

    url: str | None

    def store(self, payload: bytes) -> bytes:
        """The payload itself, or a small one that refers to it."""
        return payload
