"""Which version of a deployment serves, and which one is on its way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gpuhub.adapter import Rollout
from gpuhub_mock.emulator.refusals import Refusal

if TYPE_CHECKING:
    from gpuhub_mock.emulator.fleet import Fleet
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.versions import VersionRecord

__all__ = ["Rollouts"]


class Rollouts:
    """Changes versions without a gap: the old one serves until the new one can.

    Args:
        fleet: The workers.
        logs: The deployment's log.

    Attributes:
        current: The version that serves.
        pending: The version that is built, or whose first worker is starting.
        built_at: When its build ends; infinity when none is built.
    """

    def __init__(self, fleet: Fleet, logs: LogBook) -> None:
        self.current: VersionRecord | None = None
        self.pending: VersionRecord | None = None
        self.built_at = math.inf
        self._fleet = fleet
        self._logs = logs

    def begin(self, version: VersionRecord, now: float) -> bool:
        """Begin to roll a version out; gives whether it can serve at once."""
        self._drop_pending(now)
        version.rollout = Rollout.IN_PROGRESS
        self.pending = version
        build_s = version.body.simulation.build_s
        if build_s:
            self.built_at = now + build_s
            return False
        return self.built(now) is not None

    def built(self, now: float) -> VersionRecord | None:
        """End the build; gives the version if it needs no warm worker, else starts those."""
        self.built_at = math.inf
        version = self.pending
        if version is None or not version.body.workers.min:
            return version
        try:
            for _ in range(version.body.workers.min):
                self._fleet.start(version, now)
        except Refusal as problem:
            self._logs.write(f"no worker can start: {problem.message}")
            self.fail(now)
        # Without a cold start the first worker has completed the roll-out already.
        return None

    def complete(self, version: VersionRecord, now: float) -> None:
        """Let a version serve; workers of others finish their calls and stop."""
        version.rollout = Rollout.READY
        self.current, self.pending, self.built_at = version, None, math.inf
        for worker in list(self._fleet.workers):
            if worker.version is not version:
                self._fleet.retire(worker, now, f"version {version.id} serves now")

    def fail(self, now: float) -> None:
        """Give the pending version up; the current one goes on serving."""
        failed = self.pending
        if failed is not None:
            failed.rollout = Rollout.FAILED
            failed.log_tail = self._logs.tail()
            self._drop_pending(now)

    def _drop_pending(self, now: float) -> None:
        dropped, self.pending, self.built_at = self.pending, None, math.inf
        for worker in self._fleet.alive(dropped) if dropped is not None else []:
            self._fleet.stop(worker, now, f"version {worker.version.id} is not rolled out")
