"""What the emulator asks of whatever runs a replica's code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.web import Answer

__all__ = ["Machine", "Order", "Played"]

Played = Callable[[bytes], Awaitable["Answer"]]


class Machine(Protocol):
    """What runs a replica's code."""

    @property
    def url(self) -> str:
        """Where its server listens; empty when it has none and answers at once."""
        ...

    @property
    def played(self) -> Played | None:
        """What answers in the place of a server."""
        ...

    def start(self) -> None:
        """Begin; does not wait."""
        ...

    def stop(self) -> None:
        """End it and all it started; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What a machine has to run.

    Attributes:
        image: Folder with ``app`` and ``packages``.
        config: All members of the configuration.
        env: The variables of its process.
        secrets: Values of the secrets it may read.
        environment: Name of the environment it serves.
        log: File it prints to.
        exited: Called, from any thread, when it ended by itself; with its exit code.
    """

    image: Path
    config: Mapping[str, Any]
    env: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    environment: str | None
    log: Path
    exited: Callable[[int], None]
