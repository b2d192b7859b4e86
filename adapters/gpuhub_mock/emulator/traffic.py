"""The mock provider's data plane: calls and streams."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing

from gpuhub.adapter import Phase
from gpuhub.testing.emulator.faults import FaultKind
from gpuhub_mock.emulator.calls import Call, Origin
from gpuhub_mock.emulator.deployments import Deployment, DeploymentBook
from gpuhub_mock.emulator.desk import Desk
from gpuhub_mock.emulator.execution import Execution
from gpuhub_mock.emulator.refusals import AFTER, Refusal, refusal_of
from gpuhub_mock.emulator.site import Site
from gpuhub_mock.emulator.spawned import call_of
from gpuhub_mock.emulator.turns import Turns

__all__ = ["Traffic"]

_PLAYED: frozenset[FaultKind] = frozenset({"crash", "timeout"})
_LOOK_S = 0.05


class Traffic:
    """Requests about calls; safe to use from any thread.

    Args:
        site: What the provider's parts share.
        book: All deployments.
        desk: Where requests arrive.
        execution: Runs calls.
        turns: Waits for them.
    """

    def __init__(
        self, site: Site, book: DeploymentBook, desk: Desk, execution: Execution, turns: Turns
    ) -> None:
        self._site = site
        self._book = book
        self._desk = desk
        self._execution = execution
        self._turns = turns

    def invoke(
        self,
        name: str,
        payload: bytes,
        seconds: float,
        *,
        key: str = "",
        webhook: str | None = None,
    ) -> Call:
        """Accept a call and wait for its end, at most so many clock seconds; 0 spawns it.

        Raises:
            Refusal: It was not accepted; or it was, and a fault lost the answer.
        """
        origin: Origin = "wait" if seconds else "spawn"
        call = self.submit(name, payload, origin, key=key, webhook=webhook)
        if not seconds:
            return call
        try:
            return self.wait(call, seconds)
        except KeyboardInterrupt:
            self.end(call)  # whoever called does not know its id yet
            raise

    def submit(
        self,
        name: str,
        payload: bytes,
        origin: Origin,
        *,
        key: str = "",
        webhook: str | None = None,
    ) -> Call:
        """Accept a call; does not wait for anything.

        Args:
            name: The deployment.
            payload: JSON object of arguments.
            origin: ``wait`` when :meth:`wait` follows at once, ``stream`` when :meth:`read` does,
                ``spawn`` when nobody waits.
            key: A second call with the same key is the same call.
            webhook: URL to tell the end to.

        Raises:
            Refusal: It was not accepted; or it was, and a fault lost the answer.
        """
        operation = "stream" if origin == "stream" else "submit"
        path = f"/v1/deployments/{name}/calls"
        size = len(payload)
        fault = self._desk.arrive(operation, "POST", path, size=size, playing=_PLAYED)
        self._check_size(size, origin)
        with self._site.lock:
            self._book.settle()
            deployment = self._book.get(name)
            keyed = key if self._site.options.idempotency_keys else ""
            known = self._site.book.by_key(keyed)
            if known is not None:
                return known
            now = self._site.clock.now()
            self._check_servable(deployment, origin)
            call = self._site.book.new(name, payload, origin, now, keyed)
            call.webhook = webhook
            if fault is not None:
                call.hangs, call.crashes = fault.kind == "timeout", fault.kind == "crash"
                call.lost = fault if fault.kind in AFTER else None
                if fault.kind == "cold_start":
                    deployment.pool.fleet.next_cold_start_s = fault.delay_s
            call.claimed = self._runs_here(call, deployment)
            if origin == "spawn":
                self._execution.record(call)
            deployment.pool.add(call, now)
        if origin == "spawn":
            self._lose(call)
        return call

    def poll(self, call_id: str, seconds: float) -> Call:
        """Give a call, at its end or after so many clock seconds.

        Raises:
            Refusal: It is unknown (404) or no longer kept (410), or a fault lost the answer.
        """
        fault = self._desk.arrive("poll", "GET", f"/v1/calls/{call_id}")
        with self._site.lock:
            self._book.settle()
            call = self._known(call_id)
        if fault is not None and fault.kind in AFTER:
            raise refusal_of(fault)
        return self.wait(call, seconds) if seconds and not call.is_over else call

    def wait(self, call: Call, seconds: float) -> Call:
        """Wait for the end of a call, at most so many clock seconds; may run it on this thread.

        Raises:
            Refusal: A fault lost the answer.
        """
        until = self._site.clock.now() + seconds
        try:
            while self._turns.is_mine(call, until):
                self._execution.run(call)
        finally:
            self._turns.leave(call)
        if call.foreign:
            return self._wait_elsewhere(call.id, until)
        self._lose(call)
        return call

    def read(self, call: Call, seconds: float | None = None) -> Iterator[bytes]:
        """Run a streamed call on this thread and yield its envelopes.

        Args:
            call: From :meth:`submit`.
            seconds: Clock seconds until the caller gives up; ``None``: never.

        Raises:
            Refusal: A fault cut it, it ran too long, or it never started.
        """
        until = math.inf if seconds is None else self._site.clock.now() + seconds
        try:
            if not self._turns.is_mine(call, until):
                raise call.problem or _ended(call)
            fault, call.lost = call.lost, None
            if fault is not None and fault.kind == "malformed":
                deque(self._execution.stream(call), maxlen=0)
                yield b"<html><body>502 Bad Gateway</body></html>"
                return
            with closing(self._execution.stream(call)) as chunks:
                for chunk in chunks:
                    yield chunk
                    if fault is not None:
                        raise refusal_of(fault)
                    if self._site.clock.now() > until:
                        raise _ended(call)
        finally:
            self.abandon(call)

    def abandon(self, call: Call) -> None:
        """End a call that its caller will not read any more."""
        with self._site.lock:
            if not call.taken:
                self.end(call)

    def cancel(self, call_id: str) -> bool:
        """Cancel a call; gives whether its code has certainly stopped.

        Raises:
            Refusal: It is unknown (404), or another process runs it (409).
        """
        self._desk.arrive("cancel", "POST", f"/v1/calls/{call_id}/cancel")
        with self._site.lock:
            self._book.settle()
            call = self._known(call_id)
            if call.foreign:
                raise Refusal(409, "conflict", f"call {call_id} runs in another process")
            return self.end(call)

    def end(self, call: Call) -> bool:
        """Cancel a call, whoever runs it; gives whether its code has certainly stopped."""
        with self._site.lock:
            if call.is_over:
                return True
            pool = self._book.get(call.deployment).pool
            return pool.cancel(call, self._site.clock.now())

    def run_scheduled(self, deployment: Deployment) -> None:
        """Make a scheduled call; needs the lock."""
        now = self._site.clock.now()
        call = self._site.book.new(deployment.name, b"{}", "schedule", now, "")
        deployment.pool.add(call, now)

    def _runs_here(self, call: Call, deployment: Deployment) -> bool:
        """Whether the thread that waits for a call is to run it."""
        if call.origin in ("stream", "web"):
            return True
        version = deployment.current
        is_batched = version is not None and version.body.calls.batching is not None
        return call.origin == "wait" and self._site.options.mode == "inline" and not is_batched

    def _check_size(self, size: int, origin: Origin) -> None:
        options = self._site.options
        limit = options.spawn_payload_limit if origin == "spawn" else options.payload_limit
        if size > limit:
            raise Refusal(413, "too_large", f"the body has {size:,} bytes; the limit is {limit:,}")

    def _check_servable(self, deployment: Deployment, origin: Origin) -> None:
        if self._site.is_shut:  # nothing would ever run it
            raise Refusal(503, "shut_down", "the provider was shut down")
        pool = deployment.pool
        version = pool.version or pool.rollouts.pending
        if version is None:
            raise Refusal(409, "conflict", f"no version of {deployment.name!r} can serve")
        if (version.target.kind == "web") is not (origin == "web"):
            raise Refusal(
                400, "bad_request", f"{deployment.name!r} is a web application: use its URL"
            )
        if not pool.workers:
            pool.fleet.free_gpu(version)

    def _lose(self, call: Call) -> None:
        """Lose the answer to a submit, once, if a fault says so."""
        if call.lost is not None:
            fault, call.lost = call.lost, None
            raise refusal_of(fault)

    def _known(self, call_id: str) -> Call:
        now = self._site.clock.now()
        try:
            return self._site.book.get(call_id, now)
        except Refusal as refusal:
            document = self._site.store.load_call(call_id) if refusal.status == 404 else None
            if document is None:
                raise
        kept_until = document["at"] + self._site.options.result_ttl_s
        call = call_of(document, now)
        if call.is_over and self._site.clock.wall() > kept_until:
            self._site.store.drop_call(call_id)
            raise Refusal(410, "expired", f"the result of call {call_id} is no longer kept")
        if call.is_over or call.phase is Phase.RUNNING or self._site.store.is_claimed(call_id):
            call.foreign = not call.is_over
            return call
        deployment = self._book.find(call.deployment)
        if deployment is None:
            self._site.store.drop_call(call_id)
            raise Refusal(404, "not_found", f"the deployment of call {call_id} was deleted")
        self._site.book.adopt(call)
        deployment.pool.add(call, now)
        return call

    def _wait_elsewhere(self, call_id: str, until: float) -> Call:
        """Wait for a call that another process runs: look at what it writes."""
        pause = threading.Event()
        while True:
            with self._site.lock:
                call = self._known(call_id)
            if call.is_over or self._site.clock.now() >= until:
                return call
            pause.wait(_LOOK_S)
            if self._site.is_virtual:
                self._site.clock.sleep(_LOOK_S)


def _ended(call: Call) -> Refusal:
    if call.phase is Phase.CANCELLED:
        return Refusal(409, "cancelled", f"call {call.id} was cancelled")
    return Refusal(504, "timed_out", f"call {call.id} ran out of time")
