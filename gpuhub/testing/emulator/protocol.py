"""The one face of all emulators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gpuhub.testing.emulator.faults import Fault, FaultKind
from gpuhub.testing.emulator.meter import BilledSeconds
from gpuhub.testing.emulator.recording import RecordedRequest

if TYPE_CHECKING:
    from gpuhub.adapter import Clock

__all__ = ["Emulator"]


@runtime_checkable
class Emulator(Protocol):
    """One provider, played on this machine."""

    @property
    def clock(self) -> Clock:
        """Moves its state: cold starts, idle workers, schedules, expiry."""
        ...

    def start(self) -> Mapping[str, str]:
        """Begin to answer; gives the URLs by the provider's setting, such as ``api_url``."""
        ...

    def stop(self) -> None:
        """Stop answering and end every worker. May be called twice."""
        ...

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next ``times`` operations of one kind fail."""
        ...

    @property
    def requests(self) -> Iterable[RecordedRequest]:
        """The last requests, oldest first."""
        ...

    @property
    def billed_seconds(self) -> BilledSeconds:
        """Worker id -> seconds billed so far; ``.total`` for all."""
        ...

    def orphans(self) -> list[str]:
        """What is billed and belongs to no deployment: ids of workers, names of deployments."""
        ...
