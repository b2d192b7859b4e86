"""One worker: from its start, through calls, to its stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call
    from gpuhub_mock.emulator.versions import VersionRecord

__all__ = ["Runner", "Worker", "WorkerDied"]

State = Literal["starting", "idle", "running", "stopped"]


class WorkerDied(Exception):  # noqa: N818 - says what happened
    """A worker that no longer answers."""


class Runner(Protocol):
    """What runs the user's code of one worker."""

    slow_start: bool
    """Whether :meth:`boot` takes real time, so that a thread has to do it."""
    can_be_killed: bool
    """Whether :meth:`stop` ends code that is running."""

    def boot(self) -> None:
        """Load the user's code and set it up.

        Raises:
            WorkerDied: It did not come up.
        """
        ...

    @property
    def failure(self) -> str:
        """Why the user's code could not be set up; empty when it could."""
        ...

    def invoke(self, payload: bytes) -> bytes:
        """Run one call; gives the envelope.

        Raises:
            WorkerDied: It ended meanwhile.
        """
        ...

    def stream(self, payload: bytes) -> Iterator[bytes]:
        """Run one call; yields envelopes."""
        ...

    def stop(self) -> None:
        """End it; may be called twice."""
        ...


@dataclass(slots=True, eq=False)
class Worker:
    """One worker. Changed under the cloud's lock only; times are clock seconds.

    Attributes:
        id: Unique within the provider.
        version: Which version it runs.
        runner: What runs the code.
        gpu: What it has, such as ``"H100:2"``; empty for CPU only.
        started_at: When it was started, and billing began.
        ready_at: When its cold start ends.
        deadline: When it is given up if it is not ready.
        booted: Whether its code is loaded.
        is_ready: Whether it takes calls.
        is_draining: Whether it stops after its last call.
        is_stopped: Whether it is gone.
        idle_since: Since when it has no call.
        calls: What it runs now.
    """

    id: str
    version: VersionRecord
    runner: Runner
    gpu: str
    started_at: float
    ready_at: float
    deadline: float
    booted: bool = False
    is_ready: bool = False
    is_draining: bool = False
    is_stopped: bool = False
    idle_since: float = 0.0
    calls: set[Call] = field(default_factory=set)

    @property
    def state(self) -> State:
        """What it does now."""
        if self.is_stopped:
            return "stopped"
        if not self.is_ready:
            return "starting"
        return "running" if self.calls else "idle"

    def has_room(self, version: VersionRecord | None, concurrency: int) -> bool:
        """Whether it can take one more call of a version."""
        return (
            self.is_ready
            and not self.is_draining
            and self.version is version
            and len(self.calls) < concurrency
        )
