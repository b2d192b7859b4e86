"""The control plane: endpoints, their workers, releases and logs, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.waiting import hold
from gpuhub_runpod.emulator import bodies
from gpuhub_runpod.emulator.machines.images import on_loopback
from gpuhub_runpod.emulator.planes.events import log_events
from gpuhub_runpod.emulator.problems import Problem, conflict, missing
from gpuhub_runpod.emulator.rules import read_body
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.endpoints import Endpoint
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Endpoints"]

ImageExists = Callable[[str], bool]

_MISSING_IMAGES = ("runpod/pytorch:latest",)
"""Tags that RunPod's documentation shows as refused."""


class Endpoints:
    """``/v2/serverless``.

    Args:
        site: What all parts share.
        account: Whose endpoints.
        exists: Tells whether a registry on this machine has an image.

    Attributes:
        missing_images: Images that no registry has.
    """

    def __init__(self, site: Site, account: Account, exists: ImageExists) -> None:
        self._site = site
        self._account = account
        self._exists = exists
        self.missing_images: set[str] = set(_MISSING_IMAGES)

    async def all(self, _request: Request) -> Answer:
        """``GET /v2/serverless``."""
        with self._site.change():
            shown = [self._shown(each) for each in self._account.endpoints.values()]
        return Answer.of({"endpoints": shown})

    async def create(self, request: Request) -> Answer:
        """``POST /v2/serverless``."""
        sent = read_body(bodies.CreateEndpoint, request.body).sent()
        self._check_image(sent.get("image"))
        with self._site.change():
            endpoint = self._account.create(sent, is_broken=_breaks(request))
            return Answer.of(self._shown(endpoint), 201)

    async def get(self, _request: Request, endpoint_id: str) -> Answer:
        """``GET /v2/serverless/{id}``."""
        with self._site.change():
            return Answer.of(self._shown(self._account.endpoint(endpoint_id)))

    async def update(self, request: Request, endpoint_id: str) -> Answer:
        """``PATCH /v2/serverless/{id}``."""
        with self._site.change():
            endpoint = self._account.endpoint(endpoint_id)
        sent = read_body(bodies.UpdateEndpoint, request.body).sent()
        self._check_image(sent.get("image"))
        with self._site.change():
            self._account.update(endpoint, sent, is_broken=_breaks(request))
            return Answer.of(self._shown(endpoint))

    async def delete(self, _request: Request, endpoint_id: str) -> Answer:
        """``DELETE /v2/serverless/{id}``."""
        with self._site.change():
            self._account.delete(self._account.endpoint(endpoint_id))
        return Answer(204)

    async def workers(self, _request: Request, endpoint_id: str) -> Answer:
        """``GET /v2/serverless/{id}/workers``."""
        with self._site.change():
            endpoint = self._account.endpoint(endpoint_id)
        await hold(self._site, self._site.changed, endpoint.pending_boot_s)
        with self._site.change():
            return Answer.of(self._account.endpoint(endpoint_id).shown_workers())

    async def releases(self, _request: Request, endpoint_id: str) -> Answer:
        """``GET /v2/serverless/{id}/releases``."""
        with self._site.change():
            return Answer.of(self._account.endpoint(endpoint_id).shown_releases())

    async def logs(self, request: Request, endpoint_id: str, worker_id: str) -> Answer:
        """``GET /v2/serverless/{id}/workers/{workerId}/logs``."""
        with self._site.change():
            endpoint = self._account.endpoint(endpoint_id)
            if worker_id not in endpoint.logs:
                raise missing(f"worker {worker_id}")
        return log_events(self._site, endpoint, worker_id, request)

    def _shown(self, endpoint: Endpoint) -> dict[str, object]:
        return endpoint.shown(self._site.url)

    def _check_image(self, image: str | None) -> None:
        """Refuse an image that cannot be resolved, as RunPod does when an endpoint is made."""
        if image is None:
            return
        if not image:
            raise Problem(422, "Request validation failed.", ["$.image: must not be empty"])
        if image in self.missing_images or (on_loopback(image) and not self._exists(image)):
            raise conflict(f"image {image} was not found in its registry")


def _breaks(request: Request) -> bool:
    return request.fault is not None and request.fault.kind == "crash"
