"""The catalog, and the bill."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.reading import rfc3339
from gpuhub_runpod.emulator.problems import Problem, missing
from gpuhub_runpod.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.account import Account
    from gpuhub_runpod.emulator.site import Site

__all__ = ["Rentals"]


class Rentals:
    """``/v2/catalog`` and ``/v2/billing/serverless``.

    Args:
        site: What all parts share.
        account: Whose bill.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account

    async def all(self, request: Request, kind: str) -> Answer:
        """``GET /v2/catalog/{gpus,cpus,datacenters,templates}``."""
        names = {"datacenters": "dataCenters"}
        return Answer.of({names.get(kind, kind): self._shown(request, kind)})

    async def get(self, request: Request, kind: str, key: str) -> Answer:
        """``GET /v2/catalog/{gpus,cpus,datacenters}/{id}``."""
        for each in self._shown(request, kind):
            if each["id"] == key:
                return Answer.of(each)
        raise missing(f"{kind.removesuffix('s')} {key}")

    async def bill(self, request: Request) -> Answer:
        """``GET /v2/billing/serverless``: one record for each endpoint, all time in one bucket."""
        wanted = request.query.get("serverlessId")
        with self._site.timeline.lock:
            records = self._records()
            now = rfc3339(self._site.timeline.wall())
        records = [each for each in records if wanted in (None, each["serverlessId"])]
        fields = ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount", "feeAmount")
        totals = {name: sum(each[name] for each in records) for name in fields}
        metadata = {
            "query": {
                "startTime": min([each["startTime"] for each in records], default=now),
                "endTime": now,
                "bucketSize": "month",
            },
            "recordCount": len(records),
            "uniqueServerlessCount": len(records),
            "totals": totals,
        }
        return Answer.of({"records": records, "metadata": metadata})

    def _shown(self, request: Request, kind: str) -> list[dict[str, Any]]:
        catalog = self._site.catalog
        if kind == "gpus":
            with_stock = _with_stock(request)
            return [each.shown(with_stock=with_stock) for each in catalog.gpus]
        if kind == "cpus":
            return [each.shown() for each in catalog.cpus]
        if kind == "datacenters":
            return [each.shown() for each in catalog.data_centers]
        with self._site.timeline.lock:
            return [each for each in self._account.templates.values() if each["public"]]

    def _records(self) -> list[dict[str, Any]]:
        """Amounts of the endpoints there are: list prices, each worker rounded up to a second."""
        billed = self._site.meter.billed_seconds(self._site.timeline.now())
        now = rfc3339(self._site.timeline.wall())
        found = []
        for endpoint in self._account.endpoints.values():
            seconds = sum(math.ceil(billed.get(worker, 0.0)) for worker in endpoint.logs)
            gpu, cpu = self._per_second(endpoint.config)
            amounts = {"gpuAmount": seconds * gpu, "cpuAmount": seconds * cpu}
            found.append(
                {
                    "serverlessId": endpoint.id,
                    "startTime": rfc3339(endpoint.created_at),
                    "endTime": now,
                    "totalAmount": sum(amounts.values()),
                    **amounts,
                    "diskAmount": 0.0,
                    "feeAmount": 0.0,
                }
            )
        return found

    def _per_second(self, config: dict[str, Any]) -> tuple[float, float]:
        catalog = self._site.catalog
        if "gpu" in config:
            types = catalog.pool(config["gpu"]["pools"], config["gpu"]["excludedTypes"])
            return (types[0].per_second * config["gpu"]["count"] if types else 0.0, 0.0)
        first = config["cpu"][0]
        flavour = catalog.cpu(first["id"])
        return (0.0, first["vcpuCount"] * flavour.price / 3600 if flavour else 0.0)


def _with_stock(request: Request) -> bool:
    """Whether stock is asked for; it goes only together with a product."""
    include, product = request.query.get("include"), request.query.get("product")
    if include not in (None, "AVAILABILITY"):
        raise Problem(400, f"include must be AVAILABILITY (got {include!r})")
    if (include is None) != (product is None):
        raise Problem(400, "include=AVAILABILITY and product go together")
    return include is not None
