"""Everything in one RunPod account: endpoints, templates, volumes, registry credentials."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub_runpod.emulator.desk import Desk
from gpuhub_runpod.emulator.endpoints import Endpoint
from gpuhub_runpod.emulator.fleet import Fleet
from gpuhub_runpod.emulator.problems import Problem, conflict, missing
from gpuhub_runpod.emulator.rules import check_endpoint

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.placement import Placement
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Account"]

_CONTAINER = {"args": "", "disk": 20, "env": {}, "image": "", "ports": [], "registry": None}
_DEFAULTS: dict[str, Any] = {
    **_CONTAINER,
    "dataCenterIds": [],
    "flashboot": "OFF",
    "networkVolumes": [],
    "timeout": 300_000,
}
_GPU = {"count": 1, "excludedTypes": [], "allowedCudaVersions": [], "minCudaVersion": ""}
_WORKERS = {"min": 0, "max": 3, "idleTimeout": 10}
_LIMITS = ("workers", "scaling", "timeout")


@dataclass
class Account:
    """One account. Every method needs the lock.

    Attributes:
        site: What all parts share.
        placement: Finds cards and makes machines.
        told: Called with a job that ended and has a webhook.
        desks: Of the endpoints, by id.
        endpoints: By id, oldest first.
        templates: By id, as they are shown.
        volumes: Network volumes by id, as they are shown.
        registries: Registry credentials by id, as they are shown.
        delegations: Delegations to a registry at AWS by id, as they are shown.
        deleted: Ids of endpoints that are gone.
    """

    site: Site
    placement: Placement
    told: Callable[[Job], None]
    desks: dict[str, Desk] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    registries: dict[str, dict[str, Any]] = field(default_factory=dict)
    delegations: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Give an endpoint.

        Raises:
            Problem: 404.
        """
        if endpoint_id not in self.endpoints:
            raise missing(f"endpoint {endpoint_id}")
        return self.endpoints[endpoint_id]

    def desk(self, endpoint_id: str) -> Desk:
        """Give the desk of an endpoint.

        Raises:
            Problem: 404.
        """
        self.endpoint(endpoint_id)
        return self.desks[endpoint_id]

    def create(self, sent: Mapping[str, Any], *, is_broken: bool = False) -> Endpoint:
        """Make an endpoint.

        Args:
            sent: The fields of the request.
            is_broken: Whether its containers die at the start.

        Raises:
            Problem: Fields contradict each other, or name what does not exist.
        """
        fields = self._with_template(sent)
        config = {**copy.deepcopy(_DEFAULTS), **fields}
        config["workers"] = {**_WORKERS, **fields.get("workers", {})}
        if "gpu" in config:
            config["gpu"] = _tidy({**_GPU, **config["gpu"]})
            self._seed_cuda(config, sent)
        if "cpu" in config:
            config["cpu"] = [self._with_memory(each) for each in config["cpu"]]
        self._check(config, sent)
        endpoint = Endpoint(self.site, self.site.new_id(), config, self.site.timeline.wall())
        endpoint.asked_at = self.site.timeline.now()
        endpoint.add_release(config)
        self.endpoints[endpoint.id] = endpoint
        self.desks[endpoint.id] = Desk(
            endpoint, lambda desk: self._fleet(endpoint, desk), self.told
        )
        self._watch_idleness(endpoint)
        self._roll_out(endpoint, is_broken=is_broken)
        return endpoint

    def update(self, endpoint: Endpoint, sent: Mapping[str, Any], *, is_broken: bool) -> None:
        """Change an endpoint.

        Raises:
            Problem: Fields contradict each other, or name what does not exist.
        """
        fields = self._with_template(sent)
        config = {**copy.deepcopy(endpoint.config), **fields}
        family = "gpu" if "gpu" in endpoint.config else "cpu"
        other = "cpu" if family == "gpu" else "gpu"
        if other in fields:
            raise conflict(f"{other}: the endpoint's compute family is {family} for good")
        if "workers" in fields:
            config["workers"] = {**endpoint.config["workers"], **fields["workers"]}
        if "gpu" in fields:
            config["gpu"] = _changed_gpu(endpoint.config["gpu"], fields["gpu"])
        if "cpu" in fields:
            config["cpu"] = [self._with_memory(each) for each in fields["cpu"]]
        self._check(config, sent, endpoint)
        desk = self.desks[endpoint.id]
        if endpoint.add_release(config) is not None:
            self._roll_out(endpoint, is_broken=is_broken)
        if any(name in fields for name in _LIMITS):
            desk.fleet.review_idleness()
        desk.fleet.scale()
        desk.dispatch()

    def delete(self, endpoint: Endpoint) -> None:
        """Delete an endpoint with its workers and jobs."""
        desk = self.desks.pop(endpoint.id)
        endpoint.is_deleted = True
        desk.drop_all()
        for worker in list(endpoint.workers.values()):
            desk.fleet.stop(worker)
        del self.endpoints[endpoint.id]
        self.deleted.add(endpoint.id)

    def look_for_cards(self) -> None:
        """Place workers that wait for a card."""
        for desk in self.desks.values():
            desk.fleet.look_for_cards()

    def _fleet(self, endpoint: Endpoint, desk: Desk) -> Fleet:
        return Fleet(endpoint, self.placement, crashed=desk.crashed, freed=desk.dispatch)

    def _roll_out(self, endpoint: Endpoint, *, is_broken: bool) -> None:
        endpoint.release.is_broken = is_broken
        fleet = self.desks[endpoint.id].fleet
        fleet.replace()
        if is_broken and endpoint.config["workers"]["max"] > 0:
            fleet.start()  # to get the image, which tells that it does not start
        fleet.scale()

    def _check(
        self, config: Mapping[str, Any], sent: Mapping[str, Any], endpoint: Endpoint | None = None
    ) -> None:
        check_endpoint(config, sent, self.site.catalog)
        for volume in config["networkVolumes"]:
            if volume not in self.volumes:
                raise conflict(f"networkVolumes: unknown {volume}")
        if config["registry"] is not None and config["registry"] not in self.registries:
            raise conflict(f"registry: unknown {config['registry']}")
        quota = self.site.options.worker_quota
        others = [each for each in self.endpoints.values() if each is not endpoint]
        total = sum(each.config["workers"]["max"] for each in others) + config["workers"]["max"]
        if quota is not None and total > quota:
            raise conflict(f"max workers of all endpoints are {total}; your quota is {quota}")

    def _with_template(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        fields = copy.deepcopy(dict(sent))
        template_id = fields.pop("templateId", None)
        if not template_id:
            return fields
        template = self.templates.get(template_id)
        if template is None:
            raise missing(f"template {template_id}")
        if not template["serverless"]:
            raise Problem(422, f"template {template_id} is no serverless template")
        copied = {name: copy.deepcopy(template[name]) for name in _CONTAINER}
        return {**copied, **fields, "env": {**copied["env"], **fields.get("env", {})}}

    def _seed_cuda(self, config: dict[str, Any], sent: Mapping[str, Any]) -> None:
        template = self.templates.get(sent.get("templateId", ""))
        gpu = sent["gpu"]
        if template and not {"allowedCudaVersions", "minCudaVersion"} & set(gpu):
            config["gpu"]["allowedCudaVersions"] = list(template["allowedCudaVersions"])

    def _with_memory(self, cpu: Mapping[str, Any]) -> dict[str, Any]:
        flavour = self.site.catalog.cpu(cpu["id"])
        ram = flavour.ram if flavour is not None else 1
        return {**cpu, "memory": max(1, int(cpu["vcpuCount"] * ram))}

    def _watch_idleness(self, endpoint: Endpoint) -> None:
        for idle_s, most in self.site.options.idle_cuts:
            self._watch_for_cut(endpoint, idle_s, most)

    def _watch_for_cut(self, endpoint: Endpoint, idle_s: float, most: int) -> None:
        def look() -> None:
            if endpoint.is_deleted:
                return
            if self.site.timeline.now() >= endpoint.asked_at + idle_s:
                self._cut(endpoint, most)
            self._watch_for_cut(endpoint, idle_s, most)

        now, due = self.site.timeline.now(), endpoint.asked_at + idle_s
        self.site.timeline.at(due if due > now else now + idle_s, look)

    def _cut(self, endpoint: Endpoint, most: int) -> None:
        """RunPod's own cut of the workers of an endpoint that nobody asks."""
        workers = dict(endpoint.config["workers"])
        if workers["max"] > most:
            workers |= {"max": most, "min": min(workers["min"], most)}
            endpoint.config = {**endpoint.config, "workers": workers}
            self.desks[endpoint.id].fleet.scale()


def _changed_gpu(before: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Give the selection after a PATCH: pools alone clear the exclusions."""
    gpu = {**before, **sent}
    if "pools" in sent and "excludedTypes" not in sent:
        gpu["excludedTypes"] = []
    return _tidy(gpu)


def _tidy(gpu: dict[str, Any]) -> dict[str, Any]:
    gpu["excludedTypes"] = [each.strip() for each in gpu["excludedTypes"]]
    return gpu
