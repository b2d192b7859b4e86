"""Rules that a well-formed endpoint must keep; what RunPod refuses with 400.

The order of the checks, and the words, are the emulator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gpuhub.worker.wire import loads
from gpuhub_runpod.emulator.problems import Problem, conflict, invalid

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.catalog import Catalog

__all__ = ["check_endpoint", "idles_by_request_count", "read_body"]

Model = TypeVar("Model", bound=BaseModel)


def read_body(model: type[Model], body: bytes) -> Model:
    """Read a request.

    Raises:
        Problem: 400 for what is no JSON, 422 for what is not of the documented form, naming
            every field that is wrong.
    """
    try:
        document = loads(body)
    except ValueError as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([_worded(each) for each in error.errors()]) from None


def _worded(error: Mapping[str, Any]) -> str:
    place = ".".join(["$", *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        parent, _, name = place.rpartition(".")
        return f"{parent}: additional properties '{name}' not allowed"
    if error["type"] == "missing":
        parent, _, name = place.rpartition(".")
        return f"{parent}: missing property '{name}'"
    return f"{place}: {error['msg']}"


def idles_by_request_count(endpoint: Mapping[str, Any]) -> bool:
    """Whether the endpoint is of the kind that takes no ``workers.idleTimeout``."""
    return bool(endpoint["type"] == "QUEUE" and endpoint["scaling"]["type"] == "REQUEST_COUNT")


def check_endpoint(endpoint: Mapping[str, Any], sent: Mapping[str, Any], catalog: Catalog) -> None:
    """Check an endpoint as it would be.

    Args:
        endpoint: All its fields after the request.
        sent: The fields of the request.
        catalog: What there is to rent.

    Raises:
        Problem: 400, two fields contradict each other, or name what does not exist.
    """
    if ("gpu" in endpoint) == ("cpu" in endpoint):
        raise conflict("exactly one of gpu and cpu must be given")
    if endpoint["type"] == "LOAD_BALANCER" and endpoint["scaling"]["type"] != "REQUEST_COUNT":
        raise conflict("a LOAD_BALANCER endpoint scales by REQUEST_COUNT only")
    if idles_by_request_count(endpoint) and "idleTimeout" in sent.get("workers", {}):
        raise conflict("workers.idleTimeout does not apply to QUEUE endpoints on REQUEST_COUNT")
    workers = endpoint["workers"]
    if workers["min"] > workers["max"] and workers["max"] > 0:
        raise conflict(f"workers.min {workers['min']} is above workers.max {workers['max']}")
    if "gpu" in endpoint:
        _check_gpu(endpoint["gpu"], catalog)
    else:
        _check_cpus(endpoint["cpu"], catalog)
    known = {center.id for center in catalog.data_centers}
    if unknown := [each for each in endpoint["dataCenterIds"] if each not in known]:
        raise conflict(f"dataCenterIds: unknown {', '.join(unknown)}")


def _check_gpu(gpu: Mapping[str, Any], catalog: Catalog) -> None:
    if unknown := [each for each in gpu["pools"] if each not in catalog.pools()]:
        raise conflict(f"gpu.pools: unknown {', '.join(unknown)}; see GET /v2/catalog/gpus")
    types = {each.id for each in catalog.pool(gpu["pools"])}
    excluded = [each.strip() for each in gpu["excludedTypes"]]
    if unknown := [each for each in excluded if each not in types]:
        raise conflict(f"gpu.excludedTypes: not a type of the pools: {', '.join(unknown)}")
    if not types - set(excluded):
        raise conflict("gpu.excludedTypes leaves no type in the pools")
    if gpu["allowedCudaVersions"] and gpu["minCudaVersion"]:
        raise conflict("gpu.allowedCudaVersions and gpu.minCudaVersion exclude each other")


def _check_cpus(cpus: list[Mapping[str, Any]], catalog: Catalog) -> None:
    for each in cpus:
        flavour, count = catalog.cpu(each["id"]), each["vcpuCount"]
        if flavour is None:
            raise conflict(f"cpu: unknown flavour {each['id']}; see GET /v2/catalog/cpus")
        if count & (count - 1) or count > flavour.most:
            raise conflict(f"cpu.vcpuCount {count}: must be a power of two up to {flavour.most}")
