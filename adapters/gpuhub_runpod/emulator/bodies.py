"""What the control plane takes: strict models of its requests, to RunPod's REST v2 document.

A name that the document does not have is refused. Rules between fields are in
:mod:`gpuhub_runpod.emulator.rules`: RunPod answers those with another status.
"""

# ruff: noqa: N815 - RunPod's names

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

__all__ = [
    "CreateDelegation",
    "CreateEndpoint",
    "CreateNetworkVolume",
    "CreateRegistry",
    "CreateTemplate",
    "UpdateEndpoint",
    "UpdateNetworkVolume",
    "UpdateTemplate",
]

Text = Annotated[str, StringConstraints(min_length=1)]
CudaVersion = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+$")]
CudaFloor = Annotated[str, StringConstraints(pattern=r"^$|^\d+\.\d+$")]
Excluded = Annotated[str, StringConstraints(pattern=r"^\s*[^-\s]")]


def _distinct(values: list[Any]) -> list[Any]:
    if any(value in values[:at] for at, value in enumerate(values)):
        raise ValueError("items must be unique")
    return values


Exclusions = Annotated[list[Excluded], AfterValidator(_distinct)]


class Body(BaseModel):
    """Strict about names and types, as the document's ``unevaluatedProperties: false``."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    def sent(self) -> dict[str, Any]:
        """The fields that were in the request."""
        return self.model_dump(exclude_unset=True)


class Container(Body):
    """``ContainerConfig``."""

    args: str | None = None
    disk: Annotated[int, Field(ge=1)] | None = None
    env: dict[str, str] | None = None
    image: str | None = None
    ports: list[str] | None = None
    registry: str | None = None

    @model_validator(mode="after")
    def _only_registry_may_be_null(self) -> Self:
        for name in self.model_fields_set - {"registry"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name}: null is no value of it")
        return self


class CreateGpu(Body):
    """``CreateEndpointGpuConfig``."""

    pools: Annotated[list[str], Field(min_length=1)]
    excludedTypes: Exclusions = Field(default_factory=list)
    count: Annotated[int, Field(ge=1)] = 1
    allowedCudaVersions: list[CudaVersion] = Field(default_factory=list)
    minCudaVersion: CudaVersion = Field(default="")


class UpdateGpu(Body):
    """``UpdateEndpointGpuConfig``."""

    pools: Annotated[list[str], Field(min_length=1)] = Field(default_factory=list)
    excludedTypes: Exclusions = Field(default_factory=list)
    count: Annotated[int, Field(ge=1)] = 1
    allowedCudaVersions: list[CudaVersion] = Field(default_factory=list)
    minCudaVersion: CudaFloor = ""

    @model_validator(mode="after")
    def _exclusions_need_pools(self) -> Self:
        if "excludedTypes" in self.model_fields_set and "pools" not in self.model_fields_set:
            raise ValueError("excludedTypes needs pools: the two are one selection")
        return self


class CreateCpu(Body):
    """``CreateCpuConfig``."""

    id: Text
    vcpuCount: Annotated[int, Field(ge=2)]


class Workers(Body):
    """``EndpointWorkers``."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)] = 3
    idleTimeout: Annotated[int, Field(ge=1, le=3600)] = 10


class QueueDelay(Body):
    """``QueueDelayScaling``."""

    type: Literal["QUEUE_DELAY"]
    queueDelay: Annotated[float, Field(ge=0.5)]


class RequestCount(Body):
    """``RequestCountScaling``."""

    type: Literal["REQUEST_COUNT"]
    requestCount: Annotated[int, Field(ge=1)]


Scaling = Annotated[QueueDelay | RequestCount, Field(discriminator="type")]
FlashBoot = Literal["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"]
EndpointType = Literal["QUEUE", "LOAD_BALANCER"]
Cpus = Annotated[list[CreateCpu], Field(min_length=1), AfterValidator(_distinct)]


class CreateEndpoint(Container):
    """``CreateEndpointRequest``."""

    name: Text
    type: EndpointType
    scaling: Scaling
    gpu: CreateGpu = Field(default=None)  # type: ignore[assignment]  # optional, but not null
    cpu: Cpus = Field(default_factory=list)
    dataCenterIds: list[str] = Field(default_factory=list)
    flashboot: FlashBoot = "OFF"
    networkVolumes: list[str] = Field(default_factory=list)
    templateId: Text = ""
    timeout: int = 300_000
    workers: Workers = Field(default_factory=Workers)

    @model_validator(mode="after")
    def _needs_an_image(self) -> Self:
        if "templateId" not in self.model_fields_set and self.image is None:
            raise ValueError("image: missing property")
        return self

    @model_validator(mode="after")
    def _balancers_count_requests(self) -> Self:
        if self.type == "LOAD_BALANCER" and self.scaling.type != "REQUEST_COUNT":
            raise ValueError("scaling.type: must be REQUEST_COUNT for LOAD_BALANCER")
        return self


class UpdateEndpoint(Container):
    """``UpdateEndpointRequest``: every field may be left out."""

    name: Text = ""
    scaling: Scaling = Field(default=None)  # type: ignore[assignment]
    gpu: UpdateGpu = Field(default=None)  # type: ignore[assignment]
    cpu: Cpus = Field(default_factory=list)
    dataCenterIds: list[str] = Field(default_factory=list)
    flashboot: FlashBoot = "OFF"
    networkVolumes: list[str] = Field(default_factory=list)
    templateId: str = ""
    timeout: int = 0
    workers: Workers = Field(default_factory=Workers)


class PersistentMount(Body):
    """``PersistentMount``."""

    size: Annotated[int, Field(ge=10)]
    path: str


class TemplateMounts(Body):
    """``TemplateMounts``."""

    persistent: PersistentMount = Field(default=None)  # type: ignore[assignment]


class _Template(Container):
    allowedCudaVersions: list[CudaVersion] = Field(default_factory=list)
    category: Literal["CPU", "NVIDIA", "AMD"] = "NVIDIA"
    mounts: TemplateMounts = Field(default_factory=TemplateMounts)
    public: bool = False
    serverless: bool = False
    startJupyter: bool = True
    startSsh: bool = True


class CreateTemplate(_Template):
    """``CreateTemplateRequest``."""

    name: Text
    image: str


class UpdateTemplate(_Template):
    """``UpdateTemplateRequest``."""

    name: Text = ""


VolumeSize = Annotated[int, Field(ge=10, le=4096)]


class CreateNetworkVolume(Body):
    """``CreateNetworkVolumeRequest``."""

    name: Text
    size: VolumeSize
    dataCenter: Text
    type: Literal["STANDARD", "HIGH_PERFORMANCE"] = "STANDARD"


class UpdateNetworkVolume(Body):
    """``UpdateNetworkVolumeRequest``."""

    name: Text = ""
    size: VolumeSize = 10

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("at least one field must be present")
        return self


class CreateRegistry(Body):
    """``CreateRegistryRequest``."""

    name: Text
    username: Text
    password: Text = Field(repr=False)


class CreateDelegation(Body):
    """``CreateDelegationRequest``."""

    resource: str
    name: str | None = None
