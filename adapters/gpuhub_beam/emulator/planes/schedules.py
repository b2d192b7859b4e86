"""Schedules: gRPC only, ``FunctionService/FunctionSchedule``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub_beam.emulator.schedules import Cron, Schedule

if TYPE_CHECKING:
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.stubs import Stub
    from gpuhub_beam.emulator.workspace import Workspace

__all__ = ["Schedules"]


class Schedules:
    """Makes deployments run by themselves.

    Args:
        site: What all parts share.
        workspace: Whose deployments.
    """

    def __init__(self, site: Site, workspace: Workspace) -> None:
        self._site = site
        self._workspace = workspace

    async def schedule(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Let a deployment run at the times of a cron expression, in UTC."""
        with self._site.change():
            stub = self._workspace.stubs.get(str(asked.get("stubId", "")))
            deployment = self._workspace.deployment(str(asked.get("deploymentId", "")))
            if stub is None or deployment is None:
                return {"ok": False, "errMsg": "Unable to get deployment"}
            try:
                cron = Cron.parse(str(asked.get("when", "")))
                made = Schedule(self._site, cron, lambda: self._run(stub))
                made.begin()
            except ValueError as error:
                return {"ok": False, "errMsg": f"Invalid schedule: {error}"}
            self._workspace.schedules[deployment.id] = made
            return {"ok": True, "scheduledJobId": self._site.new_id()}

    def _run(self, stub: Stub) -> None:
        task = self._workspace.new_task(stub, {"args": [], "kwargs": {}})
        self._workspace.desk(stub).submit(task)
