"""RunPod on loopback: all planes on one port, with state and a clock."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from gpuhub.testing.emulator import HttpEmulator, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub_runpod.emulator.account import Account
from gpuhub_runpod.emulator.machines import Played, Workshop, sdk_python
from gpuhub_runpod.emulator.options import EmulatorOptions
from gpuhub_runpod.emulator.placement import Placement
from gpuhub_runpod.emulator.planes.balancer import Balancer
from gpuhub_runpod.emulator.planes.belongings import Belongings
from gpuhub_runpod.emulator.planes.control import Endpoints
from gpuhub_runpod.emulator.planes.jobs import Jobs
from gpuhub_runpod.emulator.planes.rentals import Rentals
from gpuhub_runpod.emulator.planes.workers import WorkerPlane
from gpuhub_runpod.emulator.routes import Routes
from gpuhub_runpod.emulator.service import Service
from gpuhub_runpod.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub.adapter import Clock
    from gpuhub_runpod.emulator.catalog import Catalog, Stock
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.jobs import Job

__all__ = ["RunPodEmulator"]

_WEBHOOK_TRIES = 3
_WEBHOOK_S = 5.0


class RunPodEmulator(EmulatorFace[Site]):
    """One RunPod account, played on this machine.

    ``crash`` on ``stream`` lets a worker die after the first item of a stream.

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
        super().__init__(site, folder_for("runpod"))
        folder = self._folder
        self._workshop = Workshop(self.options, folder, self._result, self._item)
        placement = Placement(self._site, self._workshop, folder)
        self._account = Account(self._site, placement, self._tell)
        self._endpoints = Endpoints(self._site, self._account, self._workshop.images.exists)
        balancer = Balancer(self._site, self._account)
        placement.watch_health = balancer.watch
        service = Service(
            self._site,
            Routes(
                self._endpoints,
                Belongings(self._site, self._account),
                Rentals(self._site, self._account),
                Jobs(self._site, self._account),
                WorkerPlane(self._site, self._account),
                balancer,
            ),
        )
        self._server = HttpEmulator(service, port=port)

    # The face of all emulators

    @override
    def start(self) -> Mapping[str, str]:
        """Listen; gives ``api_url`` and ``data_url``.

        Raises:
            SdkMissing: Real workers are asked for and there is no Python for them.
            AdapterNotInstalled: The extra ``emulator`` is not installed.
            OSError: The port is taken.
        """
        if self.options.workers == "sdk":
            sdk_python(self.options.sdk_python)
        self._workshop.open()
        url = self._serve(self._server.start)
        return {"api_url": f"{url}/v2", "data_url": f"{url}/v2"}

    @override
    def stop(self) -> None:
        """End every worker and stop listening. May be called twice."""
        self._unwatch()
        with self._site.timeline.lock:
            for endpoint in list(self._account.endpoints.values()):
                self._account.delete(endpoint)
        self._server.stop()
        remove_folder(self._folder)

    @property
    def worker_requests(self) -> RequestLog:
        """What workers asked, oldest first."""
        return self._site.worker_requests

    @override
    def orphans(self) -> list[str]:
        """Workers that are billed and belong to no endpoint; names that several endpoints have."""
        with self._site.change():
            endpoints = list(self._account.endpoints.values())
            owned = {worker for each in endpoints for worker in each.workers}
            names = [each.config["name"] for each in endpoints]
            twice = sorted({name for name in names if names.count(name) > 1})
            return [each for each in self._site.meter.running() if each not in owned] + twice

    # What tests set and look at

    @property
    def catalog(self) -> Catalog:
        """What there is to rent."""
        return self._site.catalog

    @property
    def secrets(self) -> dict[str, str]:
        """Values of ``{{ RUNPOD_SECRET_<name> }}``."""
        return self._site.user_secrets

    @property
    def missing_images(self) -> set[str]:
        """Images that no registry has."""
        return self._endpoints.missing_images

    def play(self, image: str, handler: Callable[[dict[str, Any]], Any], at_once: int = 0) -> None:
        """Let a Python function stand for an image; see :class:`Played`."""
        self._workshop.played[image] = Played(handler, at_once)

    def set_stock(self, name: str, stock: Stock) -> None:
        """Change how many cards of a type or pool there are; workers may start thereby."""
        with self._site.change():
            self._site.catalog.set_stock(name, stock)
            self._account.look_for_cards()

    def kill_worker(self, worker_id: str) -> None:
        """Let the code of a worker die, as if it ran out of memory.

        Raises:
            KeyError: There is no such worker.
        """
        with self._site.change():
            for endpoint in self._account.endpoints.values():
                if (worker := endpoint.workers.get(worker_id)) is not None:
                    self._account.desks[endpoint.id].crashed(worker, 137)
                    return
        raise KeyError(worker_id)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Give the state of an endpoint, to look at."""
        return self._account.endpoints[endpoint_id]

    # Inside

    def _result(self, job: Job, result: dict[str, Any]) -> None:
        with self._site.change():
            if (worker := job.worker) is not None:
                desk = self._desk_of(job)
                if desk is not None:
                    desk.accept_result(worker, job, result)

    def _item(self, job: Job, item: Any) -> None:
        with self._site.change():
            if (desk := self._desk_of(job)) is not None:
                desk.accept_item(job, item)

    def _desk_of(self, job: Job) -> Any:
        for endpoint in self._account.endpoints.values():
            if job.id in endpoint.jobs:
                return self._account.desks[endpoint.id]
        return None

    def _tell(self, job: Job) -> None:
        """Tell a webhook of the end of a job."""
        body = json.dumps(job.shown()).encode()
        threading.Thread(target=_post, args=(job.webhook, body), daemon=True).start()


def _post(url: str, body: bytes) -> None:
    """POST a webhook; repeated when it is not answered with 200, at once instead of after 10 s."""
    if not url.startswith("http://127.0.0.1:"):
        return  # an emulator reaches nothing but this machine
    headers = {"Content-Type": "application/json"}
    for _ in range(_WEBHOOK_TRIES):
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - loopback, see above
        try:
            with urllib.request.urlopen(request, timeout=_WEBHOOK_S) as answer:  # noqa: S310 - same
                if answer.status == 200:
                    return
        except OSError:
            continue
