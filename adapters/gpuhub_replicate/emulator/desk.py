"""Takes predictions, gives them to workers, takes results: the life of those of one pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from gpuhub_replicate.emulator.fleet import Fleet

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.pool import Pool
    from gpuhub_replicate.emulator.predictions import Prediction, State
    from gpuhub_replicate.emulator.workers import Machine, Reports, Worker

__all__ = ["INTERRUPTED", "Desk", "Staff"]

INTERRUPTED = "Prediction interrupted; please retry (code: PA)"
"""Replicate's words for a prediction whose worker died, as users report them."""
_SETUP_FAILED = "Model setup failed"
_TOO_LONG = "Prediction took too long to complete"
_NEVER_STARTED = "Prediction waited too long for a worker"
"""Guesses, these three."""
_OWN_LIMIT = (
    "Prediction failed: Prediction failed: RuntimeError: "
    "gpuhub: the call ran longer than its timeout of {limit_s:g} s"
)
_OWN_LIMIT_NAME = "GPUHUB_TIMEOUT"
"""A prediction that hangs by a fault never reaches its runner: its timer runs here instead."""


@dataclass(frozen=True, slots=True)
class Staff:
    """Whom a desk works with.

    Attributes:
        hire: Makes the machine of a worker, which tells what happens.
        prepare: Gives the input as the worker gets it: links instead of files.
        publish: Gives the output as the API shows it: links instead of data.
        told: Tells a webhook: the prediction and the event.
        ended: Called when one ended, to see to the end of its data.
    """

    hire: Callable[[Worker, Reports], Machine]
    prepare: Callable[[Prediction], dict[str, Any]]
    publish: Callable[[Prediction, Any], Any]
    told: Callable[[Prediction, str], None]
    ended: Callable[[Prediction], None]


class Desk:
    """The predictions of one pool. Every method needs the lock.

    Args:
        pool: Their queue and workers.
        staff: Whom to work with.
    """

    def __init__(self, pool: Pool, staff: Staff) -> None:
        self.pool = pool
        self._site = pool.site
        self._staff = staff
        self.fleet = Fleet(
            pool,
            hire=lambda worker: staff.hire(worker, _Told(self, worker)),
            freed=self.dispatch,
            crashed=self.crashed,
        )

    # What clients ask for

    def submit(self, prediction: Prediction) -> None:
        """Take a prediction."""
        timeline, options = self._site.timeline, self._site.options
        self.pool.used_at = self._now
        prediction.timers["queue"] = timeline.after(
            options.queue_limit_s, lambda: self._give_up(prediction)
        )
        if prediction.deadline is not None:
            prediction.timers["deadline"] = timeline.at(
                prediction.deadline, lambda: self.cut_off(prediction)
            )
        self.pool.queue.append(prediction)
        timeline.after(options.scale_up_s, self.go_on)
        self.go_on()

    def cancel(self, prediction: Prediction) -> None:
        """End one that has not ended."""
        if not prediction.is_over:
            self._break_off(prediction, "canceled")

    def cut_off(self, prediction: Prediction) -> None:
        """End one whose time, by ``Cancel-After``, is over."""
        if not prediction.is_over:
            is_new = prediction.status == "starting"
            self._break_off(prediction, "aborted" if is_new else "canceled")

    def change(self) -> None:
        """Let what new workers run, or their numbers, be different from now on."""
        for prediction in self.pool.queue:
            prediction.version = self.pool.version
        self.fleet.replace()
        self.fleet.review_idleness()
        self.go_on()

    def close(self) -> None:
        """End everything; the pool is gone."""
        self.pool.is_deleted = True
        for prediction in list(self.pool.queue):
            self._break_off(prediction, "canceled", go_on=False)
        for worker in list(self.pool.workers.values()):
            for prediction in list(worker.jobs.values()):
                if not prediction.is_over:
                    self._end(prediction, "canceled")
            self.fleet.stop(worker)

    # What workers tell

    def printed(self, worker: Worker, prediction_id: str, text: str) -> None:
        """Take what a prediction printed."""
        prediction = worker.jobs.get(prediction_id)
        if prediction is None:
            worker.printed += text
        elif not prediction.is_over:
            prediction.logs += text
            self._staff.told(prediction, "logs")
            prediction.changed.fire()

    def item(self, worker: Worker, prediction_id: str, value: Any) -> None:
        """Take one item of an iterator."""
        prediction = worker.jobs.get(prediction_id)
        if prediction is None or prediction.is_over:
            return
        if prediction.output is None:
            prediction.output = []
        prediction.output.append(self._staff.publish(prediction, value))
        prediction.items += 1
        fault = self._site.faults.take("stream item") if prediction.items == 1 else None
        self._staff.told(prediction, "output")
        prediction.changed.fire()
        if fault is not None:
            self.crashed(worker)

    def done(
        self, worker: Worker, prediction_id: str, status: str, output: Any, error: str | None
    ) -> None:
        """Take the end of a prediction."""
        prediction = worker.jobs.get(prediction_id)
        if prediction is None:
            return
        is_iterator = prediction.version.is_iterator
        for value in (output or ()) if is_iterator else ():
            self.item(worker, prediction_id, value)  # a fast worker's come with its end
        if not prediction.is_over:
            if not is_iterator:
                prediction.output = self._staff.publish(prediction, output)
            elif prediction.output is None:
                prediction.output = []
            prediction.error = error
            self._end(prediction, cast("State", status))
        self._leave(prediction)
        self.go_on()

    def crashed(self, worker: Worker) -> None:
        """Note that a worker's code ended by itself."""
        if worker.is_stopped:
            return
        for prediction in list(worker.jobs.values()):
            if not prediction.is_over:
                prediction.error = INTERRUPTED
                self._end(prediction, "failed")
        worker.jobs.clear()
        was_ready = worker.has_booted
        self.fleet.stop(worker)
        if not was_ready:
            self._fail_queue(worker)
        self.go_on()

    def setup_failed(self, worker: Worker, logs: str) -> None:
        """Note that a worker cannot work."""
        worker.printed += logs
        self.fleet.stop(worker)
        self._fail_queue(worker)
        self.go_on()

    # Between them

    def go_on(self) -> None:
        """Do what has become possible."""
        self.dispatch()
        self.fleet.scale()
        self.dispatch()
        self._site.note()

    def dispatch(self) -> None:
        """Give waiting predictions to workers that have room."""
        handed: list[tuple[Worker, Prediction]] = []
        while self.pool.queue:
            worker = self.pool.roomiest()
            if worker is None:
                break
            prediction = self.pool.queue.popleft()
            if self._assign(prediction, worker):
                handed.append((worker, prediction))
        for worker, prediction in handed:
            if worker.machine is not None and not prediction.is_over:
                worker.machine.perform(prediction.id, self._staff.prepare(prediction))

    @property
    def _now(self) -> float:
        return self._site.timeline.now()

    def _assign(self, prediction: Prediction, worker: Worker) -> bool:
        """Put a prediction on a worker; tell whether its code is to run really."""
        prediction.stop_timer("queue")
        prediction.status, prediction.worker = "processing", worker
        prediction.started, prediction.started_at = self._now, self._site.stamp()
        worker.jobs[prediction.id] = prediction
        worker.end_idling()
        self._staff.told(prediction, "start")
        prediction.changed.fire()
        if prediction.crashes:
            self._site.timeline.at(self._now, lambda: self.crashed(worker))
            return False
        if not prediction.hangs:
            worker.begin_work(prediction.id)
        self._watch(prediction)
        return not prediction.hangs

    def _watch(self, prediction: Prediction) -> None:
        """End it when it runs too long: by the clock, or in real time where code really runs."""
        limits: dict[str, tuple[float, Callable[[], None]]] = {
            "run": (self._site.options.run_limit_s, lambda: self._too_long(prediction))
        }
        if prediction.hangs and (own_s := _own_limit_s(prediction)):
            limits["own"] = (own_s, lambda: self._ended_itself(prediction, own_s))
        if prediction.deadline is not None:
            left_s = max(0.0, prediction.deadline - self._now)
            limits["deadline"] = (left_s, lambda: self.cut_off(prediction))
        for name, (seconds, action) in limits.items():
            prediction.stop_timer(name)
            is_real = not prediction.hangs
            prediction.timers[name] = self._site.at_limit(seconds, action, is_real=is_real)

    def _too_long(self, prediction: Prediction) -> None:
        if not prediction.is_over:
            prediction.error = _TOO_LONG
            self._break_off(prediction, "failed")

    def _ended_itself(self, prediction: Prediction, limit_s: float) -> None:
        """Do what gpuhub's runner does at its time limit, in clock time."""
        if not prediction.is_over:
            prediction.error = _OWN_LIMIT.format(limit_s=limit_s)
            self._break_off(prediction, "failed")

    def _give_up(self, prediction: Prediction) -> None:
        if prediction.status == "starting":
            prediction.error = _NEVER_STARTED
            self._break_off(prediction, "failed")

    def _fail_queue(self, worker: Worker) -> None:
        """Fail what waits for workers that do not come up, unless another one did."""
        if any(each.has_booted for each in self.pool.active()):
            return
        for prediction in list(self.pool.queue):
            prediction.error, prediction.logs = _SETUP_FAILED, worker.printed
            self._break_off(prediction, "failed", go_on=False)

    def _break_off(self, prediction: Prediction, status: State, *, go_on: bool = True) -> None:
        if prediction in self.pool.queue:
            self.pool.queue.remove(prediction)
        worker = prediction.worker
        self._end(prediction, status)
        if worker is not None and not worker.is_stopped:
            if prediction.id in worker.at_work and worker.machine is not None:
                worker.machine.cancel(prediction.id)  # its slot is free when the code has stopped
            else:
                self._leave(prediction)
        if go_on:
            self.go_on()

    def _leave(self, prediction: Prediction) -> None:
        worker = prediction.worker
        if worker is None or worker.jobs.pop(prediction.id, None) is None:
            return
        worker.end_work(prediction.id)
        if not worker.jobs and not worker.is_stopped:
            self.fleet.rest(worker)

    def _end(self, prediction: Prediction, status: State) -> None:
        prediction.status, prediction.ended = status, self._now
        prediction.completed_at = self._site.stamp()
        for name in ("queue", "deadline", "run", "own"):
            prediction.stop_timer(name)
        self._staff.ended(prediction)
        self._staff.told(prediction, "completed")
        prediction.changed.fire()


def _own_limit_s(prediction: Prediction) -> float:
    image = prediction.version.image
    return float(image.env.get(_OWN_LIMIT_NAME, "0")) if image is not None else 0.0


class _Told:
    """What the machine of one worker tells, from whichever thread."""

    def __init__(self, desk: Desk, worker: Worker) -> None:
        self._desk = desk
        self._worker = worker

    def booted(self) -> None:
        with self._changing():
            self._desk.fleet.booted(self._worker)

    def setup_failed(self, logs: str) -> None:
        with self._changing():
            if not self._worker.is_stopped:
                self._desk.setup_failed(self._worker, logs)

    def exited(self, code: int) -> None:
        with self._changing():
            self._worker.printed += f"container exited with code {code}\n"
            self._desk.crashed(self._worker)

    def printed(self, prediction_id: str, text: str) -> None:
        with self._changing():
            self._desk.printed(self._worker, prediction_id, text)

    def item(self, prediction_id: str, value: Any) -> None:
        with self._changing():
            self._desk.item(self._worker, prediction_id, value)

    def done(self, prediction_id: str, status: str, output: Any, error: str | None) -> None:
        with self._changing():
            self._desk.done(self._worker, prediction_id, status, output, error)

    def _changing(self) -> Any:
        return self._desk.pool.site.change()
