"""``/v1/account``, ``/v1/hardware``, ``/v1/models`` and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub_replicate.emulator.bodies import ModelChange, ModelCreation, read
from gpuhub_replicate.emulator.catalog import HARDWARE
from gpuhub_replicate.emulator.models import Model, Version
from gpuhub_replicate.emulator.paging import paged
from gpuhub_replicate.emulator.problems import Problem, missing
from gpuhub_replicate.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.account import Account

__all__ = ["Models"]


class Models:
    """Handlers.

    Args:
        account: Whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._site = account.site

    async def account(self, _request: Request) -> Answer:
        """``GET /v1/account``."""
        return Answer.of(self._account.shown())

    async def hardware(self, _request: Request) -> Answer:
        """``GET /v1/hardware``."""
        return Answer.of([{"name": name, "sku": sku} for sku, name in HARDWARE.items()])

    async def secret(self, _request: Request) -> Answer:
        """``GET /v1/webhooks/default/secret``."""
        return Answer.of({"key": self._site.options.webhook_secret})

    async def all(self, request: Request) -> Answer:
        """``GET /v1/models``: public ones, and the account's own."""
        with self._site.change():
            models = list(reversed(self._account.models.values()))
            return paged(request, self._site.url, models, Model.shown)

    async def create(self, request: Request) -> Answer:
        """``POST /v1/models``."""
        sent = read(request, ModelCreation)
        with self._site.change():
            self._account.check_hardware(sent.hardware)
            if sent.owner != self._account.owner:
                raise Problem(403, f"You cannot create models owned by {sent.owner}.")
            path = f"{sent.owner}/{sent.name}"
            if path in self._account.models:
                words = f"- name: A model with that name already exists: {path}\n"
                raise Problem(409, words, title="Model already exists")
            given = sent.model_dump(exclude_none=True)
            facts = {name: given[name] for name in _FACTS if name in given}
            model = Model(sent.owner, sent.name, sent.visibility, sent.hardware, facts)
            model.created_at = self._site.stamp()
            self._account.models[path] = model
            return Answer.of(model.shown(), 201)

    async def get(self, _request: Request, owner: str, name: str) -> Answer:
        """``GET /v1/models/{owner}/{name}``."""
        with self._site.change():
            return Answer.of(self._account.model(owner, name).shown())

    async def update(self, request: Request, owner: str, name: str) -> Answer:
        """``PATCH /v1/models/{owner}/{name}``."""
        sent = read(request, ModelChange)
        with self._site.change():
            model = self._account.own_model(owner, name)
            model.facts |= sent.model_dump(exclude_unset=True)
            return Answer.of(model.shown())

    async def delete(self, _request: Request, owner: str, name: str) -> Answer:
        """``DELETE /v1/models/{owner}/{name}``: own, private, without versions."""
        with self._site.change():
            model = self._account.own_model(owner, name)
            if model.visibility != "private" or model.versions:
                raise Problem(
                    403,
                    "Only private models without versions can be deleted.",
                    title="Model cannot be deleted",
                )
            del self._account.models[model.path]
            return Answer(204)

    async def versions(self, request: Request, owner: str, name: str) -> Answer:
        """``GET /v1/models/{owner}/{name}/versions``."""
        with self._site.change():
            versions = list(reversed(self._account.model(owner, name).versions.values()))
            return paged(request, self._site.url, versions, Version.shown)

    async def version(self, _request: Request, owner: str, name: str, version_id: str) -> Answer:
        """``GET /v1/models/{owner}/{name}/versions/{id}``."""
        with self._site.change():
            return Answer.of(self._version(owner, name, version_id).shown())

    async def drop(self, _request: Request, owner: str, name: str, version_id: str) -> Answer:
        """``DELETE /v1/models/{owner}/{name}/versions/{id}``: own, private, not deployed."""
        with self._site.change():
            model = self._account.own_model(owner, name)
            version = self._version(owner, name, version_id)
            if model.visibility != "private" or self._account.used_by(version):
                raise Problem(
                    403,
                    "Only versions of private models that no deployment uses can be deleted.",
                    title="Version cannot be deleted",
                )
            self._account.drop_version(version)
            return Answer(202)

    def _version(self, owner: str, name: str, version_id: str) -> Version:
        found: Any = self._account.model(owner, name).versions.get(version_id)
        if found is None:
            raise missing()
        return found  # type: ignore[no-any-return]


_FACTS = ("description", "github_url", "paper_url", "license_url", "cover_image_url")
