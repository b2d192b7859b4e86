"""What runners ask the gateway for: tasks, and to take their ends."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gpuhub.worker.wire import dumps

if TYPE_CHECKING:
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.tasks import Task
    from gpuhub_beam.emulator.workspace import Workspace

__all__ = ["Runners"]

Json = dict[str, Any]

_TICK_S = 1.0
"""How often the gateway tells a monitor that a task goes on."""


class Runners:
    """``TaskQueueService``, ``FunctionService`` and the tasks of ``GatewayService``.

    Args:
        site: What all parts share.
        workspace: Whose runners.
    """

    def __init__(self, site: Site, workspace: Workspace) -> None:
        self._site = site
        self._workspace = workspace

    async def start_task(self, asked: Json) -> Json:
        """Note that a task runs: as soon as its container's cold start is over."""
        while True:
            with self._site.change():
                changed = self._site.changed.listen()
                task = self._workspace.tasks.get(str(asked.get("taskId", "")))
                if task is None or task.is_over:
                    return {"ok": False}
                desk = self._workspace.desk(task.stub)
                container = desk.instance.containers.get(str(asked.get("containerId", "")))
                if container is None:
                    return {"ok": False}
                desk.fleet.booted(container)
                if container.is_ready(self._site.timeline.now()):
                    return {"ok": desk.started(task, container)}
            await changed

    async def end_task(self, asked: Json) -> Json:
        """Note that a task ended."""
        with self._site.change():
            task = self._workspace.tasks.get(str(asked.get("taskId", "")))
            if task is None:
                return {"ok": False}
            desk = self._workspace.desk(task.stub)
            desk.completed(task, asked.get("taskStatus", "COMPLETE"), _bytes(asked.get("result")))
            return {"ok": True}

    async def pop(self, asked: Json) -> Json:
        """Give a queue worker its next task; ours wait for one, beta9's ask ten times a second."""
        stub_id, container_id = str(asked.get("stubId", "")), str(asked.get("containerId", ""))
        while True:
            with self._site.change():
                stub = self._workspace.stubs.get(stub_id)
                if stub is None:
                    return {}
                desk = self._workspace.desk(stub)
                arrived = desk.instance.arrivals.listen()
                task = desk.pop(container_id, int(asked.get("pid", 0)))
                is_known = container_id in desk.instance.containers
            if task is not None:
                return {"ok": True, "taskMsg": base64.b64encode(_message(task)).decode()}
            if not asked.get("wait") or not is_known:
                return {}
            await arrived

    async def complete(self, asked: Json) -> Json:
        """Take the end of a queued task."""
        with self._site.change():
            task = self._workspace.tasks.get(str(asked.get("taskId", "")))
            if task is None:
                return {"ok": False}
            desk = self._workspace.desk(task.stub)
            status, result = asked.get("taskStatus", "COMPLETE"), _bytes(asked.get("result"))
            return {"ok": True, "message": desk.completed(task, status, result)}

    async def monitor(self, asked: Json) -> AsyncIterator[Json]:
        """Tell a runner what becomes of its task."""
        task = self._workspace.tasks.get(str(asked.get("taskId", "")))
        return self._monitored(task)

    async def _monitored(self, task: Task | None) -> AsyncIterator[Json]:
        while task is not None:
            with self._site.timeline.lock:
                changed = task.changed.listen()
                status = task.status
            if status == "CANCELLED":
                yield {"ok": True, "cancelled": True}
                return
            if status == "TIMEOUT":
                yield {"ok": True, "timedOut": True}
                return
            if task.is_over:
                yield {"ok": True, "complete": True}
                return
            yield {"ok": True}
            await asyncio.wait([changed], timeout=_TICK_S)

    async def get_args(self, asked: Json) -> Json:
        """Give the arguments of a function's task."""
        task = self._workspace.tasks.get(str(asked.get("taskId", "")))
        if task is None:
            return {"ok": False}
        return {"ok": True, "args": base64.b64encode(dumps(task.payload)).decode()}

    async def set_result(self, asked: Json) -> Json:
        """Take the result of a function's task; its end comes apart."""
        task = self._workspace.tasks.get(str(asked.get("taskId", "")))
        if task is None:
            return {"ok": False}
        with self._site.change():
            task.result = _bytes(asked.get("result"))
        return {"ok": True}

    async def sign(self, asked: Json) -> Json:
        """Sign the body of a callback."""
        signature, timestamp = self._site.signed(_bytes(asked.get("payload")) or b"")
        return {"ok": True, "signature": signature, "timestamp": str(timestamp)}

    async def list_tasks(self, asked: Json) -> Json:
        """List tasks, as a runner does that does not know whether a start was taken."""
        filters = asked.get("filters") or {}
        wanted = filters.get("task-ids", filters.get("id", {})).get("values", [])
        with self._site.change():
            found = [
                {"id": task.id, "status": task.status, "containerId": task.container_id}
                for task in self._workspace.tasks.values()
                if not wanted or task.id in wanted
            ]
        return {"ok": True, "tasks": found, "total": len(found)}


def _bytes(text: Any) -> bytes | None:
    return base64.b64decode(text) if text else None


def _message(task: Task) -> bytes:
    """Give the task as the gateway's queue holds it."""
    policy = task.stub.config["task_policy"]
    return dumps(
        {
            "task_id": task.id,
            "workspace_name": "emulated",
            "stub_id": task.stub.id,
            "executor": task.stub.kind,
            "args": task.payload.get("args") or [],
            "kwargs": task.payload.get("kwargs") or {},
            "policy": policy,
            "retries": task.retries,
            "timestamp": int(task.created_at),
        }
    )
