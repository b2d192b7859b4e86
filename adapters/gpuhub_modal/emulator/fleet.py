"""Starts and stops the containers of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.workers import cold_start_after
from gpuhub_modal.emulator.containers import Container, Machine

if TYPE_CHECKING:
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.placement import Placement

__all__ = ["Fleet"]


class Fleet:
    """The containers of one function. Every method needs the lock.

    Args:
        function: Whose they are.
        placement: Finds a card and makes machines.
        died: Told of a container whose code ended by itself, with the exit code.
        freed: Told that some container may take inputs now.
    """

    def __init__(
        self,
        function: Function,
        placement: Placement,
        *,
        died: Callable[[Container, int], None],
        freed: Callable[[], None],
    ) -> None:
        self._function = function
        self._site = function.site
        self._placement = placement
        self._died = died
        self._freed = freed

    def scale(self) -> None:
        """Have as many containers as there should be; surplus ones only above the maximum."""
        function = self._function
        if function.is_stopped or function.definition is None:
            return
        active = self._active()
        for _ in range(self._desired() - len(active)):
            self.start()
        most = function.limits.max_containers
        if most is not None and len(active) > most:
            by_need = sorted(active, key=lambda each: (len(each.inputs), each.is_ready(self._now)))
            for container in by_need[: len(active) - most]:
                self.retire(container)

    def start(self) -> Container | None:
        """Start one container, or have it wait for a card."""
        if self._function.definition is None:
            return None
        fault = self._site.faults.take("start")
        kind = None if fault is None else fault.kind
        cold_start_s = cold_start_after(fault, self._site.options.cold_start_s)
        container = self._placement.new_container(self._function, self._now + cold_start_s)
        self._function.containers[container.id] = container
        if fault is not None and kind == "capacity":
            self._wait_for_card(container, fault.delay_s)
        elif self._place(container) and kind == "crash":
            self._site.timeline.at(self._now, lambda: self._exit(container, None, 1))
        return container

    def booted(self, container: Container) -> None:
        """Note that a container's code asked for inputs."""
        if container.has_booted:
            return
        container.has_booted = True
        self._function.failures = 0
        container.end_boot()
        due = max(self._now, container.ready_at)
        self._site.timeline.at(due, lambda: self._ready(container))

    def returning(self, container: Container) -> None:
        """Note that a container sent an output: until it asks again, it is at work."""
        is_last = container.definition.sent.single_use_containers
        if container.taker is None and not is_last:
            container.begin_return()

    def rest(self, container: Container, since: float | None = None) -> None:
        """Note that a container has no input any more, since a moment; ``None``: now."""
        container.idle_since = self._now if since is None else since
        is_last = container.definition.sent.single_use_containers and container.taken
        if container.is_draining or is_last:
            self.stop(container)
        elif container.idle_timer is None:
            self._watch_idleness(container)

    def retire(self, container: Container) -> None:
        """Stop a container: now, or after its last input."""
        if container.inputs and container.machine is not None:
            container.is_draining = True
        else:
            self.stop(container)

    def stop(self, container: Container, *, at_once: bool = False) -> None:
        """Stop a container, whatever it does.

        Args:
            container: Which one.
            at_once: Kill it. Else it may run its exit handlers first.
        """
        if container.is_stopped:
            return
        container.is_stopped = True
        container.end_all()
        self._function.containers.pop(container.id, None)
        self._site.meter.stop(container.id, self._now)
        self._placement.end(container, at_once=at_once or container.taker is None)
        self._site.note()

    def replace(self) -> None:
        """Let a new version take over: idle containers at once, busy ones after their inputs."""
        for container in list(self._function.containers.values()):
            if container.definition is not self._function.definition:
                self.retire(container)

    def review_idleness(self) -> None:
        """Apply changed limits to containers that are idle already."""
        for container in list(self._function.containers.values()):
            container.end_idling()
            if not container.inputs and container.has_booted:
                self._watch_idleness(container)

    def look_for_cards(self) -> None:
        """Place containers that wait for a card, now that there may be some."""
        for container in list(self._function.containers.values()):
            if container.is_waiting:
                container.ready_at = self._now + self._site.options.cold_start_s
                self._place(container)

    @property
    def _now(self) -> float:
        return self._site.now

    def _active(self) -> list[Container]:
        return [each for each in self._function.containers.values() if not each.is_draining]

    def _desired(self) -> int:
        """Containers for the load: enough for all inputs, and the buffer while there are some."""
        function = self._function
        limits = function.limits
        load = len(function.queue) + sum(len(each.inputs) for each in self._active())
        wanted = -(-load // (limits.target * max(1, limits.batch_size)))
        if load:
            wanted += limits.buffer_containers
        wanted = max(limits.min_containers, wanted)
        return wanted if limits.max_containers is None else min(limits.max_containers, wanted)

    def _place(self, container: Container) -> bool:
        """Give a container a card and start it; without one it waits."""
        if not self._placement.find_card(container):
            self._wait_for_card(container, 0)
            return False
        container.is_waiting = False
        container.started_at = container.idle_since = self._now
        self._site.meter.start(container.id, self._now)
        self._boot(container)
        return True

    def _wait_for_card(self, container: Container, seconds: float) -> None:
        container.is_waiting = True
        container.log.say("waiting for a machine: none with such a card is free")
        if seconds:
            self._site.timeline.after(seconds, self.look_for_cards)

    def _boot(self, container: Container) -> None:
        container.begin_boot()
        limit_s = self._function.limits.startup_s
        self._watch_boot(container, limit_s)
        container.machine = self._placement.machine(
            container, lambda machine, code: self._exited(container, machine, code)
        )
        container.machine.start()

    def _watch_boot(self, container: Container, limit_s: float) -> None:
        """End a start that takes too long: the played part by the clock, the code really."""

        def late() -> None:
            with self._site.change():
                if container.is_booting:
                    container.log.say(f"the container did not start within {limit_s:g} s")
                    self._exit(container, None, 124)

        played_s = container.ready_at - self._now
        if not self._site.is_virtual:
            container.boot_timer = self._site.timeline.after(limit_s + played_s, late)
        else:
            container.boot_timer = self._site.waker.after(limit_s, late)

    def _exited(self, container: Container, machine: Machine, code: int) -> None:
        """Called by a machine's own thread."""
        with self._site.change():
            self._exit(container, machine, code)

    def _exit(self, container: Container, machine: Machine | None, code: int) -> None:
        is_current = machine is None or container.machine is machine
        if is_current and not container.is_stopped:
            self._died(container, code)

    def _ready(self, container: Container) -> None:
        if not container.is_stopped and not container.inputs:
            # On a virtual clock the process may come up long after the moment it is played to.
            self.rest(container, container.ready_at)
        self._freed()
        self._site.note()

    def _watch_idleness(self, container: Container) -> None:
        idle_s = self._function.limits.scaledown_s
        due = container.idle_since + idle_s
        if due <= self._now:
            due = self._now + (idle_s if self._function.queue else 0)
        container.idle_timer = self._site.timeline.at(due, lambda: self._idle_out(container))

    def _idle_out(self, container: Container) -> None:
        container.idle_timer = None
        if container.is_stopped or container.inputs:
            return
        if self._function.queue:  # it comes for these in a moment
            self._watch_idleness(container)
        elif len(self._active()) > self._function.limits.min_containers:
            self.stop(container)
