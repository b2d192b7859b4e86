"""Takes jobs, gives them to workers, takes results: the life of the jobs of one endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub_runpod.emulator.problems import Problem, missing

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.fleet import Fleet
    from gpuhub_runpod.emulator.jobs import Job, State
    from gpuhub_runpod.emulator.workers import Worker

__all__ = ["Desk"]

_DIED = "job timed out after {attempts} retries"
"""RunPod's words for a job whose worker no longer answers, as users report them."""


class Desk:
    """The jobs of one endpoint. Every method needs the lock.

    Args:
        endpoint: Whose they are.
        hire: Makes the endpoint's workers; is told of crashes and freed workers.
        told: Called with a job that ended and has a webhook.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        hire: Callable[[Desk], Fleet],
        told: Callable[[Job], None],
    ) -> None:
        self._endpoint = endpoint
        self._site = endpoint.site
        self._told = told
        self.fleet = hire(self)

    # What clients ask for

    def submit(self, job: Job, ttl_s: float) -> None:
        """Take a job."""
        self._endpoint.jobs[job.id] = job
        self._endpoint.asked_at = self._now
        job.timers["ttl"] = self._site.timeline.after(ttl_s, lambda: self._expire(job))
        self._enqueue(job)

    def job(self, job_id: str) -> Job:
        """Give a job.

        Raises:
            Problem: 404, it is unknown, no longer kept, or too young to be found.
        """
        job = self._endpoint.jobs.get(job_id)
        if job is None or self._now < job.submitted_at + self._site.options.lookup_delay_s:
            raise missing(f"job {job_id}")
        return job

    def cancel(self, job: Job) -> None:
        """End a job that has not ended."""
        if not job.is_over:
            self._break_off(job, "CANCELLED")

    def retry(self, job: Job) -> None:
        """Queue a failed job again, under its id.

        Raises:
            Problem: 400, it neither failed nor timed out.
        """
        if job.state not in ("FAILED", "TIMED_OUT"):
            raise Problem(
                400, f"job {job.id} is {job.state}: only FAILED and TIMED_OUT are retried"
            )
        job.stop_timer("kept")
        job.error, job.output, job.has_output = None, None, False
        job.started_at = job.ended_at = None
        job.crashes = job.hangs = False
        job.stream.clear()
        job.streamed = 0
        self._endpoint.ended["retried"] += 1
        self._enqueue(job)

    def purge(self) -> int:
        """Drop all jobs that wait; give their number."""
        waiting = list(self._endpoint.queue)
        for job in waiting:
            self._break_off(job, "CANCELLED")
        return len(waiting)

    # What workers tell

    def accept_result(self, worker: Worker, job: Job, result: dict[str, Any]) -> None:
        """Take the result of a job, or news of its progress."""
        if job.is_over or job.worker is not worker:
            return  # cancelled or given to another meanwhile: RunPod drops such results
        if result.get("status") == "IN_PROGRESS":
            job.output, job.has_output = result.get("output"), True
            job.changed.fire()
            return
        worker.crashes = 0
        if "error" in result and result["error"] is not None:
            error = result["error"]
            job.error = error if isinstance(error, str) else str(error)
        job.has_output = "output" in result
        job.output = result.get("output")
        self.fleet.returning(worker)
        self._leave_worker(job)
        self._end(job, "FAILED" if job.error is not None else "COMPLETED")
        if result.get("stopPod"):
            self.fleet.retire(worker)
        self._go_on()

    def accept_item(self, job: Job, item: Any) -> None:
        """Take one item of a stream."""
        if not job.is_over:
            job.stream.append(item)
            job.streamed += 1
            job.changed.fire()

    def crashed(self, worker: Worker, code: int) -> None:
        """Note that a worker's code ended by itself."""
        worker.log.say(f"container exited with code {code}")
        worker.crashes += 1
        self.fleet.unboot(worker)
        for job in list(worker.jobs.values()):
            self._lose(job)
        self.fleet.restart(worker)
        self._go_on()

    # Between them

    def dispatch(self) -> None:
        """Give waiting jobs to workers that have room."""
        endpoint = self._endpoint
        handed: dict[str, list[Job]] = {}
        while endpoint.queue:
            worker = self._roomiest()
            if worker is None:
                break
            job = endpoint.queue.popleft()
            if self._assign(job, worker):
                handed.setdefault(worker.id, []).append(job)
        for worker_id, jobs in handed.items():
            self._hand_over(endpoint.workers[worker_id], jobs)

    def drop_all(self) -> None:
        """Cancel every job; the endpoint is deleted."""
        for job in list(self._endpoint.jobs.values()):
            if not job.is_over:
                self._break_off(job, "CANCELLED", go_on=False)

    @property
    def _now(self) -> float:
        return self._site.timeline.now()

    def _enqueue(self, job: Job, *, first: bool = False) -> None:
        job.state, job.worker, job.queued_at = "IN_QUEUE", None, self._now
        if first:
            self._endpoint.queue.appendleft(job)
        else:
            self._endpoint.queue.append(job)
        scaling = self._endpoint.config["scaling"]
        if scaling["type"] == "QUEUE_DELAY":
            timer = self._site.timeline.after(scaling["queueDelay"], self._go_on)
            job.timers["delay"] = timer
        self._go_on()

    def _go_on(self) -> None:
        self.dispatch()
        self.fleet.scale()
        self.dispatch()
        self._site.note()

    def _roomiest(self) -> Worker | None:
        """The worker with room that has the fewest jobs: the queue is shared evenly (a guess)."""
        now = self._now
        having = [each for each in self._endpoint.workers.values() if each.room(now) > 0]
        return min(having, key=lambda each: len(each.jobs), default=None)

    def _assign(self, job: Job, worker: Worker) -> bool:
        """Put a job on a worker; tell whether its code is to run really."""
        job.stop_timer("delay")
        job.state, job.worker, job.worker_id = "IN_PROGRESS", worker, worker.id
        job.started_at = self._now
        job.attempts += 1
        worker.jobs[job.id] = job
        worker.end_idling()
        job.changed.fire()
        if job.crashes:
            self._site.timeline.at(self._now, lambda: self._kill(worker, job))
            return False
        if not job.hangs:
            worker.begin_work(job.id)
        self._watch(job)
        return self._reserve(worker, job)

    def _reserve(self, worker: Worker, job: Job) -> bool:
        if job.hangs:
            return False
        for taker in worker.takers:
            if len(taker.jobs) < taker.size:
                taker.jobs.append(job)
                break
        return True

    def _hand_over(self, worker: Worker, jobs: list[Job]) -> None:
        if worker.machine is None:
            return
        if worker.machine.at_once:
            worker.machine.perform(jobs)
            return
        for taker in [each for each in worker.takers if each.jobs]:
            worker.takers.remove(taker)
            taker.size = len(taker.jobs)
            self._site.waker.wake_with(taker.future, taker.jobs)

    def _watch(self, job: Job) -> None:
        """End a job that runs too long: by the clock, or in real time where code really runs."""
        job.timers["execution"] = self._site.at_limit(
            job.execution_timeout_s, lambda: self.time_out(job), is_real=not job.hangs
        )

    def time_out(self, job: Job) -> None:
        """End a job that ran too long."""
        if not job.is_over:
            job.error = f"executionTimeout exceeded: {job.execution_timeout_s:g} s"
            self._break_off(job, "TIMED_OUT")

    def _kill(self, worker: Worker, job: Job) -> None:
        if job.worker is worker and not worker.is_stopped:
            self.crashed(worker, 137)

    def _lose(self, job: Job) -> None:
        """Queue a job again, or fail it, whose worker is gone."""
        self._leave_worker(job, rest=False)
        may_repeat = job.attempts <= self._site.options.retries_after_crash and not job.streamed
        if may_repeat:
            self._endpoint.ended["retried"] += 1
            job.stop_timer("execution")
            self._enqueue(job, first=True)
        else:
            job.error = _DIED.format(attempts=job.attempts)
            self._end(job, "FAILED")

    def _break_off(self, job: Job, state: State, *, go_on: bool = True) -> None:
        worker = job.worker
        if job.state == "IN_QUEUE":
            self._endpoint.queue.remove(job)
        elif worker is not None:
            was_real = job.id in worker.at_work
            self._leave_worker(job)
            if was_real and not worker.is_stopped:
                self.fleet.returning(worker)
                worker.to_stop.append(job.id)
                worker.stop_signal.fire()
        self._end(job, state)
        if go_on:
            self._go_on()

    def _leave_worker(self, job: Job, *, rest: bool = True) -> None:
        worker = job.worker
        if worker is None or worker.jobs.pop(job.id, None) is None:
            return
        worker.end_work(job.id)
        if rest and not worker.jobs and not worker.is_stopped:
            self.fleet.rest(worker)

    def _end(self, job: Job, state: State) -> None:
        job.state, job.ended_at = state, self._now
        job.document = {"input": job.document.get("input")}
        for name in ("execution", "delay"):
            job.stop_timer(name)
        self._endpoint.ended[state] += 1
        job.timers["kept"] = self._site.timeline.after(job.kept_s, lambda: self._forget(job))
        job.changed.fire()
        if job.webhook:
            self._told(job)

    def _expire(self, job: Job) -> None:
        """The end of a job's time to live, wherever it is: it is deleted."""
        if not job.is_over:
            self._break_off(job, "CANCELLED")
        self._forget(job)

    def _forget(self, job: Job) -> None:
        job.stop_timer("kept")
        job.stop_timer("ttl")
        self._endpoint.jobs.pop(job.id, None)
        job.changed.fire()
