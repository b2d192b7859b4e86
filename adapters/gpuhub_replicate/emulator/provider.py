"""Replicate on loopback: API, registry and files on one port, with state and a clock."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gpuhub.testing.emulator import BilledSeconds, Fault, FaultKind, HttpEmulator, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
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

_LOOK_S, _PATIENCE_S = 0.01, 2.0


class ReplicateEmulator:
    """One Replicate account, played on this machine.

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
        self.clock: Any = clock or VirtualClock()
        self._site = Site(options=self.options, clock=self.clock)
        name = f"gpuhub-replicate-{secrets.token_hex(8)}"
        self._folder = Path(tempfile.gettempdir(), name)
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
        self._unwatch: Callable[[], None] = lambda: None

    # The face of all emulators

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
        url = self._server.start()
        self._site.url = url
        watch = getattr(self.clock, "on_advance", None)
        if watch is not None:
            self._unwatch()
            self._unwatch = watch(self._site.timeline.settle)
        return {
            "api_url": f"{url}/v1",
            "registry_url": url,
            "stream_url": url,
            "delivery_url": url,
            "cog_runtime": "base",
        }

    def stop(self) -> None:
        """End every worker and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            self._account.close()
        self._server.stop()
        self._remove_folder()

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next operations of one kind go wrong.

        ``crash`` on ``stream`` lets a worker die after the first item of an iterator. ``crash`` on
        ``deploy`` lets the registry refuse the next image. ``lost_response`` with code
        ``halfway`` drops the connection in the middle of an answer.
        """
        kind = fault if isinstance(fault, str) else fault.kind
        self._site.faults.fail(fault, _place(kind, on), times)

    def fail_randomly(
        self, fault: Fault | FaultKind, on: str = "submit", *, probability: float, seed: int
    ) -> None:
        """Let operations fail by chance; the same seed gives the same sequence."""
        kind = fault if isinstance(fault, str) else fault.kind
        self._site.faults.randomly(fault, _place(kind, on), probability=probability, seed=seed)

    @property
    def requests(self) -> RequestLog:
        """What clients asked, oldest first."""
        return self._site.requests

    @property
    def billed_seconds(self) -> BilledSeconds:
        """Worker id -> seconds billed so far."""
        with self._site.change():
            return self._site.meter.billed_seconds(self._site.timeline.now())

    def orphans(self) -> list[str]:
        """Workers that are billed and belong to no deployment and no version of the account's."""
        with self._site.change():
            pools = [desk.pool for desk in self._account.desks.values()]
            owned = {worker for pool in pools for worker in pool.workers}
            return [each for each in self._site.meter.running() if each not in owned]

    # What tests set and look at

    @property
    def url(self) -> str:
        """Base address of everything."""
        return self._site.url

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

    def _remove_folder(self) -> None:
        """Remove what workers leave; one that is just being killed may still write."""
        ends = time.monotonic() + _PATIENCE_S
        while self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            if time.monotonic() > ends:
                return
            time.sleep(_LOOK_S if self._folder.exists() else 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _place(kind: str, on: str) -> str:
    return {("crash", "stream"): "stream item", ("crash", "deploy"): "manifest"}.get((kind, on), on)
