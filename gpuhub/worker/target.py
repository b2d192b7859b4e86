"""Which object of the user's code runs: shared by the client and the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Kind", "Target"]

Kind = Literal["function", "generator", "class", "web"]

_KINDS = ("function", "generator", "class", "web")


@dataclass(frozen=True)
class Target:
    """The decorated object, by name.

    Attributes:
        module: Import name in the container, such as ``"shop.embedding"``. A file run as a
            script goes by its stem.
        qualname: Name in the module, such as ``"embed"``.
        kind: ``function``, ``generator``, ``class`` (with ``setup`` and ``__call__``) or ``web``
            (makes an ASGI application).
        is_async: Whether calling it gives a coroutine or an async generator.
    """

    module: str
    qualname: str
    kind: Kind = "function"
    is_async: bool = False

    def __post_init__(self) -> None:
        """Refuse a kind that no worker knows."""
        if self.kind not in _KINDS:
            raise ValueError(f"target kind must be one of {', '.join(_KINDS)} (got {self.kind!r})")

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Target:
        """Read what :meth:`to_dict` gave.

        Raises:
            ValueError: A field is missing or unknown, or the kind is unknown.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"not a target description: {error}") from None
