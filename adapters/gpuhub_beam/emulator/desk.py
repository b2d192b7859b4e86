"""Takes tasks, gives them to containers, takes results: the life of the tasks of one stub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub_beam.emulator.callbacks import Notice

if TYPE_CHECKING:
    from gpuhub_beam.emulator.containers import Container
    from gpuhub_beam.emulator.fleet import Fleet
    from gpuhub_beam.emulator.instances import Instance
    from gpuhub_beam.emulator.tasks import Status, Task

__all__ = ["Desk"]

_REQUESTS = ("endpoint", "asgi")
_ALONE = ("function", "schedule")
_REPORT_S = 5.0
"""Real seconds a runner has to report the end of a request before time moves on."""


class Desk:
    """The tasks of one stub. Every method needs the lock.

    Args:
        instance: Whose they are.
        hire: Makes the stub's containers; is told of lost tasks and freed containers.
        told: Called with what a callback is to hear of; real runners do that themselves.
    """

    def __init__(
        self,
        instance: Instance,
        hire: Callable[[Desk], Fleet],
        told: Callable[[Notice], None],
    ) -> None:
        self._instance = instance
        self._site = instance.site
        self._told = told
        self._plays_runner = self._site.options.workers == "stub"
        self._expects_pop = False
        self.fleet = hire(self)

    @property
    def instance(self) -> Instance:
        """Whose desk it is."""
        return self._instance

    # What clients ask for

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._instance.wake()
        self._instance.tasks[task.id] = task
        self._instance.queue.append(task)
        left = max(0.0, task.expires_at - self._site.timeline.wall())
        task.timers["expiry"] = self._site.timeline.after(left, lambda: self.expire(task))
        if self._instance.stub.kind in _ALONE:
            self._run_alone(task)
        else:
            self.go_on()

    def cancel(self, task: Task) -> None:
        """End a task that has not ended: its runner is told, a request's is not."""
        if task.is_over:
            return
        self._interrupt(task, "CANCELLED")

    def expire(self, task: Task) -> None:
        """Give up a task that no container took in time."""
        if task.is_over or task.started_at is not None:
            return
        is_request = self._instance.stub.kind in _REQUESTS
        self._end(task, "TIMEOUT" if is_request else "EXPIRED")
        self.go_on()

    def leave(self, task: Task) -> None:
        """Note that a client is gone whose request no container had taken."""
        if task.container is None and not task.is_over:
            self._end(task, "CANCELLED")
            self.go_on()

    # What runners tell

    def pop(self, container_id: str, pid: int) -> Task | None:
        """Give a queue worker its next task."""
        container = self._instance.containers.get(container_id)
        if container is None:
            return None
        self.fleet.booted(container)
        container.end_return()
        is_ready = container.is_ready(self._site.timeline.now())
        if not (is_ready and self._has_room(container) and self._instance.queue):
            return None
        task = self._instance.queue.popleft()
        task.pid = pid
        self._hand(task, container)
        self.started(task, container)
        self._expect_pop()
        return None if task.crashes or task.hangs else task

    def started(self, task: Task, container: Container) -> bool:
        """Note that a task runs; tell whether it may."""
        if task.is_over:
            return False
        task.container, task.container_id = container, container.id
        task.started_at = self._site.timeline.wall()
        task.status = "RUNNING"
        task.stop_timer("expiry")
        if self._instance.stub.kind not in _REQUESTS:
            self._watch(task)
        if self._instance.stub.kind in _ALONE:
            container.begin_work(task.id)
        task.changed.fire()
        return True

    def completed(
        self, task: Task, status: Status, result: bytes | None, *, told: bytes | None = None
    ) -> str:
        """Take the end of a task from its runner; give the gateway's words about it.

        Args:
            task: Which task.
            status: How it ended.
            result: What is kept of it.
            told: What a callback is told, where that is another.
        """
        container = task.container
        if container is not None and self._instance.stub.kind not in _REQUESTS:
            self.fleet.returning(container)
        self.released(task)
        message = ""
        if status == "RETRY":
            message = self._retry(task)
        elif not task.is_over:
            task.result = result
            self._end(task, status)
            self._tell(task, result if told is None else told)
        elif status == "COMPLETE":
            task.status, task.result = status, result  # it won over the cancel
            task.changed.fire()
        if container is not None and self._plays_runner and self._instance.stub.kind in _ALONE:
            self.fleet.stop(container)
        self.go_on()
        return message

    def released(self, task: Task) -> None:
        """Free what a task holds of its container."""
        container = task.container
        if container is None or container.tasks.pop(task.id, None) is None:
            return
        container.end_work(task.id)
        task.stop_timer("execution")
        if not container.tasks and not container.is_stopped:
            self.fleet.rest(container)

    def await_end(self, task: Task) -> None:
        """Count as at work that a real runner reports the end of a request in a moment."""
        self._site.began()
        task.timers["report"] = self._site.waker.after(_REPORT_S, lambda: self._reported_late(task))
        self.miss(task)

    def lost(self, tasks: list[Task]) -> None:
        """Note that a container is gone under its tasks: they are missed after a while."""
        for task in tasks:
            task.stop_timer("execution")
            task.changed.fire()
            if not task.is_over:
                self.miss(task)
        self._expect_pop()

    def miss(self, task: Task) -> None:
        """Take a task for lost unless it ends before its heartbeat is overdue."""
        options = self._site.options
        silence_s = options.heartbeat_s
        if self._instance.stub.kind in _REQUESTS:
            silence_s /= 2
        due = self._site.timeline.now() + silence_s + options.monitor_s
        task.stop_timer("heartbeat")
        task.timers["heartbeat"] = self._site.timeline.at(due, lambda: self._give_up(task))

    # Between them

    def go_on(self) -> None:
        """Start containers that are wanted, and give waiting tasks to those that have room."""
        self.dispatch()
        self.fleet.scale()
        self.dispatch()
        self._site.note()

    def dispatch(self) -> None:
        """Give waiting tasks to containers that have room."""
        if self._instance.stub.kind not in _REQUESTS:
            self._instance.arrivals.fire()
            self._expect_pop()
            return
        queue = self._instance.queue
        while queue:
            container = self._roomiest()
            if container is None:
                return
            self._hand(queue.popleft(), container)

    def drop_all(self) -> None:
        """Forget all tasks."""
        self._instance.queue.clear()
        self._expect_pop()
        for task in list(self._instance.tasks.values()):
            for name in list(task.timers):
                task.stop_timer(name)
            task.changed.fire()

    def _expect_pop(self) -> None:
        """Count as at work that a worker comes for a waiting task in a moment."""
        now = self._site.timeline.now()
        expects = bool(self._instance.queue) and any(
            each.is_ready(now) and self._has_room(each)
            for each in self._instance.containers.values()
        )
        if expects and not self._expects_pop:
            self._site.began()
        elif self._expects_pop and not expects:
            self._site.ended()
        self._expects_pop = expects

    def _has_room(self, container: Container) -> bool:
        """Whether a queue worker of a container has nothing to do."""
        return len(container.tasks) < max(1, int(self._instance.config["workers"]))

    def _roomiest(self) -> Container | None:
        """The container with room that has the fewest requests, as the gateway sorts them."""
        now, slots = self._site.timeline.now(), self._instance.slots
        having = [
            each
            for each in self._instance.containers.values()
            if each.is_ready(now)
            and len(each.tasks) < slots
            and not any(task.hangs or task.crashes for task in each.tasks.values())
        ]
        return min(having, key=lambda each: len(each.tasks), default=None)

    def _hand(self, task: Task, container: Container) -> None:
        """Put a task on a container."""
        task.container, task.container_id = container, container.id
        container.tasks[task.id] = task
        container.end_idling()
        if task.crashes:
            now = self._site.timeline.now()
            self._site.timeline.at(now, lambda: self._kill(container, task))
        elif not task.hangs:
            container.begin_work(task.id)
        if self._instance.stub.kind in _REQUESTS:
            task.stop_timer("expiry")
            self._watch(task)
        task.changed.fire()

    def _run_alone(self, task: Task) -> None:
        """Start a container for one task of a function."""
        self._instance.queue.remove(task)
        container = self.fleet.start(task)
        task.container, task.container_id = container, container.id
        container.tasks[task.id] = task

    def _kill(self, container: Container, task: Task) -> None:
        if task.id in container.tasks and not container.is_stopped:
            self.fleet.failed(container, 137)

    def _watch(self, task: Task) -> None:
        """End a task that runs too long: by the clock, or in real time where code really runs."""
        config = self._instance.buffer or self._instance.config
        limit_s = float(config["task_policy"]["timeout"])
        task.stop_timer("execution")
        if limit_s <= 0 or task.is_websocket:
            return
        task.timers["execution"] = self._site.at_limit(
            limit_s, lambda: self._time_out(task), is_real=not task.hangs
        )

    def _time_out(self, task: Task) -> None:
        """End a task that ran too long; a request's connection to its container is cut."""
        if self._instance.stub.kind in _REQUESTS:
            task.timers.pop("execution", None)
            task.is_cut = True
            task.changed.fire()
        elif not task.is_over:
            self._interrupt(task, "TIMEOUT")

    def _interrupt(self, task: Task, status: Status) -> None:
        """End a task from outside; its runner's process ends with it, a request's does not."""
        container = task.container
        is_request = self._instance.stub.kind in _REQUESTS
        was_running = container is not None and task.id in container.tasks
        self._end(task, status)
        if container is not None and was_running and not is_request:
            self.released(task)
            if self._instance.stub.kind != "taskqueue":
                self.fleet.stop(container)
            elif not task.hangs and container.machine is not None:
                self.fleet.returning(container)
                container.machine.interrupt(task)
            self._tell(task, None)
        self.go_on()

    def _retry(self, task: Task) -> str:
        most = self._instance.config["task_policy"]["max_retries"]
        if task.is_over:
            return ""
        if task.retries >= most:
            self._end(task, "ERROR")
            return f"Exceeded retry limit of {most} for task <{task.id}>"
        task.retries += 1
        task.status, task.container = "RETRY", None
        task.crashes = task.hangs = False
        task.changed.fire()
        self._instance.queue.append(task)
        return ""

    def _give_up(self, task: Task) -> None:
        """Queue a lost task again, or fail it."""
        task.timers.pop("heartbeat", None)
        if task.is_over:
            return
        if self._instance.stub.kind == "taskqueue":
            self._retry(task)
        else:
            self._end(task, "ERROR")
        self.go_on()

    def _reported_late(self, task: Task) -> None:
        with self._site.change():
            self._stop_awaiting(task)

    def _stop_awaiting(self, task: Task) -> None:
        if "report" in task.timers:
            task.stop_timer("report")
            self._site.ended()

    def _end(self, task: Task, status: Status) -> None:
        self._stop_awaiting(task)
        task.status, task.ended_at = status, self._site.timeline.wall()
        for name in ("expiry", "heartbeat"):
            task.stop_timer(name)
        self._instance.tasks.pop(task.id, None)
        if task in self._instance.queue:
            self._instance.queue.remove(task)
            self._expect_pop()
        task.changed.fire()

    def _tell(self, task: Task, result: bytes | None) -> None:
        """Tell a callback of an end, where no real runner does."""
        if self._plays_runner:
            self._told(Notice.of(task, result, self._instance.config["callback_url"]))
