"""What the gateway keeps about a stub while it has containers or tasks."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import Signal
    from gpuhub_beam.emulator.containers import Container
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.stubs import Stub
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Instance"]


@dataclass(eq=False)
class Instance:
    """One stub at work. Every member needs the lock.

    Attributes:
        site: What all parts share.
        stub: Whose it is.
        arrivals: Fires when a task is queued.
        config: The stub's configuration as of the last start or reload.
        buffer: The configuration as of its last start from nothing: a reload does not reach what
            concerns single requests.
        is_active: Whether its deployment is.
        containers: By id, oldest first.
        queue: Tasks that no container has, oldest first.
        tasks: Those in flight, by id.
        failures: When containers failed, clock seconds.
        is_off: Whether it runs nothing and has nothing to do.
    """

    site: Site
    stub: Stub
    arrivals: Signal
    config: dict[str, Any] = field(default_factory=dict)
    buffer: dict[str, Any] = field(default_factory=dict)
    is_active: bool = True
    containers: dict[str, Container] = field(default_factory=dict)
    queue: deque[Task] = field(default_factory=deque)
    tasks: dict[str, Task] = field(default_factory=dict)
    failures: list[float] = field(default_factory=list)
    is_off: bool = True

    def wake(self) -> None:
        """Begin anew, if nothing runs, with the stub's present configuration."""
        if self.is_off:
            self.is_off = False
            self.reload()
            self.buffer = self.config

    def reload(self) -> None:
        """Take over a changed configuration."""
        self.config = copy.deepcopy(self.stub.config)

    @property
    def slots(self) -> int:
        """Requests that a container takes at the same time."""
        workers = int(self.buffer["workers"])
        if self.stub.kind == "asgi" and self.buffer["concurrent_requests"] > 1:
            workers = max(workers, int(self.buffer["concurrent_requests"]))
        return max(1, workers)

    @property
    def keep_warm_s(self) -> int:
        """How long an idle container is kept."""
        has_buffer = self.stub.kind in ("endpoint", "asgi")
        return int((self.buffer if has_buffer else self.config)["keep_warm_seconds"])

    def desired(self) -> int:
        """How many containers there should be."""
        if not self.is_active or self.has_given_up():
            return 0
        if self.stub.kind in ("function", "schedule"):
            return len(self.containers)  # each task brings its own
        scaler = self.config["autoscaler"]
        most = min(int(scaler["max_containers"]), self.site.options.most_replicas)
        each = max(1, int(scaler["tasks_per_container"]))
        wanted = min(most, -(-len(self.tasks) // each))
        if self.stub.type == "taskqueue":
            return wanted
        return max(wanted, int(scaler["min_containers"]))

    def has_given_up(self) -> bool:
        """Whether too many containers failed of late."""
        since = self.site.timeline.now() - self.site.options.failure_cooldown_s
        self.failures = [at for at in self.failures if at > since]
        return len(self.failures) >= self.site.options.failures_until_given_up

    def pending_boot_s(self) -> float:
        """Real seconds worth waiting for containers whose processes start."""
        booting = any(each.is_booting for each in self.containers.values())
        return self.site.options.boot_s if booting else 0.0

    def unschedulable(self) -> str:
        """Say why no container of it can ever run; empty when one can, or does."""
        gpus, known = self.config["runtime"]["gpus"], self.site.options.gpus
        if known is None or not gpus or self.containers:
            return ""
        if any(gpu == "any" or gpu in known for gpu in gpus):
            return ""
        return (
            f"No compute capacity for GPU type {', '.join(gpus)}. Reserve hardware with 'beta9 "
            f"machine reserve --gpu {gpus[0]}', or redeploy with a different GPU."
        )
