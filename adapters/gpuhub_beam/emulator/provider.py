"""A gateway of Beam's, with one workspace, on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from gpuhub.errors import AdapterNotInstalled
from gpuhub.testing.emulator import Fault, FaultKind, HttpEmulator, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub_beam.emulator.bridge import Bridge
from gpuhub_beam.emulator.machines import Workshop, beta9_python
from gpuhub_beam.emulator.objects import Images, Objects
from gpuhub_beam.emulator.options import EmulatorOptions
from gpuhub_beam.emulator.placement import Placement
from gpuhub_beam.emulator.planes.calls import Calls
from gpuhub_beam.emulator.planes.gateway import Gateway
from gpuhub_beam.emulator.planes.images import ImageService
from gpuhub_beam.emulator.planes.records import Records
from gpuhub_beam.emulator.planes.rest import Rest
from gpuhub_beam.emulator.planes.runners import Runners
from gpuhub_beam.emulator.planes.schedules import Schedules
from gpuhub_beam.emulator.planes.sockets import Sockets
from gpuhub_beam.emulator.planes.storage import Storage
from gpuhub_beam.emulator.routes import Routes
from gpuhub_beam.emulator.service import Service
from gpuhub_beam.emulator.site import Site
from gpuhub_beam.emulator.small_grpc import SmallGrpc
from gpuhub_beam.emulator.workspace import Workspace

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_beam.emulator.instances import Instance

__all__ = ["BeamEmulator"]


class BeamEmulator(EmulatorFace[Site]):
    """One gateway with one workspace, played on this machine.

    ``crash`` on ``deploy`` lets image builds fail; on ``stream`` a container dies after the first
    part of an answer.

    Args:
        options: How it behaves.
        clock: Its time. Default: a virtual clock, moved by whoever waits.
        port: Port to listen on; 0 (default) takes a free one.
    """

    _places: ClassVar = {("crash", "stream"): "stream item"}

    def __init__(
        self,
        options: EmulatorOptions | None = None,
        clock: Clock | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.options = options or EmulatorOptions()
        site = Site(options=self.options, clock=clock or VirtualClock())
        super().__init__(site, folder_for("beam"))
        self._workshop = Workshop(self.options, self._folder)
        self._workspace = Workspace(self._site)
        self.images = Images()
        records = Records(self._site)
        self.objects = objects = Objects(self._site, self._folder)
        placement = Placement(self._site, self._workshop, objects.content, records.keep)
        self._workspace.placement = placement
        self._calls = Calls(self._site, self._workspace)
        placement.watch_health = self._calls.watch
        routes = Routes(
            Gateway(self._site, self._workspace, objects),
            ImageService(self._site, self.images),
            Runners(self._site, self._workspace),
            Schedules(self._site, self._workspace),
            Rest(self._site, self._workspace),
            records,
            Storage(self._site, objects),
            self._calls,
            Sockets(self._calls),
            completes_over_http=self.options.completes_over_http,
        )
        self._server = HttpEmulator(Service(self._site, routes), port=port, websockets=True)
        self._bridge: Bridge | None = None
        self._small_grpc: SmallGrpc | None = None

    # The face of all emulators

    @override
    def start(self) -> Mapping[str, str]:
        """Listen; gives ``gateway_url`` and ``grpc_url``, as settings of the adapter.

        Without the whole gRPC face, ``grpc_url`` takes gpuhub's own call only; see
        :attr:`grpc_address`.

        Raises:
            Beta9Missing: Real runners or gRPC are asked for and there is no Python for them.
            AdapterNotInstalled: The extra ``emulator`` is not installed.
            OSError: The port is taken.
        """
        needs_beta9 = self.options.workers == "beta9" or self.options.serves_grpc
        python = beta9_python(self.options.beta9_python) if needs_beta9 else None
        self._workshop.open()
        url = self._serve(self._server.start)
        if python is not None and self._bridge is None:
            self._bridge = Bridge(python, url, self._folder)
            self._site.grpc_address = self._bridge.start()
        urls = {"gateway_url": url}
        if self._bridge is not None:
            return urls | {"grpc_url": f"http://{self.grpc_address}"}
        if self._small_grpc is None:
            try:
                self._small_grpc = SmallGrpc(url)
            except AdapterNotInstalled:  # an adapter without grpcio refuses schedules itself
                return urls
            self._small_address = self._small_grpc.start()
        return urls | {"grpc_url": f"http://{self._small_address}"}

    @override
    def stop(self) -> None:
        """End every container and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            self._workspace.close()
        if self._bridge is not None:
            self._bridge.stop()
            self._bridge = None
        if self._small_grpc is not None:
            self._small_grpc.stop()
            self._small_grpc = None
        self._site.waker.call(self._calls.forget)
        self._server.stop()
        remove_folder(self._folder)

    @override
    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        kind = fault if isinstance(fault, str) else fault.kind
        if (kind, on) == ("crash", "deploy"):
            with self._site.timeline.lock:
                self.images.failing += times
        else:
            super().fail(fault, on, times)

    @property
    def worker_requests(self) -> RequestLog:
        """What runners asked, oldest first."""
        return self._site.worker_requests

    @override
    def orphans(self) -> list[str]:
        """What is billed for nothing.

        Containers of stubs without an active deployment, and older versions that are active
        beside a newer one of their name: the gateway stops neither by itself.
        """
        with self._site.change():
            workspace = self._workspace
            active = [each for each in workspace.deployments if each.active]
            owned = {
                container
                for each in active
                if each.stub.id in workspace.desks
                for container in workspace.desks[each.stub.id].instance.containers
            }
            newest: dict[tuple[str, str], int] = {}
            for each in active:
                key = (each.name, each.stub.type)
                newest[key] = max(newest.get(key, 0), each.version)
            old = [
                f"{each.stub.kind}/{each.name}/v{each.version}"
                for each in active
                if each.version < newest[each.name, each.stub.type]
            ]
            return [each for each in self._site.meter.running() if each not in owned] + old

    # What tests set and look at

    @property
    def grpc_address(self) -> str:
        """``host:port`` of the gRPC face; empty where there is none."""
        return self._site.grpc_address

    @property
    def workspace_id(self) -> str:
        """External id of the workspace."""
        return self._site.workspace_id

    @property
    def signing_key(self) -> str:
        """What callbacks are signed with."""
        return self._site.signing_key

    @property
    def secrets(self) -> dict[str, str]:
        """Values of the workspace's secrets."""
        return self._workspace.secrets

    @property
    def workspace(self) -> Workspace:
        """The workspace's state, to look at."""
        return self._workspace

    def instance(self, kind: str, name: str, version: int = 1) -> Instance:
        """Give what runs a version, to look at.

        Raises:
            StopIteration: There is no such version.
        """
        with self._site.change():
            found = next(
                each
                for each in self._workspace.deployments
                if (each.stub.kind, each.name, each.version) == (kind, name, version)
            )
            return self._workspace.desk(found.stub).instance

    def kill_container(self, container_id: str) -> None:
        """Let a container die, as if it ran out of memory.

        Raises:
            KeyError: There is no such container.
        """
        with self._site.change():
            for desk in self._workspace.desks.values():
                if (container := desk.instance.containers.get(container_id)) is not None:
                    desk.fleet.failed(container, 137)
                    return
        raise KeyError(container_id)
