"""Everything in one workspace: stubs, deployments, tasks, secrets, volumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.signals import Signal
from gpuhub_beam.emulator.callbacks import Notice, post_callback
from gpuhub_beam.emulator.desk import Desk
from gpuhub_beam.emulator.fleet import Fleet
from gpuhub_beam.emulator.instances import Instance
from gpuhub_beam.emulator.problems import bad_request, missing
from gpuhub_beam.emulator.stubs import App, Deployment, Stub
from gpuhub_beam.emulator.tasks import Task

if TYPE_CHECKING:
    from gpuhub_beam.emulator.placement import Placement
    from gpuhub_beam.emulator.schedules import Schedule
    from gpuhub_beam.emulator.site import Site

__all__ = ["Workspace"]

_STARTUP_GRACE_S = 30.0


@dataclass
class Workspace:
    """One workspace. Every method needs the lock.

    Attributes:
        site: What all parts share.
        placement: Makes containers; set once the parts know each other.
        apps: By name.
        stubs: By id.
        deployments: All versions of all names, oldest first; deleted ones too.
        desks: Of the stubs at work, by stub id.
        tasks: By id, oldest first.
        secrets: Values by name.
        volumes: Ids by name.
        schedules: What runs by itself, by deployment id.
    """

    site: Site
    placement: Placement | None = None
    apps: dict[str, App] = field(default_factory=dict)
    stubs: dict[str, Stub] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    desks: dict[str, Desk] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    volumes: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    _names: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict)

    # Stubs

    def app(self, name: str) -> App:
        """Give an app; made when there is none."""
        if name not in self.apps:
            self.apps[name] = App(self.site.new_id(), name, self.site.timeline.wall())
        return self.apps[name]

    def stub(self, stub_id: str) -> Stub:
        """Give a stub.

        Raises:
            Problem: 404.
        """
        if stub_id not in self.stubs:
            raise missing()
        return self.stubs[stub_id]

    def add_stub(
        self, name: str, stub_type: str, config: dict[str, Any], object_id: str, app: App
    ) -> Stub:
        """Make a stub, with the values that its secrets have now."""
        values = {each["name"]: self.secrets[each["name"]] for each in config["secrets"]}
        wall = self.site.timeline.wall()
        stub_id = self.site.new_id()
        stub = Stub(stub_id, name, stub_type, config, values, object_id, app, wall)
        self.stubs[stub.id] = stub
        return stub

    # Deployments

    def deploy(self, stub: Stub, name: str) -> Deployment:
        """Make the next version of a name; the ones before stay as they are."""
        versions = [
            each.version
            for each in self.deployments
            if each.name == name and each.stub.type == stub.type
        ]
        wall = self.site.timeline.wall()
        deployment = Deployment(
            id=self.site.new_id(),
            name=name,
            version=max(versions, default=0) + 1,
            stub=stub,
            created_at=wall,
            updated_at=wall,
            subdomain=f"{name}-{stub.id[:7]}",
        )
        self.deployments.append(deployment)
        if stub.config["autoscaler"]["min_containers"] > 0:
            self.reload(deployment)
        return deployment

    def deployment(self, deployment_id: str) -> Deployment | None:
        """Give a deployment by its id, unless it was deleted."""
        for each in self.deployments:
            if each.id == deployment_id and not each.is_deleted:
                return each
        return None

    def set_active(self, deployment: Deployment, *, active: bool) -> None:
        """Start or stop a deployment; a stopped one loses its containers at once."""
        deployment.active = active
        deployment.updated_at = self.site.timeline.wall()
        if not active and (schedule := self.schedules.pop(deployment.id, None)) is not None:
            schedule.end()
        self.reload(deployment)
        if not active:
            self.desk(deployment.stub).fleet.stop_all()

    def delete(self, deployment: Deployment) -> None:
        """Stop a deployment and forget it; its tasks stay."""
        self.set_active(deployment, active=False)
        deployment.is_deleted = True

    def reload(self, deployment: Deployment) -> None:
        """Let a deployment's present configuration and state take effect."""
        desk = self.desk(deployment.stub)
        desk.instance.is_active = deployment.active
        desk.instance.wake()
        desk.instance.reload()
        desk.fleet.review()
        desk.go_on()

    def of_stub(self, stub: Stub) -> Deployment | None:
        """Give the deployment of a stub."""
        return next((each for each in self.deployments if each.stub is stub), None)

    # What a URL means

    def named(self, kind: str, name: str, version: str) -> Stub:
        """Give the stub that a deployment's URL means, as the gateway remembers it for a while.

        Args:
            kind: First part of the path.
            name: Name of the deployment.
            version: Its number; empty: the latest.

        Raises:
            Problem: 400, there is none, or it is not active.
        """
        key = (kind, name, version)
        now = self.site.timeline.now()
        known = self._names.get(key)
        if known is not None and now < known[1]:
            return self.stubs[known[0]]
        deployment = self._find(kind, name, version)
        if deployment is None:
            raise bad_request("Invalid deployment")
        if not deployment.active:
            raise bad_request("Deployment is not active")
        self._names[key] = (deployment.stub.id, now + self.site.options.name_cache_s)
        return deployment.stub

    def _find(self, kind: str, name: str, version: str) -> Deployment | None:
        having = [
            each
            for each in self.deployments
            if each.name == name and each.stub.type == f"{kind}/deployment" and not each.is_deleted
        ]
        if version:
            if not version.isdigit():
                raise bad_request("Invalid deployment version")
            return next((each for each in having if each.version == int(version)), None)
        return max(having, key=lambda each: each.version, default=None)

    # Tasks

    def desk(self, stub: Stub) -> Desk:
        """Give the desk of a stub."""
        if stub.id not in self.desks:
            instance = Instance(self.site, stub, Signal(self.site.waker))
            instance.reload()
            instance.buffer = instance.config
            deployment = self.of_stub(stub)
            instance.is_active = deployment is None or deployment.active
            self.desks[stub.id] = Desk(instance, self._fleet, self._told)
        return self.desks[stub.id]

    def new_task(self, stub: Stub, payload: dict[str, Any]) -> Task:
        """Make a task, not yet submitted."""
        wall = self.site.timeline.wall()
        life_s = float(stub.config["task_policy"]["ttl"])
        if stub.kind in ("endpoint", "asgi"):
            life_s = max(life_s, self.site.options.startup_s + _STARTUP_GRACE_S)
        task_id = self.site.new_id()
        task = Task(task_id, stub, payload, wall, wall + life_s, Signal(self.site.waker))
        self.tasks[task.id] = task
        return task

    def task(self, task_id: str) -> Task:
        """Give a task.

        Raises:
            Problem: 404.
        """
        if task_id not in self.tasks:
            raise missing()
        return self.tasks[task_id]

    def shown_task(self, task: Task) -> dict[str, Any]:
        """Give the REST API's description of a task."""
        desk = self.desks.get(task.stub.id)
        stats = {
            "active_containers": len(desk.instance.containers) if desk else 0,
            "queue_depth": len(desk.instance.tasks) if desk else 0,
        }
        return task.shown(self.site.workspace_id, self.of_stub(task.stub), stats)

    def close(self) -> None:
        """Stop every container and forget every task."""
        for desk in self.desks.values():
            desk.instance.is_active = False
            desk.fleet.stop_all()
            desk.drop_all()

    def _fleet(self, desk: Desk) -> Fleet:
        assert self.placement is not None  # noqa: S101 - set before anything is asked
        return Fleet(desk.instance, self.placement, lost=desk.lost, freed=desk.go_on)

    def _told(self, notice: Notice) -> None:
        if notice.url:
            post_callback(notice, self.site.signed)
