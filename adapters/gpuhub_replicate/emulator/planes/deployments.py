"""``/v1/deployments``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_replicate.emulator.bodies import DeploymentChange, DeploymentCreation, read
from gpuhub_replicate.emulator.deployments import Deployment
from gpuhub_replicate.emulator.models import Version
from gpuhub_replicate.emulator.paging import paged
from gpuhub_replicate.emulator.problems import Problem
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["Deployments"]


class Deployments:
    """Handlers.

    Args:
        account: Whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._site = account.site

    async def all(self, request: Request) -> Answer:
        """``GET /v1/deployments``."""
        with self._site.change():
            deployments = list(reversed(self._account.deployments.values()))
            return paged(request, self._site.url, deployments, Deployment.shown)

    async def create(self, request: Request) -> Answer:
        """``POST /v1/deployments``."""
        sent = read(request, DeploymentCreation)
        with self._site.change():
            self._account.check_hardware(sent.hardware)
            _check_limits(sent.min_instances, sent.max_instances)
            version = self._version(sent.model, sent.version)
            if f"{self._account.owner}/{sent.name}" in self._account.deployments:
                words = f"- name: A deployment with that name already exists: {sent.name}\n"
                raise Problem(409, words, title="Deployment already exists")
            made = self._account.create(
                sent.name, version, sent.hardware, sent.min_instances, sent.max_instances
            )
            return Answer.of(made.shown())

    async def get(self, _request: Request, owner: str, name: str) -> Answer:
        """``GET /v1/deployments/{owner}/{name}``."""
        with self._site.change():
            return Answer.of(self._account.deployment(owner, name).shown())

    async def update(self, request: Request, owner: str, name: str) -> Answer:
        """``PATCH /v1/deployments/{owner}/{name}``: a new release, whatever changes."""
        sent = read(request, DeploymentChange)
        with self._site.change():
            deployment = self._account.deployment(owner, name)
            before = deployment.release
            smallest, largest = before.min_instances, before.max_instances
            smallest = smallest if sent.min_instances is None else sent.min_instances
            largest = largest if sent.max_instances is None else sent.max_instances
            _check_limits(smallest, largest)
            hardware = sent.hardware or before.hardware
            self._account.check_hardware(hardware)
            version = before.version
            if sent.version is not None:
                version = self._version(deployment.model, sent.version)
            self._account.release(deployment, version, hardware, smallest, largest)
            return Answer.of(deployment.shown())

    async def delete(self, _request: Request, owner: str, name: str) -> Answer:
        """``DELETE /v1/deployments/{owner}/{name}``."""
        with self._site.change():
            self._account.delete(self._account.deployment(owner, name))
            return Answer(204)

    def _version(self, path: str, version_id: str) -> Version:
        """Find a version of one model.

        Raises:
            Problem: 422, as the API says when it does not exist or is not for everybody.
        """
        model = self._account.models.get(path)
        version = model.versions.get(version_id) if model is not None else None
        if version is None:
            raise Problem(
                422,
                "The specified version does not exist (or perhaps you don't have permission to "
                "use it?)",
                title="Invalid version or not permitted",
            )
        return version


def _check_limits(smallest: int, largest: int) -> None:
    """Refuse what contradicts itself; words are a guess."""
    if smallest > largest:
        words = f"- min_instances: {smallest} is more than max_instances, {largest}\n"
        raise Problem(422, words, title="Invalid request body")
