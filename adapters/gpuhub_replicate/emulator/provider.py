"""Replicate on loopback: API, registry and files on one port, with state and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from gpuhub.testing.emulator import HttpEmulator
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub_replicate.emulator.account import Account
from gpuhub_replicate.emulator.files import Files
from gpuhub_replicate.emulator.hosted import add_hosted
from gpuhub_replicate.emulator.machines import Workshop, coglet_python
from gpuhub_replicate.emulator.models import Model, Played
from gpuhub_replicate.emulator.options import EmulatorOptions
from gpuhub_replicate.emulator.planes.deployments import Deployments
from gpuhub_replicate.emulator.planes.files import FilePlane
from gpuhub_replicate.emulator.planes.models import Models
from gpuhub_replicate.emulator.planes.predictions import Predictions
from gpuhub_replicate.emulator.registry import RegistryPlane, Store, UpstreamPlane
from gpuhub_replicate.emulator.registry.base import seed
from gpuhub_replicate.emulator.routes import Routes
from gpuhub_replicate.emulator.service import Service
from gpuhub_replicate.emulator.site import Site
from gpuhub_replicate.emulator.webhooks import Webhooks

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_replicate.emulator.deployments import Deployment
    from gpuhub_replicate.emulator.predictions import Prediction

__all__ = ["ReplicateEmulator"]


class ReplicateEmulator(EmulatorFace[Site]):
    """One Replicate account, played on this machine.

    ``crash`` on ``stream`` lets a worker die after the first item of an iterator. ``crash`` on
    ``deploy`` lets the registry refuse the next image.

    Args:
        options: How it behaves.
        clock: Its time. Default: a virtual clock, moved by whoever waits.
        port: Port to listen on; 0 (default) takes a free one.
    """

    _places: ClassVar = {("crash", "stream"): "stream item", ("crash", "deploy"): "manifest"}

    def __init__(
        self,
        options: EmulatorOptions | None = None,
        clock: Clock | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.options = options or EmulatorOptions()
        site = Site(options=self.options, clock=clock or VirtualClock())
        super().__init__(site, folder_for("replicate"))
        self._workshop = Workshop(self._site, self._folder)
        files, webhooks = Files(self._site), Webhooks(self._site)
        self._account = Account(self._site, self._workshop, files, webhooks)
        self._store = Store()
        seed(self._store)
        upstream = self.options.registry_upstream
        registry = (
            UpstreamPlane(self._account, self._store, upstream)
            if upstream
            else RegistryPlane(self._account, self._store)
        )
        routes = Routes(
            Models(self._account),
            Deployments(self._account),
            Predictions(self._account),
            FilePlane(self._account),
            registry,
        )
        self._server = HttpEmulator(Service(self._site, routes), port=port)

    # The face of all emulators

    @override
    def start(self) -> Mapping[str, str]:
        """Listen; gives ``api_url``, ``registry_url``, ``stream_url`` and ``delivery_url``.

        And ``cog_runtime``, which is no address: unlike Replicate's, the base images here come
        with Cog, so that nothing has to be fetched from a package index.

        Raises:
            CogletMissing: Real workers are asked for and there is no Python for them.
            AdapterNotInstalled: The extra ``emulator`` is not installed.
            OSError: The port is taken.
        """
        if self.options.workers == "coglet":
            coglet_python(self.options.coglet_python)
        self._workshop.open()
        url = self._serve(self._server.start)
        return {
            "api_url": f"{url}/v1",
            "registry_url": url,
            "stream_url": url,
            "delivery_url": url,
            "cog_runtime": "base",
        }

    @override
    def stop(self) -> None:
        """End every worker and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            self._account.close()
        self._server.stop()
        remove_folder(self._folder)

    @override
    def orphans(self) -> list[str]:
        """Workers that are billed and belong to no deployment and no version of the account's."""
        with self._site.change():
            pools = [desk.pool for desk in self._account.desks.values()]
            owned = {worker for pool in pools for worker in pool.workers}
            return [each for each in self._site.meter.running() if each not in owned]

    # What tests set and look at

    @property
    def username(self) -> str:
        """Name of the account."""
        return self.options.username

    def play(
        self,
        path: str,
        function: Callable[[dict[str, Any]], Any],
        schema: Mapping[str, Any],
        *,
        is_official: bool = True,
        on_thread: bool = False,
    ) -> Model:
        """Host a model that a Python function plays; see :class:`Played`.

        Args:
            path: ``owner/name``.
            function: Takes the input, returns the output or yields items.
            schema: Its OpenAPI document; :func:`schema_of` makes one.
            is_official: Whether it is called by its name alone.
            on_thread: Whether it may take long.
        """
        played = Played(function, on_thread)
        with self._site.change():
            model = add_hosted(self._site, path, played, schema, is_official=is_official)
            self._account.models[path] = model
        return model

    def kill_worker(self, worker_id: str) -> None:
        """Let the code of a worker die, as if it ran out of memory.

        Raises:
            KeyError: There is no such worker.
        """
        with self._site.change():
            for desk in self._account.desks.values():
                if (worker := desk.pool.workers.get(worker_id)) is not None:
                    desk.crashed(worker)
                    return
        raise KeyError(worker_id)

    def model(self, path: str) -> Model:
        """Give the state of a model, to look at."""
        return self._account.models[path]

    def deployment(self, name: str) -> Deployment:
        """Give the state of a deployment of the account's, to look at."""
        return self._account.deployments[f"{self.username}/{name}"]

    def prediction(self, prediction_id: str) -> Prediction:
        """Give the state of a prediction, to look at."""
        return self._account.predictions[prediction_id]
