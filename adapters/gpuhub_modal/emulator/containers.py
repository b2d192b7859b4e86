"""One container of a function: from its start, through inputs, to its stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from gpuhub.testing.emulator.workers import WorkerBase

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import RealTimer, Signal
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_modal.emulator.calls import Input
    from gpuhub_modal.emulator.definitions import Definition
    from gpuhub_modal.emulator.logs import ContainerLog

__all__ = ["Container", "Machine", "MachineOrder", "Taker"]


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """What a machine has to run.

    Attributes:
        task_id: Whose machine it is.
        env: All its variables.
        root: Folder that stands for the container's ``/``.
        folder: Where it starts.
        log: Takes what it prints.
        exited: Called, from any thread, when it ended by itself; with its exit code.
    """

    task_id: str
    env: dict[str, str] = field(repr=False)
    root: Path
    folder: Path
    log: ContainerLog
    exited: Callable[[int], None]


class Machine(Protocol):
    """What runs a container's code."""

    def start(self) -> None:
        """Begin; does not wait."""
        ...

    def stop(self) -> None:
        """Kill it and all it started; may be called twice."""
        ...


@dataclass(slots=True, eq=False)
class Taker:
    """A container's request for inputs that waits for some.

    Attributes:
        future: Resolves on the server's loop with the inputs; with none: the container is to end.
        size: How many it wants at most.
        linger_s: How long to wait for more after the first.
    """

    future: asyncio.Future[list[Input]]
    size: int = 1
    linger_s: float = 0.0


@dataclass(slots=True, eq=False)
class Container(WorkerBase):
    """One container.

    Attributes:
        id: ``ta-…``.
        function_id: Whose it is.
        definition: What it runs.
        gpu: Which card it has; empty on a CPU, or without a place.
        started_at: When it started, and billing began.
        log: Its lines.
        cancelled: Fires when inputs are to be cancelled.
        machine: What runs its code; ``None`` before it has a place.
        is_waiting: It waits for a card.
        boot_timer: When its start has taken too long.
        inputs: What it runs, by id.
        taken: How many inputs it was given.
        taker: Its request for inputs.
        to_cancel: Ids of inputs it has to be told to cancel.
        failure: What it reported about its start.
    """

    id: str
    function_id: str
    definition: Definition
    started_at: float
    log: ContainerLog
    cancelled: Signal
    gpu: str = ""
    machine: Machine | None = None
    is_waiting: bool = False
    boot_timer: Timer | RealTimer | None = None
    inputs: dict[str, Input] = field(default_factory=dict)
    taken: int = 0
    taker: Taker | None = None
    to_cancel: list[str] = field(default_factory=list)
    failure: Any = None

    def room(self, now: float, most: int) -> int:
        """How many inputs it takes now, if it may run so many at once."""
        if self.taker is None or self.is_draining or not self.is_ready(now):
            return 0
        if any(each.hangs or each.crashes for each in self.inputs.values()) and most == 1:
            return 0
        return min(self.taker.size, most * self.taker.size - len(self.inputs))

    @override
    def end_boot(self) -> None:
        """Note that its code is ready, or ended, if it was started."""
        if self.boot_timer is not None:
            self.boot_timer.cancel()
            self.boot_timer = None
        WorkerBase.end_boot(self)  # a class with slots knows no super() without arguments
