"""Baseten on loopback: all faces on one port, with state and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from gpuhub.testing.emulator import HttpEmulator
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub_baseten.emulator.account import Account
from gpuhub_baseten.emulator.fleet import Fleet
from gpuhub_baseten.emulator.machines import Workshop
from gpuhub_baseten.emulator.options import EmulatorOptions
from gpuhub_baseten.emulator.planes.belongings import Belongings
from gpuhub_baseten.emulator.planes.gateway import Gateway
from gpuhub_baseten.emulator.planes.graph import Graph
from gpuhub_baseten.emulator.planes.management import Management
from gpuhub_baseten.emulator.planes.queue import AsyncRequests
from gpuhub_baseten.emulator.planes.store import Store
from gpuhub_baseten.emulator.rollouts import Rollouts
from gpuhub_baseten.emulator.routes import Routes
from gpuhub_baseten.emulator.service import Service
from gpuhub_baseten.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_baseten.emulator.state import Deployment, Model, Replica

__all__ = ["BasetenEmulator"]


class BasetenEmulator(EmulatorFace[Site]):
    """One Baseten workspace, played on this machine.

    ``crash`` on ``stream`` lets a replica die after the first piece of a streamed answer.

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
        site = Site(options=self.options, clock=clock or VirtualClock())
        super().__init__(site, folder_for("baseten"))
        folder = self._folder
        self._workshop = Workshop(self._site, folder)
        rollouts = Rollouts(self._site, folder / "images")
        fleet = Fleet(
            self._site,
            folder,
            make=self._workshop.make,
            watch=self._watch,
            arrived=rollouts.arrived,
            failed=rollouts.failed,
        )
        rollouts.fleet = fleet
        self._account = Account(self._site, fleet, rollouts)
        self._gateway = Gateway(self._site, self._account)
        store = Store(self._site, folder / "store")
        belongings = Belongings(self._site, self._account)
        routes = Routes(
            Management(self._site, self._account, store),
            belongings,
            self._gateway,
            AsyncRequests(self._site, self._account, self._gateway),
            store,
            Graph(self._site, self._account, store, belongings),
        )
        service = Service(self._site, routes, self._gateway.close)
        self._server = HttpEmulator(service, port=port)

    # The face of all emulators

    @override
    def start(self) -> Mapping[str, str]:
        """Listen; gives ``api_url``, and templates: ``model_url`` and ``upload_url``.

        Raises:
            TrussMissing: Truss's own server is asked for and there is no Python for it.
            AdapterNotInstalled: The extra ``emulator`` is not installed.
            OSError: The port is taken.
        """
        self._workshop.open()
        url = self._serve(self._server.start)
        return {
            "api_url": url,
            "model_url": f"{url}/model-{{model_id}}",
            "upload_url": f"{url}/{{bucket}}",
        }

    @override
    def stop(self) -> None:
        """End every replica and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            for model in list(self._account.models.values()):
                self._account.remove_model(model)
        self._server.stop()
        remove_folder(self._folder)

    @override
    def orphans(self) -> list[str]:
        """Replicas that are billed and belong to no deployment."""
        with self._site.change():
            owned = {
                replica
                for model in self._account.models.values()
                for deployment in model.deployments.values()
                for replica in deployment.replicas
            }
            return [each for each in self._site.meter.running() if each not in owned]

    # What tests set and look at

    @property
    def secrets(self) -> dict[str, str]:
        """Values of the workspace's secrets."""
        return self._site.secrets

    def play(self, model_name: str, predict: Callable[[Any], Any]) -> None:
        """Let a Python function stand for what is pushed under a name.

        Args:
            model_name: Of the model.
            predict: Takes the decoded JSON body, gives a JSON value. It must be quick: it runs on
                the server's own thread.
        """
        self._workshop.played[model_name] = predict

    def kill_replica(self, replica_id: str) -> None:
        """Let the code of a replica die, as if it ran out of memory.

        Raises:
            KeyError: There is no such replica.
        """
        with self._site.change():
            deployment, replica = self._replica(replica_id)
            self._account.fleet.crashed(deployment, replica, 137)

    def model(self, name: str) -> Model:
        """Give the state of a model, to look at.

        Raises:
            KeyError: There is no such model.
        """
        found = self._account.named(name) or self._account.models.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def _watch(self, deployment: Deployment, replica: Replica) -> None:
        self._gateway.watch(deployment, replica)

    def _replica(self, replica_id: str) -> tuple[Deployment, Replica]:
        for model in self._account.models.values():
            for deployment in model.deployments.values():
                if replica_id in deployment.replicas:
                    return deployment, deployment.replicas[replica_id]
        raise KeyError(replica_id)
