"""Starts and stops the containers of a stub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.workers import cold_start_after
from gpuhub_beam.emulator.containers import Container, Machine

if TYPE_CHECKING:
    from gpuhub_beam.emulator.instances import Instance
    from gpuhub_beam.emulator.placement import Placement
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Fleet"]


class Fleet:
    """The containers of one stub. Every method needs the lock.

    Args:
        instance: Whose they are.
        placement: Makes containers and their machines.
        lost: Told of the tasks of a container that is gone.
        freed: Told that some container may take tasks now.
    """

    def __init__(
        self,
        instance: Instance,
        placement: Placement,
        *,
        lost: Callable[[list[Task]], None],
        freed: Callable[[], None],
    ) -> None:
        self._instance = instance
        self._site = instance.site
        self._placement = placement
        self._lost = lost
        self._freed = freed

    def scale(self) -> None:
        """Have as many containers as there should be."""
        self.scale_to(self._instance.desired())

    def scale_to(self, wanted: int) -> None:
        """Start what is missing; stop what is too much and neither works nor is kept warm."""
        instance = self._instance
        if not instance.is_active or instance.has_given_up():
            wanted = 0
        for _ in range(wanted - len(instance.containers)):
            self.start()
        surplus = len(instance.containers) - wanted
        for container in list(instance.containers.values()):
            if surplus > 0 and self._may_stop(container):
                self.stop(container)
                surplus -= 1
        self._instance.is_off = not (wanted or instance.containers or instance.tasks)

    def start(self, task: Task | None = None) -> Container:
        """Order one container; for a function, with the task it is for."""
        now = self._now
        fault = self._site.faults.take("start")
        cold_start_s = cold_start_after(fault, self._site.options.cold_start_s)
        instance = self._instance
        container = self._placement.container(instance, ready_at=now + cold_start_s)
        instance.containers[container.id] = container
        if fault is not None and fault.kind == "capacity":
            container.log.say("waiting for a machine: none with such a card is free")
            if fault.delay_s:
                self._site.timeline.after(fault.delay_s, lambda: self._place(container, task))
            return container
        self._place(container, task)
        if fault is not None and fault.kind == "crash":
            self._site.timeline.at(now, lambda: self.failed(container, 1))
        return container

    def booted(self, container: Container) -> None:
        """Note that a container's runner answers."""
        if container.has_booted or container.is_stopped:
            return
        container.has_booted = True
        container.end_boot()
        ready = max(self._now, container.ready_at)
        self._site.timeline.at(ready, lambda: self._ready(container))

    def rest(self, container: Container) -> None:
        """Note that a container has no task any more."""
        container.idle_since = self._now
        self._watch_idleness(container)

    def returning(self, container: Container) -> None:
        """Note that a runner sent a result: until it asks again, or ends, it is at work."""
        if not container.is_stopped:
            container.begin_return()

    def failed(self, container: Container, code: int) -> None:
        """Note that a container ended by itself."""
        if container.is_stopped:
            return
        container.log.say(f"container exited with code {code}")
        if code:
            self._instance.failures.append(self._now)
            cooldown_s = self._site.options.failure_cooldown_s
            self._site.timeline.after(cooldown_s, self._go_on)
        self.stop(container)
        self._go_on()

    def stop(self, container: Container) -> None:
        """Stop a container, whatever it does."""
        if container.is_stopped:
            return
        container.is_stopped = True
        container.end_all()
        self._instance.containers.pop(container.id, None)
        self._site.meter.stop(container.id, self._now)
        if container.machine is not None:
            container.machine.stop()
        container.log.say("container stopped")
        container.log.close()
        tasks = list(container.tasks.values())
        container.tasks.clear()
        self._lost(tasks)
        self._instance.arrivals.fire()
        self._site.note()

    def stop_all(self) -> None:
        """Stop all containers."""
        for container in list(self._instance.containers.values()):
            self.stop(container)

    def review(self) -> None:
        """Apply changed limits to containers that are idle already."""
        for container in list(self._instance.containers.values()):
            if container.idle_timer is not None:
                self._watch_idleness(container)

    @property
    def _now(self) -> float:
        return self._site.timeline.now()

    def _may_stop(self, container: Container) -> bool:
        if not self._instance.is_active:
            return True
        if container.tasks or not container.is_ready(self._now):
            return False
        return self._now >= container.idle_since + self._instance.keep_warm_s

    def _place(self, container: Container, task: Task | None) -> None:
        if container.is_stopped:
            return
        site = self._site
        if container.machine is None and container.ready_at < self._now:
            container.ready_at = self._now + site.options.cold_start_s
        site.meter.start(container.id, self._now)
        container.begin_boot()
        container.machine = self._placement.machine(
            self._instance,
            container,
            task,
            exited=lambda machine, code: self._exited(container, machine, code),
        )
        container.machine.start()
        if container.machine.port:
            self._placement.watch_health(self, container)

    def _exited(self, container: Container, machine: Machine, code: int) -> None:
        """Called by a machine's own thread."""
        with self._site.change():
            if container.machine is machine and not container.is_stopped:
                self.failed(container, code)

    def _ready(self, container: Container) -> None:
        if container.is_stopped:
            return
        container.started_at = self._now
        if not container.tasks:
            self.rest(container)
        self._freed()
        self._site.note()

    def _watch_idleness(self, container: Container) -> None:
        container.end_idling()
        due = max(self._now, container.idle_since + self._instance.keep_warm_s)
        container.idle_timer = self._site.timeline.at(due, lambda: self._look(container))

    def _look(self, container: Container) -> None:
        container.idle_timer = None
        if not container.is_stopped and not container.tasks:
            self.scale()

    def _go_on(self) -> None:
        self.scale()
        self._freed()
        self._site.note()
