"""The REST API under ``/api/v1``, and ``/secret``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import hold, wait_until
from gpuhub.worker.wire import dumps
from gpuhub_beam.emulator.problems import Problem, bad_request, missing
from gpuhub_beam.emulator.stubs import timestamp
from gpuhub_beam.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_beam.emulator.site import Site
    from gpuhub_beam.emulator.tasks import Task
    from gpuhub_beam.emulator.workspace import Workspace

__all__ = ["Rest"]

_SUBSCRIBE_S = 1.0
_FIELDS = {
    "autoscaler.max_containers": ("autoscaler", "max_containers"),
    "autoscaler.min_containers": ("autoscaler", "min_containers"),
    "autoscaler.tasks_per_container": ("autoscaler", "tasks_per_container"),
    "keep_warm_seconds": ("keep_warm_seconds",),
    "max_pending_tasks": ("max_pending_tasks",),
    "workers": ("workers",),
    "concurrent_requests": ("concurrent_requests",),
    "task_policy.timeout": ("task_policy", "timeout"),
    "task_policy.max_retries": ("task_policy", "max_retries"),
    "task_policy.ttl": ("task_policy", "ttl"),
    "runtime.cpu": ("runtime", "cpu"),
    "runtime.memory": ("runtime", "memory"),
    "callback_url": ("callback_url",),
    "authorized": ("authorized",),
}
"""What of a stub's configuration can be changed in place, as far as the emulator goes."""


class Rest:
    """Deployments, tasks, containers and what is kept in a workspace.

    Args:
        site: What all parts share.
        workspace: Whose they are.
    """

    def __init__(self, site: Site, workspace: Workspace) -> None:
        self._site = site
        self._workspace = workspace

    # The workspace

    async def current(self, _request: Request) -> Answer:
        """``GET /api/v1/workspace/current``."""
        wall = timestamp(self._site.timeline.wall())
        return Answer.of(
            {
                "id": self._site.workspace_id,
                "external_id": self._site.workspace_id,
                "name": "emulated",
                "created_at": wall,
                "updated_at": wall,
                "volume_cache_enabled": False,
                "multi_gpu_enabled": self._site.options.allows_several_gpus,
            }
        )

    async def signing_key(self, _request: Request, workspace_id: str) -> Answer:
        """``GET /api/v1/token/{ws}/signing-key``."""
        self._check(workspace_id)
        return Answer.of({"signing_key": self._site.signing_key})

    # Deployments

    async def deployments(self, request: Request, workspace_id: str) -> Answer:
        """``GET /api/v1/deployment/{ws}``."""
        self._check(workspace_id)
        with self._site.change():
            found = [
                each.shown(workspace_id)
                for each in reversed(self._workspace.deployments)
                if not each.is_deleted and _fits(each.shown(workspace_id), request)
            ]
        limit = int(request.asked("limit") or 0)
        found = found[:limit] if limit else found
        if request.asked("pagination").lower() == "true":
            return Answer.of({"data": found, "next": ""})
        return Answer.of(found)

    async def deployment(self, _request: Request, workspace_id: str, deployment_id: str) -> Answer:
        """``GET /api/v1/deployment/{ws}/{id}``."""
        self._check(workspace_id)
        with self._site.change():
            found = self._workspace.deployment(deployment_id)
            if found is None:
                raise missing()
            return Answer.of(found.shown(workspace_id))

    async def deployment_url(self, _request: Request, deployment_id: str) -> Answer:
        """``GET /api/v1/deployment/{id}/url``."""
        with self._site.change():
            found = self._workspace.deployment(deployment_id)
            if found is None:
                raise bad_request("Invalid deployment ID")
            return Answer.of({"url": found.url(self._site.url)})

    async def stub_url(self, _request: Request, stub_id: str) -> Answer:
        """``GET /api/v1/stub/{id}/url``."""
        with self._site.change():
            stub = self._workspace.stub(stub_id)
            return Answer.of({"url": f"{self._site.url}/{stub.kind}/id/{stub.id}"})

    async def change(
        self, _request: Request, workspace_id: str, verb: str, deployment_id: str
    ) -> Answer:
        """``POST /api/v1/deployment/{ws}/{start|stop}/{id}``."""
        self._check(workspace_id)
        with self._site.change():
            found = self._workspace.deployment(deployment_id)
            if found is None:
                raise bad_request("Deployment not found")
            self._workspace.set_active(found, active=verb == "start")
        return Answer(200)

    async def delete(self, _request: Request, workspace_id: str, deployment_id: str) -> Answer:
        """``DELETE /api/v1/deployment/{ws}/{id}``."""
        self._check(workspace_id)
        with self._site.change():
            found = self._workspace.deployment(deployment_id)
            if found is None:
                raise bad_request("Deployment not found")
            self._workspace.delete(found)
        return Answer(200)

    async def configure(self, request: Request, workspace_id: str, stub_id: str) -> Answer:
        """``PATCH /api/v1/stub/{ws}/{id}/config``: takes effect at the next start."""
        self._check(workspace_id)
        document = request.json()
        fields = document.get("fields") if isinstance(document, dict) else None
        if not isinstance(fields, dict) or not fields:
            raise bad_request("At least one field must be provided")
        with self._site.change():
            stub = self._workspace.stub(stub_id)
            for path, value in fields.items():
                _set(stub.config, path, value)
        words = f"Stub config updated successfully. Updated fields: [{' '.join(fields)}]"
        return Answer.of({"message": words, "updated_fields": list(fields)})

    # Tasks

    async def tasks(self, request: Request, workspace_id: str) -> Answer:
        """``GET /api/v1/task/{ws}``: newest first."""
        self._check(workspace_id)
        stubs = _listed(request, "stub_ids")
        wanted = _listed(request, "status")
        await hold(self._site, self._site.changed, lambda: self._running_s(stubs))
        with self._site.change():
            found = [
                self._workspace.shown_task(task)
                for task in reversed(self._workspace.tasks.values())
                if (not stubs or task.stub.id in stubs) and (not wanted or task.status in wanted)
            ]
        limit = int(request.asked("limit") or 10)
        return Answer.of({"data": found[:limit], "next": ""})

    async def task(self, _request: Request, workspace_id: str, task_id: str) -> Answer:
        """``GET /api/v1/task/{ws}/{id}``."""
        self._check(workspace_id)
        with self._site.change():
            task = self._workspace.task(task_id)
        await hold(self._site, task.changed, lambda: self._pending_s(task))
        with self._site.change():
            return Answer.of(self._workspace.shown_task(task))

    async def subscribe(self, _request: Request, workspace_id: str, task_id: str) -> Answer:
        """``GET /api/v1/task/{ws}/{id}/subscribe``: an event for each status."""
        self._check(workspace_id)
        with self._site.change():
            task = self._workspace.task(task_id)
        headers = {"Cache-Control": "no-cache"}
        return Answer(200, self._statuses(task), headers, "text/event-stream")

    async def cancel(self, request: Request, workspace_id: str) -> Answer:
        """``DELETE /api/v1/task/{ws}?task_ids=a,b``: unknown ids are passed over."""
        self._check(workspace_id)
        with self._site.change():
            for task_id in _listed(request, "task_ids"):
                task = self._workspace.tasks.get(task_id)
                if task is not None:
                    self._workspace.desk(task.stub).cancel(task)
        return Answer.of({})

    async def _statuses(self, task: Task) -> AsyncIterator[bytes]:
        last = ""
        while True:
            with self._site.change():
                shown = self._workspace.shown_task(task) if task.status != last else None
                last = task.status
            if shown is not None:
                yield b"event: status\ndata: " + dumps(shown) + b"\n\n"
            if task.is_over:
                return
            await wait_until(self._site, task.changed, _differs(task, last), _SUBSCRIBE_S)

    def _pending_s(self, task: Task) -> float:
        """Real seconds worth waiting for news of a task."""
        if task.is_over:
            return 0.0
        container = task.container
        if container is not None and task.id in container.at_work:
            return self._site.options.hold_s
        return self._workspace.desk(task.stub).instance.pending_boot_s()

    def _running_s(self, stubs: list[str]) -> float:
        desks = [self._workspace.desks[each] for each in stubs if each in self._workspace.desks]
        return max((desk.instance.pending_boot_s() for desk in desks), default=0.0)

    # Containers

    async def containers(self, _request: Request, workspace_id: str) -> Answer:
        """``GET /api/v1/container/{ws}``."""
        self._check(workspace_id)
        instances = [desk.instance for desk in self._workspace.desks.values()]

        def pending_s() -> float:
            return max((each.pending_boot_s() for each in instances), default=0.0)

        await hold(self._site, self._site.changed, pending_s)
        with self._site.change():
            now, wall = self._site.timeline.now(), self._site.timeline.wall()
            shown = []
            for instance in instances:
                runtime, stub = instance.config["runtime"], instance.stub
                facts = {
                    "stub_id": stub.id,
                    "workspace_id": workspace_id,
                    "app_id": stub.app.id,
                    "gpu_count": runtime["gpu_count"],
                    "cpu": runtime["cpu"],
                    "memory": runtime["memory"],
                }
                shown += [each.shown(now, wall, facts) for each in instance.containers.values()]
        return Answer.of(shown)

    async def stop_container(
        self, _request: Request, workspace_id: str, container_id: str
    ) -> Answer:
        """``POST /api/v1/container/{ws}/{id}/stop``."""
        self._check(workspace_id)
        with self._site.change():
            for desk in self._workspace.desks.values():
                container = desk.instance.containers.get(container_id)
                if container is not None:
                    desk.fleet.stop(container)
                    desk.go_on()
                    return Answer(200)
        raise bad_request("Invalid container id")

    # Secrets

    async def secrets(self, _request: Request, workspace_id: str) -> Answer:
        """``GET /secret/{ws}``: without values."""
        self._check(workspace_id)
        with self._site.change():
            return Answer.of([self._secret(name) for name in self._workspace.secrets])

    async def create_secret(self, request: Request, workspace_id: str) -> Answer:
        """``POST /secret/{ws}``."""
        self._check(workspace_id)
        document = request.json()
        with self._site.change():
            name, value = str(document.get("name", "")), str(document.get("value", ""))
            if name in self._workspace.secrets:
                raise Problem(409, "secret already exists", "error")
            self._workspace.secrets[name] = value
            return Answer.of(self._secret(name))

    async def secret(self, request: Request, workspace_id: str, name: str) -> Answer:
        """``GET``, ``PATCH`` and ``DELETE`` of ``/secret/{ws}/{name}``."""
        self._check(workspace_id)
        with self._site.change():
            secrets = self._workspace.secrets
            if request.method == "DELETE":
                secrets.pop(name, None)
                return Answer(204)
            if name not in secrets:
                is_read = request.method == "GET"
                words = "secret not found" if is_read else "failed to update secret"
                raise Problem(404 if is_read else 500, words, "error")
            if request.method == "PATCH":
                secrets[name] = str(request.json().get("value", ""))
            shown = self._secret(name)
            return Answer.of(shown | ({"value": secrets[name]} if request.method == "GET" else {}))

    def _secret(self, name: str) -> dict[str, Any]:
        wall = timestamp(self._site.timeline.wall())
        return {"name": name, "created_at": wall, "updated_at": wall}

    def _check(self, workspace_id: str) -> None:
        if workspace_id != self._site.workspace_id:
            raise Problem(401, "Invalid token", "message")


def _differs(task: Task, seen: str) -> Callable[[], bool]:
    return lambda: task.status != seen


def _listed(request: Request, name: str) -> list[str]:
    """Give a parameter's values, repeated or with commas."""
    values = request.all_of_query.get(name, [])
    return [each for value in values for each in value.split(",") if each]


def _fits(shown: dict[str, Any], request: Request) -> bool:
    """Apply the filters of a list of deployments; names are matched in part, as by LIKE."""
    name, version = request.asked("name"), request.asked("version")
    active, types = request.asked("active"), _listed(request, "stub_type")
    return (
        name in shown["name"]
        and (not version or int(version) == shown["version"])
        and (not active or (active.lower() == "true") == shown["active"])
        and (not types or shown["stub_type"] in types)
        and (not request.asked("app_id") or request.asked("app_id") == shown["app_id"])
    )


def _set(config: dict[str, Any], path: str, value: Any) -> None:
    if path not in _FIELDS:
        raise bad_request(f"Failed to update field '{path}': field '{path}' not found")
    *parents, last = _FIELDS[path]
    for parent in parents:
        config = config[parent]
    if isinstance(value, bool) is not isinstance(config[last], bool):
        raise bad_request(f"Failed to update field '{path}': failed to convert value")
    config[last] = type(config[last])(value)
