"""What the parts of one mock provider share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import SecretStr

from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.faults import Faults
from gpuhub.testing.emulator.meter import Meter
from gpuhub_mock.emulator.calls import CallBook
from gpuhub_mock.emulator.environment import SharedEnvironment
from gpuhub_mock.emulator.options import CloudOptions
from gpuhub_mock.emulator.output import OutputTap
from gpuhub_mock.emulator.store import Store
from gpuhub_mock.emulator.threads import DaemonThreads

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call

__all__ = ["MockClock", "Site", "WebhookDelivery"]


class MockClock(Protocol):
    """Time, with a date."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or move the clock."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """What the mock would have sent to a webhook.

    Attributes:
        url: Where to.
        body: ``{"id", "status", "output"}``.
    """

    url: str
    body: dict[str, Any]


def _not_yet(*_arguments: Any) -> None:
    raise RuntimeError("the cloud has not wired its parts")


@dataclass(slots=True)
class Site:
    """Shared by one provider's deployments; nothing here is shared by two providers.

    Attributes:
        options: How it behaves.
        clock: Its time.
        store: What outlives the process.
        faults: What still has to go wrong.
        secrets: The provider's secret store: name -> value.
        out_of_stock: GPUs of which there are none now.
        webhooks: What would have been sent.
        lock: Held for every change of state, never while the user's code runs.
        run: Runs a call whose turn has come.
        is_shut: No worker is started any more.
        loading: Workers whose code is being loaded.
        loaders: Threads that do it.
        booted: Told whenever one of them has finished; its lock is ``lock``.
        closed: Told of every call that ended, and when; needs the lock.
    """

    options: CloudOptions
    clock: MockClock
    store: Store
    faults: Faults = field(default_factory=Faults)
    secrets: dict[str, SecretStr | str] = field(default_factory=dict, repr=False)
    out_of_stock: set[str] = field(default_factory=set)
    webhooks: list[WebhookDelivery] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    meter: Meter = field(default_factory=Meter)
    threads: DaemonThreads = field(default_factory=DaemonThreads)
    environment: SharedEnvironment = field(default_factory=SharedEnvironment)
    tap: OutputTap = field(default_factory=OutputTap)
    run: Callable[[Call], None] = _not_yet
    closed: Callable[[Call, float], None] = _not_yet
    is_shut: bool = False
    loading: int = 0
    loaders: set[int] = field(default_factory=set)
    booted: threading.Condition = field(init=False)
    book: CallBook = field(init=False)
    _workers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        """Open the book of calls."""
        self.booted = threading.Condition(self.lock)
        self.book = CallBook(self.options.result_ttl_s)

    @property
    def is_virtual(self) -> bool:
        """Whether time stands still until somebody moves it."""
        return isinstance(self.clock, VirtualClock)

    def new_worker_id(self) -> str:
        """Name the next worker."""
        return f"worker-{next(self._workers)}"
