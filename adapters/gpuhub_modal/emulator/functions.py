"""One function of an app: its definition, calls and containers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub_modal.emulator.definitions import Definition, Limits
from gpuhub_modal.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub.testing.emulator.timeline import Timer
    from gpuhub_modal.emulator.apps import App
    from gpuhub_modal.emulator.calls import Call, Input
    from gpuhub_modal.emulator.containers import Container
    from gpuhub_modal.emulator.desk import Desk

__all__ = ["Function"]


@dataclass(slots=True, eq=False)
class Function:
    """One function. Changed with the lock held.

    Attributes:
        site: What all parts share.
        id: ``fu-…``, the same through all versions of its app.
        app: Whose it is.
        tag: Its name in the app.
        definition: What runs; ``None`` until the app is published.
        drafts: Definitions that were made, by id.
        overrides: What was set for the autoscaler since the deploy, by field.
        calls: All that can still be asked about, by id.
        queue: Inputs that wait, first one first.
        containers: Those that exist, by id.
        desk: Moves inputs and containers.
        derive: For an instance of a class or a variant: makes its definition from the base's.
        base: Its base, likewise.
        timer: When its schedule is due.
        failures: Starts of containers that failed, since one succeeded.
        is_stopped: It is gone.
    """

    site: Site
    id: str
    app: App
    tag: str
    definition: Definition | None = None
    drafts: dict[str, Definition] = field(default_factory=dict)
    overrides: dict[str, int] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    queue: deque[Input] = field(default_factory=deque)
    containers: dict[str, Container] = field(default_factory=dict)
    desk: Desk = field(init=False)
    derive: Callable[[Definition], Definition] | None = None
    base: Function | None = None
    timer: Timer | None = None
    failures: int = 0
    is_stopped: bool = False

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        if self.definition is None:
            return Limits()
        return Limits.of(self.definition.sent, self.site.options.scaledown_s, self.overrides)

    def running(self) -> int:
        """Count the inputs in progress."""
        return sum(len(each.inputs) for each in self.containers.values())

    def pending_s(self) -> float:
        """Real seconds worth waiting for processes that should be up, or code that runs."""
        if boot_s := self.pending_boot_s():
            return boot_s
        is_busy = any(each.at_work or each.is_returning for each in self.containers.values())
        return self.site.options.hold_s if is_busy else 0.0

    def pending_boot_s(self) -> float:
        """Real seconds worth waiting for processes that should be up by the clock."""
        now = self.site.now
        late = any(each.is_booting and now >= each.ready_at for each in self.containers.values())
        return self.site.options.boot_s if late else 0.0
