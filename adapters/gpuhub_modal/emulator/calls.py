"""Function calls and their inputs: from their submit to the end of their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.testing.emulator.signals import RealTimer, Signal
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_modal.emulator.containers import Container
    from gpuhub_modal.emulator.functions import Function

__all__ = ["Call", "Input", "State"]


class State(Enum):
    """Where an input is."""

    WAITING = auto()
    """A retry waits for its delay."""
    QUEUED = auto()
    RUNNING = auto()
    OVER = auto()


@dataclass(slots=True, eq=False)
class Input:
    """One input of a call. Changed with the lock held; times are clock seconds.

    Attributes:
        id: ``in-…``.
        call: Whose it is.
        idx: Its place in the call.
        sent: Modal's ``FunctionInput``.
        state: Where it is.
        queued_at: When it was last put into the queue.
        started_at: When a container took it.
        retry_count: How often it was repeated because it failed.
        losses: How often its container died under it.
        container: Who runs it.
        task_id: Of the container that runs or ran it.
        output: Modal's ``FunctionGetOutputsItem``, once it ended.
        hangs: It never ends by itself.
        crashes: Its container dies under it: always, or so many times.
        timer: When it has run too long, or is repeated.
    """

    id: str
    call: Call
    idx: int
    sent: Any = field(repr=False)
    state: State = State.QUEUED
    queued_at: float = 0.0
    started_at: float | None = None
    retry_count: int = 0
    losses: int = 0
    container: Container | None = None
    task_id: str = ""
    output: Any = field(default=None, repr=False)
    hangs: bool = False
    crashes: int = 0
    timer: Timer | RealTimer | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state is State.OVER

    def stop_timer(self) -> None:
        """Call off what is due for it."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True, eq=False)
class Call:
    """One function call. Changed with the lock held.

    Attributes:
        id: ``fc-…``.
        function: What it calls.
        kind: Modal's ``FunctionCallInvocationType``.
        is_map: Whether inputs may follow.
        parent_input_id: Input of the call that made this one.
        created_at: Seconds since the epoch.
        changed: Fires at each change.
        inputs: In the order of their places.
        outputs: Inputs that ended, in that order; a repeated one anew.
        chunks: What a generator yielded, as Modal's ``DataChunk``.
        data_in: What a web request sends to its application, likewise.
        is_expired: Its results are forgotten.
        is_cancelled: It was cancelled.
    """

    id: str
    function: Function
    kind: int
    is_map: bool
    parent_input_id: str
    created_at: float
    changed: Signal
    inputs: dict[int, Input] = field(default_factory=dict)
    outputs: list[tuple[Input, Any]] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    data_in: list[Any] = field(default_factory=list)
    is_expired: bool = False
    is_cancelled: bool = False

    @property
    def unfinished(self) -> int:
        """How many inputs have not ended."""
        return 0 if self.is_expired else sum(not each.is_over for each in self.inputs.values())

    @property
    def is_over(self) -> bool:
        """Whether all inputs so far have ended."""
        return bool(self.inputs) and self.unfinished == 0
