"""Calls, and the book that remembers them for as long as the mock provider keeps results."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Literal

from gpuhub.adapter import Phase
from gpuhub_mock.emulator.refusals import Refusal

if TYPE_CHECKING:
    from gpuhub.testing.emulator.faults import Fault
    from gpuhub_mock.emulator.workers import Worker

__all__ = ["Call", "CallBook", "Origin"]

Origin = Literal["wait", "spawn", "stream", "schedule", "web"]

_RECENT_CALLS = 1_000
_RECENT_BYTES = 16_000_000
_REMEMBERED = 10_000


class Call:
    """One call. Changed under the cloud's lock only.

    Attributes:
        id: Unique among all calls of this provider.
        deployment: Name of the deployment.
        payload: JSON object of arguments.
        origin: Who waits for it.
        key: Idempotency key; empty for none.
        webhook: URL to tell the end to.
        phase: Where it is.
        output: The worker's envelope, once it succeeded.
        problem: What went wrong, where the function itself did not say.
        worker: Where it runs or ran.
        queued_at: When it was accepted; clock seconds, as all times here.
        started_at: When its last run began.
        ended_at: When it ended.
        attempts: Runs begun.
        began: When its last run began, in real monotonic seconds.
        claimed: A thread waits for its turn and will run it; otherwise a thread of the cloud does.
        taken: It is being run.
        hangs: It never ends by itself.
        crashes: Its worker dies under it, once.
        lost: The fault that befalls the answer to its submit.
        followers: Calls that run with it, in one batch.
        foreign: Another process runs it.
    """

    __slots__ = (
        "_signal",
        "attempts",
        "began",
        "claimed",
        "crashes",
        "deployment",
        "ended_at",
        "followers",
        "foreign",
        "hangs",
        "id",
        "key",
        "lost",
        "origin",
        "output",
        "payload",
        "phase",
        "problem",
        "queued_at",
        "started_at",
        "taken",
        "webhook",
        "worker",
    )

    def __init__(
        self, call_id: str, deployment: str, payload: bytes, origin: Origin, queued_at: float
    ) -> None:
        self.id = call_id
        self.deployment = deployment
        self.payload = payload
        self.origin = origin
        self.queued_at = queued_at
        self.key = ""
        self.webhook: str | None = None
        self.phase = Phase.QUEUED
        self.output: bytes | None = None
        self.problem: Refusal | None = None
        self.worker: Worker | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.attempts = 0
        self.began: float | None = None
        self.claimed = False
        self.taken = False
        self.hangs = False
        self.crashes = False
        self.lost: Fault | None = None
        self.followers: tuple[Call, ...] = ()
        self.foreign = False
        self._signal: threading.Event | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    @property
    def is_mine(self) -> bool:
        """Whether its turn has come and the thread that claimed it must run it."""
        is_running = self.phase is Phase.RUNNING
        return is_running and self.claimed and not self.taken and not self.hangs

    def signal(self) -> threading.Event:
        """Give an event that is set at the next change of phase."""
        if self._signal is None:
            self._signal = threading.Event()
        self._signal.clear()
        return self._signal

    def notify(self) -> None:
        """Wake who waits for a change."""
        if self._signal is not None:
            self._signal.set()

    def end(
        self,
        phase: Phase,
        at: float,
        output: bytes | None = None,
        problem: Refusal | None = None,
    ) -> None:
        """Record how it ended, once."""
        self.phase = phase
        self.ended_at = at
        self.output = output
        self.problem = problem
        self.payload = b""
        self.notify()


class CallBook:
    """All calls that can still be asked about. Every method needs the cloud's lock.

    What was waited for is remembered briefly, within bounds; a spawned call until ``ttl_s`` after
    its end.
    """

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self._live: dict[str, Call] = {}
        self._kept: OrderedDict[str, Call] = OrderedDict()
        self._recent: OrderedDict[str, Call] = OrderedDict()
        self._recent_bytes = 0
        self._expired: deque[str] = deque(maxlen=_REMEMBERED)
        self._by_key: dict[str, Call] = {}
        self.executions: OrderedDict[str, int] = OrderedDict()

    def new(self, deployment: str, payload: bytes, origin: Origin, at: float, key: str) -> Call:
        """Open a call."""
        call = Call(f"{self._prefix}-{next(self._numbers)}", deployment, payload, origin, at)
        self._live[call.id] = call
        if key:
            call.key = key
            self._by_key[key] = call
        return call

    def adopt(self, call: Call) -> None:
        """Take over a call of an earlier process."""
        (self._kept if call.is_over else self._live)[call.id] = call

    def disown(self, call: Call) -> None:
        """Leave a call to another process."""
        call.foreign = True
        self._live.pop(call.id, None)

    def by_key(self, key: str) -> Call | None:
        """Give the call that was submitted with a key."""
        return self._by_key.get(key) if key else None

    def get(self, call_id: str, now: float) -> Call:
        """Give a call.

        Raises:
            Refusal: It is not known (404), or its result is no longer kept (410).
        """
        self._expire(now)
        found = self._live.get(call_id) or self._kept.get(call_id) or self._recent.get(call_id)
        if found is not None:
            return found
        if call_id in self._expired:
            raise Refusal(410, "expired", f"the result of call {call_id} is no longer kept")
        raise Refusal(404, "not_found", f"there is no call {call_id}")

    def live(self, deployment: str) -> list[Call]:
        """Give the calls of a deployment that have not ended."""
        return [call for call in self._live.values() if call.deployment == deployment]

    def all_live(self) -> list[Call]:
        """Give all calls that have not ended."""
        return list(self._live.values())

    def count_run(self, call: Call) -> None:
        """Note that a run began."""
        call.attempts += 1
        self.executions[call.id] = call.attempts
        if len(self.executions) > _REMEMBERED:
            self.executions.popitem(last=False)

    def close(self, call: Call, now: float) -> None:
        """Move a call that ended to where it belongs."""
        if self._live.pop(call.id, None) is None:
            return
        if call.origin == "spawn":
            self._kept[call.id] = call
            self._expire(now)
            return
        self._recent[call.id] = call
        self._recent_bytes += len(call.output or b"")
        while len(self._recent) > _RECENT_CALLS or self._recent_bytes > _RECENT_BYTES:
            _, dropped = self._recent.popitem(last=False)
            self._recent_bytes -= len(dropped.output or b"")
            self._forget_key(dropped)

    def _expire(self, now: float) -> None:
        while self._kept:
            call = next(iter(self._kept.values()))
            if call.ended_at is None or now <= call.ended_at + self._ttl_s:
                return
            del self._kept[call.id]
            self._expired.append(call.id)
            self._forget_key(call)

    def _forget_key(self, call: Call) -> None:
        if call.key:
            self._by_key.pop(call.key, None)
