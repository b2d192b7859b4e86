"""Modal on loopback: its control plane over gRPC, with state and a clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from typing_extensions import override

from gpuhub.testing.emulator import RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub_modal.emulator.apps import Workspace
from gpuhub_modal.emulator.calling import Calling
from gpuhub_modal.emulator.defining import Definer
from gpuhub_modal.emulator.desk import Desk
from gpuhub_modal.emulator.fleet import Fleet
from gpuhub_modal.emulator.machines import Workshop
from gpuhub_modal.emulator.options import EmulatorOptions
from gpuhub_modal.emulator.placement import Placement
from gpuhub_modal.emulator.planes.apps import Apps
from gpuhub_modal.emulator.planes.calls import Calls
from gpuhub_modal.emulator.planes.containers import Containers
from gpuhub_modal.emulator.planes.files import FilePlane, ImagePlane
from gpuhub_modal.emulator.planes.functions import Functions
from gpuhub_modal.emulator.planes.logs import Logs
from gpuhub_modal.emulator.planes.objects import SecretPlane, VolumePlane
from gpuhub_modal.emulator.protobuf import load_wire
from gpuhub_modal.emulator.publishing import Publisher
from gpuhub_modal.emulator.server import GrpcServer
from gpuhub_modal.emulator.service import Service
from gpuhub_modal.emulator.site import Site
from gpuhub_modal.emulator.store import Store
from gpuhub_modal.emulator.web import Addresses

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_modal.emulator.functions import Function

__all__ = ["ModalEmulator"]

_PLACES = {
    ("crash", "deploy"): "image build",
    ("crash", "stream"): "stream item",
}


class ModalEmulator(EmulatorFace[Site]):
    """One Modal workspace, played on this machine.

    Faults are scripted on an operation as in :attr:`requests`, or on the name of an RPC. ``crash``
    on ``deploy`` lets the build of an image fail, on ``stream`` a container die after the first
    item. A ``crash`` on ``submit`` takes every container that takes the input, until it fails;
    with code ``once`` only the first, as Modal documents that inputs are rescheduled. All else on
    ``deploy`` happens to the publishing.

    Args:
        options: How it behaves.
        clock: Its time. Default: a virtual clock, moved by whoever waits.
        port: Port to listen on; 0 (default) takes a free one.
    """

    def __init__(
        self,
        options: EmulatorOptions | None = None,
        clock: Clock | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.options = options or EmulatorOptions()
        folder = folder_for("modal")
        site = Site(options=self.options, clock=clock or VirtualClock(), folder=folder)
        super().__init__(site, folder)
        self._store = store = Store(site)
        self._workspace = workspace = Workspace(site)
        self._workshop = Workshop(self.options, folder)
        self._placement = Placement(site, store, self._workshop)
        calling = Calling(site)
        self._addresses = Addresses(site, store, calling)
        planes = (
            Apps(site, workspace, Publisher(site, workspace, calling)),
            Functions(
                site,
                workspace,
                Definer(site, store),
                self._staff,
                self._addresses.of_function,
            ),
            Calls(site, workspace, calling),
            Containers(site, workspace, calling),
            FilePlane(site, store, self._addresses.of_blob),
            ImagePlane(site, store),
            SecretPlane(site, workspace, store),
            VolumePlane(site, workspace, store, self._addresses.of_blob),
            Logs(site, workspace, self._placement),
        )
        service = Service(site, planes, self._placement.containers.get)
        self._server = GrpcServer(site, service.answers, port)

    # The face of all emulators

    @override
    def start(self) -> Mapping[str, str]:
        """Listen; gives ``server_url``.

        Raises:
            AdapterNotInstalled: ``modal`` is not installed.
            ConfigError: The installed ``modal`` has another protocol than this knows.
            OSError: The port is taken.
        """
        self._site.wire = load_wire()
        self._workshop.open()
        url = self._serve(self._server.start)
        return {"server_url": url}

    @override
    def stop(self) -> None:
        """End every container and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            for app in list(self._workspace.apps.values()):
                self._workspace.stop(app)
            self._placement.end_all()
        self._addresses.stop()
        self._server.stop()
        remove_folder(self._folder)

    @property
    def container_requests(self) -> RequestLog:
        """What containers asked, oldest first."""
        return self._site.container_requests

    @override
    def orphans(self) -> list[str]:
        """Containers that are billed and belong to no app; names that several apps have."""
        with self._site.change():
            apps = [each for each in self._workspace.apps.values() if not each.is_stopped]
            owned = {
                container
                for function in self._workspace.functions.values()
                if not function.is_stopped
                for container in function.containers
            }
            names = [(each.environment, each.name) for each in apps if each.name]
            twice = sorted({name for _, name in names if names.count((_, name)) > 1})
            return [each for each in self._site.meter.running() if each not in owned] + twice

    # What tests set and look at

    @property
    def workspace(self) -> Workspace:
        """Apps and functions, to look at."""
        return self._workspace

    @property
    def store(self) -> Store:
        """Files, images, secrets and volumes, to look at."""
        return self._store

    @property
    def sold_out(self) -> set[str]:
        """GPUs of which none is free; containers that wait look again at :meth:`restock`."""
        return self._site.sold_out

    def restock(self) -> None:
        """Let containers that wait for a card look for one."""
        with self._site.change():
            for function in self._workspace.functions.values():
                function.desk.fleet.look_for_cards()

    def set_secret(self, name: str, values: Mapping[str, str], environment: str = "main") -> None:
        """Make a secret, or replace one, as somebody does in Modal's dashboard."""
        with self._site.change():
            self._store.secrets.create(environment, name, values, replace=True)

    def kill_container(self, task_id: str) -> None:
        """Let the code of a container die, as if it ran out of memory.

        Raises:
            KeyError: There is no such container.
        """
        with self._site.change():
            for function in self._workspace.functions.values():
                if (container := function.containers.get(task_id)) is not None:
                    function.desk.died(container, 137)
                    return
        raise KeyError(task_id)

    # Inside

    @override
    def _place(self, kind: str, on: str) -> str:
        return _PLACES.get((kind, on), "AppPublish" if on == "deploy" else on)

    def _staff(self, function: Function) -> None:
        def hire(desk: Desk) -> Fleet:
            return Fleet(function, self._placement, died=desk.died, freed=desk.dispatch)

        function.desk = Desk(function, hire)
