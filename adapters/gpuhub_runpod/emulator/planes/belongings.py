"""Templates, network volumes and registry credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub.adapter.reading import rfc3339
from gpuhub_runpod.emulator import bodies
from gpuhub_runpod.emulator.problems import Problem, conflict, missing
from gpuhub_runpod.emulator.rules import read_body
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Belongings"]

Kept = dict[str, dict[str, Any]]

_TEMPLATE: dict[str, Any] = {
    "args": "",
    "disk": 20,
    "env": {},
    "ports": [],
    "registry": None,
    "mounts": {},
    "serverless": False,
    "public": False,
    "category": "NVIDIA",
    "startSsh": True,
    "startJupyter": True,
    "allowedCudaVersions": [],
}


class Belongings:
    """``/v2/templates``, ``/v2/network-volumes`` and ``/v2/registries``.

    Args:
        site: What all parts share.
        account: Whose they are.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account

    def _kept(self, collection: str) -> Kept:
        kept: dict[str, Kept] = {
            "templates": self._account.templates,
            "network-volumes": self._account.volumes,
            "registries": self._account.registries,
            "delegations": self._account.delegations,
        }
        return kept[collection]

    async def all(self, _request: Request, collection: str) -> Answer:
        """``GET`` of a collection."""
        names = {"network-volumes": "networkVolumes"}
        with self._site.timeline.lock:
            shown = list(self._kept(collection).values())
        return Answer.of({names.get(collection, collection): shown})

    async def get(self, _request: Request, collection: str, key: str) -> Answer:
        """``GET`` of one."""
        with self._site.timeline.lock:
            return Answer.of(self._one(collection, key))

    async def delete(self, _request: Request, collection: str, key: str) -> Answer:
        """``DELETE`` of one."""
        with self._site.timeline.lock:
            self._one(collection, key)
            if collection == "registries" and any(
                each.config["registry"] == key for each in self._account.endpoints.values()
            ):
                raise conflict(f"registry {key} is used by an endpoint")
            del self._kept(collection)[key]
        return Answer(204)

    async def create(self, request: Request, collection: str) -> Answer:
        """``POST`` to a collection."""
        makers = {
            "templates": self._new_template,
            "network-volumes": self._new_volume,
            "registries": self._new_registry,
            "delegations": self._new_delegation,
        }
        with self._site.timeline.lock:
            made = makers[collection](request.body)
            self._kept(collection)[made["id"]] = made
        return Answer.of(made, 201)

    async def update(self, request: Request, collection: str, key: str) -> Answer:
        """``PATCH`` of one."""
        with self._site.timeline.lock:
            kept = self._one(collection, key)
            if collection == "templates":
                kept |= read_body(bodies.UpdateTemplate, request.body).sent()
            elif collection == "network-volumes":
                sent = read_body(bodies.UpdateNetworkVolume, request.body).sent()
                if sent.get("size", kept["size"]) < kept["size"]:
                    raise conflict(f"size {sent['size']} is below the present {kept['size']} GB")
                kept |= sent
            else:
                raise Problem(405, f"{collection} cannot be changed")
            return Answer.of(kept)

    def _one(self, collection: str, key: str) -> dict[str, Any]:
        kept = self._kept(collection)
        if key not in kept:
            raise missing(f"{collection.removesuffix('s')} {key}")
        return kept[key]

    def _new_template(self, body: bytes) -> dict[str, Any]:
        sent = read_body(bodies.CreateTemplate, body).sent()
        return {**_TEMPLATE, **sent, "id": self._site.new_id()}

    def _new_volume(self, body: bytes) -> dict[str, Any]:
        sent = read_body(bodies.CreateNetworkVolume, body).sent()
        known = {center.id for center in self._site.catalog.data_centers}
        if sent["dataCenter"] not in known:
            raise conflict(f"dataCenter: unknown {sent['dataCenter']}")
        return {"type": "STANDARD", **sent, "id": self._site.new_id("vol_")}

    def _new_registry(self, body: bytes) -> dict[str, Any]:
        sent = read_body(bodies.CreateRegistry, body)
        return {"id": self._site.new_id("reg_"), "name": sent.name}

    def _new_delegation(self, body: bytes) -> dict[str, Any]:
        sent = read_body(bodies.CreateDelegation, body)
        repository, _, tag = sent.resource.rpartition("/")[2].partition(":")
        parts = sent.resource.split(":")
        if len(parts) < 6:
            raise conflict(f"resource: {sent.resource} is no ARN of a repository")
        return {
            "id": self._site.new_id("del_"),
            "name": sent.name,
            "delegatorUserId": "user_emulated",
            "awsUser": parts[4],
            "repository": repository,
            "tag": tag or "latest",
            "awsRegion": parts[3],
            "createdAt": rfc3339(self._site.timeline.wall()),
        }
