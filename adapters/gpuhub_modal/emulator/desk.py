"""Takes inputs, gives them to containers, takes outputs: the life of a function's calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.calls import Call, Input, State

if TYPE_CHECKING:
    from gpuhub_modal.emulator.containers import Container
    from gpuhub_modal.emulator.fleet import Fleet
    from gpuhub_modal.emulator.functions import Function

__all__ = ["Desk"]

_TIMED_OUT = "Task's current input in {id} hit its timeout of {limit:g}s"
_CANCELLED = "Function call was cancelled"
_LOST = "The container running this input died {losses} times"


class Desk:
    """The calls of one function. Every method needs the lock.

    Args:
        function: Whose they are.
        hire: Makes the function's containers; is told of those that die or are free.
    """

    def __init__(self, function: Function, hire: Callable[[Desk], Fleet]) -> None:
        self._function = function
        self._site = function.site
        self.fleet = hire(self)

    # What clients ask for

    def submit(self, entry: Input) -> None:
        """Take an input."""
        entry.call.inputs[entry.idx] = entry
        self._enqueue(entry)

    def repeat(self, entry: Input, retry_count: int) -> None:
        """Queue an input again that failed, as a client asks that repeats it itself."""
        if not entry.is_over:
            return
        entry.retry_count = retry_count
        entry.output = None
        self._enqueue(entry)

    def cancel(self, call: Call, *, kill: bool) -> None:
        """End all inputs of a call that have not ended.

        Args:
            call: Which one.
            kill: Whether containers that run them are to be stopped.
        """
        call.is_cancelled = True
        for entry in list(call.inputs.values()):
            if not entry.is_over:
                container = entry.container
                self._break_off(entry, self.result("TERMINATED", _CANCELLED))
                if kill and container is not None:
                    self._lose_container(container)
        self._go_on()

    # What containers tell

    def accept_output(self, container: Container, entry: Input, sent: Any) -> None:
        """Take the output of an input: Modal's ``FunctionPutOutputsItem``."""
        container.log.collect()
        if entry.container is not container:
            self._let_go(container, entry)  # cancelled, or given to another meanwhile
            return
        self.fleet.returning(container)
        self._leave_container(entry)
        self._end(entry, sent.result, sent.data_format, sent.input_started_at)
        self._go_on()

    def asked(self, container: Container) -> None:
        """Note that a container wants inputs."""
        container.end_return()
        self.fleet.booted(container)
        self._go_on()

    def died(self, container: Container, code: int) -> None:
        """Note that a container's code ended by itself."""
        function = self._function
        container.log.say(f"container exited with code {code}")
        failed_to_start = not container.has_booted
        self._lose_container(container)
        if failed_to_start:
            function.failures += 1
            if function.failures >= self._site.options.crash_limit:
                self._fail_queue(container)
        self._go_on()

    def lose(self, container: Container) -> None:
        """Stop a container at once; what it ran is queued again."""
        self._lose_container(container)
        self._go_on()

    # Between them

    def dispatch(self) -> None:
        """Give waiting inputs to containers that ask for some."""
        function = self._function
        while function.queue:
            container = self._roomiest()
            if container is None or container.taker is None:
                return
            taker = container.taker
            entries = self._batch(taker.size)
            if taker.linger_s and len(entries) < taker.size and self._lingers(taker.linger_s):
                return
            for entry in entries:
                function.queue.remove(entry)
                self._assign(entry, container)
            real = [each for each in entries if not (each.hangs or each.crashes)]
            if real:
                container.taker = None
                self._site.waker.wake_with(taker.future, real)

    def refresh(self) -> None:
        """Look again: another definition serves, or other limits are in force."""
        self._go_on()

    def drop_all(self) -> None:
        """End every input and container; the app is stopped."""
        for call in self._function.calls.values():
            for entry in list(call.inputs.values()):
                if not entry.is_over:
                    self._break_off(entry, self.result("TERMINATED", "App was stopped"))
        for container in list(self._function.containers.values()):
            self.fleet.stop(container, at_once=True)

    def result(self, status: str, words: str) -> Any:
        """Make Modal's ``GenericResult`` of something the platform ended."""
        pb = self._site.pb
        number = pb.GenericResult.GenericStatus.Value(f"GENERIC_STATUS_{status}")
        return pb.GenericResult(status=number, exception=words)

    def _enqueue(self, entry: Input, *, first: bool = False) -> None:
        entry.state, entry.container, entry.queued_at = State.QUEUED, None, self._site.now
        entry.stop_timer()
        if first:
            self._function.queue.appendleft(entry)
        else:
            self._function.queue.append(entry)
        self._go_on()

    def _go_on(self) -> None:
        self.dispatch()
        self.fleet.scale()
        self.dispatch()
        self._site.note()

    def _roomiest(self) -> Container | None:
        now, limits = self._site.now, self._function.limits
        for most in sorted({limits.target, limits.most}):
            having = [
                each for each in self._function.containers.values() if each.room(now, most) > 0
            ]
            if having:
                return min(having, key=lambda each: len(each.inputs))
        return None

    def _batch(self, size: int) -> list[Input]:
        """The next inputs that may run together: of one method of a class."""
        head = self._function.queue[0]
        method = head.sent.method_name
        same = [each for each in self._function.queue if each.sent.method_name == method]
        return same[:size]

    def _lingers(self, linger_s: float) -> bool:
        """Whether a batch that is not full waits on."""
        due = self._function.queue[0].queued_at + linger_s
        if self._site.now >= due:
            return False
        self._site.timeline.at(due, self._go_on)
        return True

    def _assign(self, entry: Input, container: Container) -> None:
        entry.state, entry.container, entry.task_id = State.RUNNING, container, container.id
        entry.started_at = self._site.now
        container.inputs[entry.id] = entry
        container.taken += 1
        container.end_idling()
        entry.call.changed.fire()
        if entry.crashes:
            entry.crashes -= 1
            self._site.timeline.at(self._site.now, lambda: self._kill(container, entry))
            return
        if not entry.hangs:
            container.begin_work(entry.id)
        self._watch(entry)

    def _watch(self, entry: Input) -> None:
        """End an input that runs too long: by the clock, or in real time where code really runs."""
        limit_s = self._function.limits.timeout_s
        entry.timer = self._site.at_limit(
            limit_s, lambda: self._time_out(entry, limit_s), is_real=not entry.hangs
        )

    def _time_out(self, entry: Input, limit_s: float) -> None:
        """End an input that ran too long; a container that runs nothing else goes with it."""
        container = entry.container
        if entry.is_over or container is None:
            return
        self._break_off(
            entry, self.result("TIMEOUT", _TIMED_OUT.format(id=entry.id, limit=limit_s))
        )
        if not container.inputs:
            self.fleet.stop(container, at_once=True)
        self._go_on()

    def _kill(self, container: Container, entry: Input) -> None:
        if entry.container is container and not container.is_stopped:
            self.died(container, 137)

    def _lose_container(self, container: Container) -> None:
        """Stop a container; what it ran is queued again, as often as may be."""
        entries = list(container.inputs.values())
        for entry in entries:
            self._leave_container(entry, rest=False)
        self.fleet.stop(container, at_once=True)
        for entry in entries:
            self._lose(entry)

    def _lose(self, entry: Input) -> None:
        entry.losses += 1
        if entry.losses >= self._site.options.crash_limit:
            words = _LOST.format(losses=entry.losses)
            self._end(entry, self.result("FAILURE", words))
        else:
            self._enqueue(entry, first=True)

    def _fail_queue(self, container: Container) -> None:
        """Fail what waits: containers do not come up."""
        words = "The container of this function failed to start"
        result = container.failure or self.result("INIT_FAILURE", words)
        for entry in list(self._function.queue):
            self._function.queue.remove(entry)
            self._end(entry, result)

    def _break_off(self, entry: Input, result: Any) -> None:
        container = entry.container
        if entry.state is State.QUEUED:
            self._function.queue.remove(entry)
        elif container is not None and entry.id in container.at_work:
            self._call_off(entry, container)
        elif container is not None:
            self._leave_container(entry)
        self._end(entry, result)

    def _call_off(self, entry: Input, container: Container) -> None:
        """Tell a container to end an input; it is at work until it has told of that."""
        entry.container = None
        entry.stop_timer()
        container.inputs.pop(entry.id, None)
        container.to_cancel.append(entry.id)
        container.cancelled.fire()

        def insist() -> None:
            with self._site.change():
                if entry.id in container.at_work and not container.is_stopped:
                    self._lose_container(container)
                    self._go_on()

        self._site.waker.after(self._site.options.grace_s, insist)

    def _let_go(self, container: Container, entry: Input) -> None:
        """Note that a container has ended an input that was broken off."""
        if entry.id in container.at_work:
            self.fleet.returning(container)
            container.end_work(entry.id)
            if not container.inputs and not container.is_stopped:
                self.fleet.rest(container)
            self._go_on()

    def _leave_container(self, entry: Input, *, rest: bool = True) -> None:
        container = entry.container
        entry.stop_timer()
        entry.container = None
        if container is None or container.inputs.pop(entry.id, None) is None:
            return
        container.end_work(entry.id)
        if rest and not container.inputs and not container.is_stopped:
            self.fleet.rest(container)

    def _end(
        self, entry: Input, result: Any, data_format: int = 0, started_at: float = 0.0
    ) -> None:
        entry.stop_timer()
        if self._repeats(entry, result):
            return
        entry.state = State.OVER
        entry.output = self._site.pb.FunctionGetOutputsItem(
            result=result,
            idx=entry.idx,
            input_id=entry.id,
            data_format=data_format,
            task_id=entry.task_id,
            input_started_at=started_at,
            output_created_at=self._site.wall,
            retry_count=entry.retry_count,
        )
        call = entry.call
        call.outputs.append((entry, entry.output))
        if call.is_over:
            kept_s = self._site.options.result_kept_s
            self._site.timeline.after(kept_s, lambda: self._forget(call))
        call.changed.fire()
        self._site.note()

    def _repeats(self, entry: Input, result: Any) -> bool:
        """Have a failed input of a spawned call run again, as its function says."""
        definition, pb = self._function.definition, self._site.pb
        is_waited = entry.call.kind in self._site.wire.waited_kinds
        if definition is None or is_waited or entry.call.is_cancelled:
            return False
        statuses = pb.GenericResult
        repeatable = (statuses.GENERIC_STATUS_FAILURE, statuses.GENERIC_STATUS_TIMEOUT)
        policy = definition.sent.retry_policy
        if result.status not in repeatable or entry.retry_count >= policy.retries:
            return False
        delay_ms = policy.initial_delay_ms * (policy.backoff_coefficient or 1) ** entry.retry_count
        entry.retry_count += 1
        entry.state, entry.container = State.WAITING, None
        delay_s = min(delay_ms, policy.max_delay_ms or delay_ms) / 1000
        entry.timer = self._site.timeline.after(delay_s, lambda: self._enqueue(entry))
        return True

    def _forget(self, call: Call) -> None:
        """Forget the results of a call; it is still known."""
        if call.is_over:
            call.is_expired = True
            call.outputs.clear()
            call.chunks.clear()
            call.changed.fire()
