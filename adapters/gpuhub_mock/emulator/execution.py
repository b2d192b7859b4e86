"""Runs calls on workers and records how they ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from gpuhub.adapter import Phase
from gpuhub.worker.wire import ERROR
from gpuhub_mock.emulator.batching import merged, split
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.site import Site, WebhookDelivery
from gpuhub_mock.emulator.spawned import document_of
from gpuhub_mock.emulator.workers import WorkerDied

if TYPE_CHECKING:
    from gpuhub_mock.emulator.calls import Call
    from gpuhub_mock.emulator.pool import Pool
    from gpuhub_mock.emulator.workers import Worker

__all__ = ["Execution"]

_ERROR_START = f'{{"{ERROR}"'.encode()
_KILLED = Refusal(500, "worker_died", "the worker died while it ran the call")


class Execution:
    """What happens between a call's turn and its end.

    Args:
        site: What the provider's parts share.
        pool_of: Gives the pool of a deployment, ``None`` once it is deleted.
    """

    def __init__(self, site: Site, pool_of: Callable[[str], Pool | None]) -> None:
        self._site = site
        self._pool_of = pool_of

    def run(self, call: Call) -> None:
        """Run a call whose turn has come, on this thread.

        Raises:
            KeyboardInterrupt: It was interrupted; the call has failed then.
        """
        worker = self._begin(call)
        if worker is None:
            return
        outputs: list[bytes] = []
        problem: Refusal | None = None
        started = time.monotonic()
        try:
            outputs = _invoke(worker, call)
            _die_if_told(call)
        except Refusal as refusal:
            problem = refusal
        except WorkerDied:
            problem = _KILLED
        except Exception as error:  # noqa: BLE001 - a bug here must not look like a lost call
            problem = Refusal(500, "internal", f"{type(error).__name__}: {error}")
        except BaseException:
            self._finish(call, worker, [], Refusal(500, "interrupted", "interrupted"), 0.0)
            raise
        self._finish(call, worker, outputs, problem, time.monotonic() - started)

    def stream(self, call: Call) -> Generator[bytes]:
        """Run a call whose turn has come, and yield its envelopes.

        Raises:
            Refusal: A fault cut it, it ran too long, or the worker died.
        """
        worker = self._begin(call)
        if worker is None:
            raise Refusal(404, "not_found", f"call {call.id} is run elsewhere")
        problem: Refusal | None = Refusal(499, "closed", "the client went away")
        started = time.monotonic()
        try:
            for chunk in worker.runner.stream(call.payload):
                _check_time(started, self._limit_s(call))
                yield chunk
                _die_if_told(call)
            problem = None
        except Refusal as refusal:
            problem = refusal
            raise
        except WorkerDied:
            problem = _KILLED
            raise _KILLED from None
        finally:
            self._end_stream(call, worker, problem)

    def hold(self, call: Call) -> Worker | None:
        """Begin a call that somebody else runs on the worker, such as a web connection."""
        return self._begin(call)

    def let_go(self, call: Call, worker: Worker) -> None:
        """End a call that was held."""
        self._end_stream(call, worker, None)

    def record(self, call: Call) -> None:
        """Write a spawned call for later processes."""
        if call.origin == "spawn" and self._site.store.persists:
            self._site.store.save_call(call.id, document_of(call, self._site.clock.wall()))

    def closed(self, call: Call, now: float) -> None:
        """Tell everybody who keeps account of a call that it ended."""
        self._site.book.close(call, now)
        self.record(call)
        if call.webhook:
            body = {"id": call.id, "status": call.phase.value}
            body["output"] = (call.output or b"").decode("utf-8", "replace")
            self._site.webhooks.append(WebhookDelivery(call.webhook, body))

    def _begin(self, call: Call) -> Worker | None:
        """Count the run; ``None`` when the call ended, or another process runs it."""
        with self._site.lock:
            worker = call.worker
            if call.is_over or worker is None:
                return None
            first = call.origin == "spawn" and call.attempts == 0
            if first and not self._site.store.claim_call(call.id):
                self._give_up(call, worker)
                return None
            began = time.monotonic()
            for each in (call, *call.followers):
                each.began = began
                self._site.book.count_run(each)
                self.record(each)
        return worker

    def _give_up(self, call: Call, worker: Worker) -> None:
        now = self._site.clock.now()
        self._site.book.disown(call)
        call.end(Phase.CANCELLED, now)
        self._release(call, worker, now)

    def _finish(
        self,
        call: Call,
        worker: Worker,
        outputs: list[bytes],
        problem: Refusal | None,
        ran_s: float,
    ) -> None:
        with self._site.lock:
            now = self._site.clock.now()
            is_overdue = ran_s > self._limit_s(call)
            if problem is _KILLED:
                self._bury(call, worker, now)
            members, call.followers = (call, *call.followers), ()
            again = [
                each
                for index, each in enumerate(members)
                if not each.is_over
                and not self._settled(each, outputs, index, problem, now, is_overdue=is_overdue)
            ]
            pool = self._pool_of(call.deployment)
            if pool is not None:
                pool.queue.extendleft(reversed(again))
            self._release(call, worker, now)

    def _settled(
        self,
        call: Call,
        outputs: list[bytes],
        index: int,
        problem: Refusal | None,
        now: float,
        *,
        is_overdue: bool,
    ) -> bool:
        """Record how a run ended, or prepare the call to be run again."""
        output = outputs[index] if problem is None else b""
        has_failed = problem is not None or output.startswith(_ERROR_START)
        if is_overdue:
            call.end(Phase.TIMED_OUT, now)
        elif has_failed and self._may_retry(call, problem):
            call.worker, call.started_at = None, None
            call.phase, call.taken, call.crashes = Phase.QUEUED, False, False
            return False
        elif problem is not None:
            call.end(Phase.FAILED, now, problem=problem)
        elif len(output) > self._site.options.result_limit:
            call.end(Phase.FAILED, now, problem=self._too_large(len(output)))
        else:
            call.end(Phase.SUCCEEDED, now, output)
        self.closed(call, now)
        return True

    def _may_retry(self, call: Call, problem: Refusal | None) -> bool:
        if problem is not None and problem.code == "interrupted":
            return False
        version = call.worker.version if call.worker else None
        return version is not None and call.attempts <= version.body.calls.retries

    def _too_large(self, size: int) -> Refusal:
        limit = self._site.options.result_limit
        return Refusal(413, "too_large", f"the result has {size:,} bytes; the limit is {limit:,}")

    def _end_stream(self, call: Call, worker: Worker, problem: Refusal | None) -> None:
        with self._site.lock:
            now = self._site.clock.now()
            if not call.is_over:
                call.end(_phase_after(problem), now, problem=problem)
                self.closed(call, now)
            if problem is _KILLED:
                self._bury(call, worker, now)
            self._release(call, worker, now)

    def _bury(self, call: Call, worker: Worker, now: float) -> None:
        pool = self._pool_of(call.deployment)
        if pool is not None:
            worker.calls.discard(call)
            pool.fleet.stop(worker, now, "died")

    def _release(self, call: Call, worker: Worker, now: float) -> None:
        pool = self._pool_of(call.deployment)
        if pool is not None:
            pool.release(call, worker, now)

    def _limit_s(self, call: Call) -> float:
        return call.worker.version.body.calls.timeout_s if call.worker else math.inf


def _die_if_told(call: Call) -> None:
    if call.crashes:
        raise WorkerDied(_KILLED.message)


def _check_time(started: float, limit_s: float) -> None:
    if time.monotonic() - started > limit_s:
        raise Refusal(504, "timed_out", f"the stream ran longer than {limit_s:g} s")


def _phase_after(problem: Refusal | None) -> Phase:
    if problem is None:
        return Phase.SUCCEEDED
    return {"closed": Phase.CANCELLED, "timed_out": Phase.TIMED_OUT}.get(problem.code, Phase.FAILED)


def _invoke(worker: Worker, call: Call) -> list[bytes]:
    if worker.version.body.calls.batching is None:
        return [worker.runner.invoke(call.payload)]
    members = (call, *call.followers)
    output = worker.runner.invoke(merged([each.payload for each in members]))
    return split(output, len(members))
