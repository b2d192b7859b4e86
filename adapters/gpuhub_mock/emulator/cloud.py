"""The mock provider, whole: deployments, workers, calls, a clock, faults and a bill."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress

from pydantic import SecretStr

from gpuhub.adapter import Phase
from gpuhub.testing.emulator.faults import Fault, FaultKind
from gpuhub.testing.emulator.meter import BilledSeconds
from gpuhub.testing.emulator.recording import RequestLog
from gpuhub_mock.emulator.control import Control
from gpuhub_mock.emulator.deployments import DeploymentBook
from gpuhub_mock.emulator.desk import Desk
from gpuhub_mock.emulator.execution import Execution
from gpuhub_mock.emulator.options import CloudOptions
from gpuhub_mock.emulator.pool import Pool
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.site import MockClock, Site, WebhookDelivery
from gpuhub_mock.emulator.store import Store
from gpuhub_mock.emulator.ticker import Ticker
from gpuhub_mock.emulator.traffic import Traffic
from gpuhub_mock.emulator.turns import Turns
from gpuhub_mock.emulator.web import FrontDoors

__all__ = ["MockCloud"]

_DAY_S = 86_400.0


class MockCloud:
    """One mock provider, in memory; two of them share nothing.

    Implements :class:`gpuhub.testing.emulator.Emulator`.

    Args:
        options: How it behaves.
        clock: Its time: virtual, the system's, or a scaled one.

    Attributes:
        deployments: Its control plane.
        calls: Its data plane.
    """

    def __init__(self, options: CloudOptions, clock: MockClock) -> None:
        site = self._site = Site(
            options, clock, Store(options.state_dir, max(options.result_ttl_s, _DAY_S))
        )
        self._book = DeploymentBook(site)
        self._desk = Desk(site)
        execution = Execution(site, self._pool_of)
        turns = Turns(site, self._book.settle, self._pool_of)
        self.calls = Traffic(site, self._book, self._desk, execution, turns)
        self._doors = FrontDoors(self.calls, turns, execution)
        self.deployments = Control(site, self._book, self._desk, self._doors.url)
        site.run, site.closed = execution.run, execution.closed
        self._book.run_scheduled = self.calls.run_scheduled
        self._unwatch: Callable[[], None] | None = None
        self._ticker: Ticker | None = None
        self.start()

    @property
    def options(self) -> CloudOptions:
        """How it behaves."""
        return self._site.options

    @property
    def clock(self) -> MockClock:
        """Its time."""
        return self._site.clock

    @property
    def requests(self) -> RequestLog:
        """The last requests, oldest first."""
        return self._desk.log

    @property
    def secrets(self) -> dict[str, SecretStr | str]:
        """Its secret store: name -> value; put secrets in before deploying what needs them."""
        return self._site.secrets

    @property
    def out_of_stock(self) -> set[str]:
        """GPUs of which there are none now: canonical names; add and remove as you like."""
        return self._site.out_of_stock

    @property
    def webhooks(self) -> list[WebhookDelivery]:
        """What would have been sent to webhooks."""
        return self._site.webhooks

    @property
    def executions(self) -> Mapping[str, int]:
        """Call id -> how often it was run, for the last 10,000 calls."""
        with self._site.lock:
            return dict(self._site.book.executions)

    @property
    def billed_seconds(self) -> BilledSeconds:
        """Worker id -> seconds billed so far; ``.total`` for all."""
        with self._site.lock:
            self._book.settle()
            return self._site.meter.billed_seconds(self.clock.now())

    def start(self) -> Mapping[str, str]:
        """Follow the clock. It is in memory, so there are no URLs."""
        self._site.is_shut = False
        watch = getattr(self.clock, "on_advance", None)
        if watch is not None and self._unwatch is None:
            self._unwatch = watch(_weakly(self._on_advance))
        if not self._site.is_virtual and self._ticker is None:
            self._ticker = Ticker(self.settle)
            self._ticker.start()
        return {}

    def stop(self) -> None:
        """Stop every worker, process and listener. Deployments stay in the state folder."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        self._doors.close()
        with self._site.lock:
            self._book.settle()
            self._site.is_shut = True
            now = self.clock.now()
            workers = [w for each in self._book for w in each.pool.fleet.stop_all(now, "shut down")]
            for each in self._book:
                each.logs.close()
            for call in self._site.book.all_live():
                if call.claimed and not call.taken:  # whoever waits for its turn waits in vain
                    call.end(Phase.CANCELLED, now)
        for worker in workers:
            worker.runner.stop()
        self._site.store.close()

    def settle(self) -> None:
        """Let happen what the clock says is due."""
        with self._site.lock:
            self._book.settle()

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next operations of one kind fail.

        Args:
            fault: What goes wrong; a kind alone takes its usual form.
            on: ``deploy``, ``find``, ``submit``, ``poll``, ``stream``, ``cancel``, ``status``,
                ``scale``, ``logs``, ``versions``, ``rollback``, ``warm``, ``delete``, ``upload``,
                or ``start`` for the start of a worker.
            times: How many of them.
        """
        self._site.faults.fail(fault, on, times)

    def fail_randomly(
        self, fault: Fault | FaultKind, on: str = "submit", *, probability: float, seed: int
    ) -> None:
        """Let operations fail by chance; the same seed gives the same sequence."""
        self._site.faults.randomly(fault, on, probability=probability, seed=seed)

    def heal(self) -> None:
        """Forget all faults."""
        self._site.faults.clear()

    def orphans(self) -> list[str]:
        """Give workers that are billed and belong to no deployment."""
        with self._site.lock:
            owned = {worker.id for each in self._book for worker in each.pool.workers}
            return [worker for worker in self._site.meter.running() if worker not in owned]

    def drain(self, seconds: float = 3600.0) -> None:
        """Wait until no call is queued or running, moving virtual time where need be.

        Args:
            seconds: Clock seconds after which to stop waiting for one call.
        """
        while True:
            with self._site.lock:
                live = self._site.book.all_live()
            if not live:
                return
            for call in live:
                with suppress(Refusal):  # a lost answer is its caller's
                    self.calls.wait(call, seconds)
            if all(not call.is_over for call in live):
                return

    def _on_advance(self) -> None:
        with self._site.lock:
            self._book.settle(may_wait=not _on_loop())

    def _pool_of(self, name: str) -> Pool | None:
        found = self._book.known(name)
        return None if found is None else found.pool


def _on_loop() -> bool:
    """Whether this thread runs an event loop, which must not be kept waiting."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hold a method's object weakly: a clock may outlive it."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        found = held()
        if found is not None:
            found()

    return call
