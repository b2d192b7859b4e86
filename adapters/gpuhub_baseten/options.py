"""``options={"baseten": {…}}`` of a function: settings that only Baseten has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options

__all__ = ["Mount", "Options", "read_options"]


class Mount(BaseModel):
    """One volume of Baseten's delivery network, mounted read-only.

    Attributes:
        source: ``bdn:namespace/volume``, with ``:tag`` or ``@digest`` behind it.
        path: Where it is mounted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: Annotated[str, Field(pattern=r"^bdn:[^/:@]+/[^/:@]+([:@].+)?$")]
    path: Annotated[str, Field(pattern=r"^/.+")]


class Options(BaseModel):
    """What may be set, checked.

    Attributes:
        environment: Deploy to this environment, in the place of the setting of that name.
        instance_type: The whole machine by its name, such as ``"L4:4x16"``, in the place of what
            ``gpu``, ``cpu`` and ``memory`` come to.
        target_utilization: Percent of ``target_in_flight`` at which a replica is added. Default 70.
        max_scale_down_rate: Most percent of the replicas removed in one window.
        backpressure: What a full deployment does with further requests.
        webhook: Where results of spawned calls are sent: they go to ``async_predict`` then.
        max_time_in_queue: Seconds after which a queued ``async_predict`` expires. Default: 600.
        deploy_timeout_minutes: How long Baseten gives a build and start. Default: its own.
        deployment_name: Name of the deployment in Baseten's pages. Default: its own.
        python_executable_path: Python of an own image, where it is not ``python3`` on its path.
        streaming_read_timeout: Longest time between two items of a stream, in seconds. Default: the
            function's ``timeout``, 60 at least.
        bdn: Volumes of the delivery network to mount.
        egress_allow: Host names that replicas may reach; left out: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    environment: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    instance_type: str | None = Field(None, min_length=1)
    target_utilization: int = Field(70, ge=1, le=100)
    max_scale_down_rate: int | None = Field(None, ge=1, le=50)
    backpressure: Literal["QUEUE_ON_FULL", "REJECT_ON_FULL"] | None = None
    webhook: str | None = Field(None, pattern=r"^https://.+")
    max_time_in_queue: int | None = Field(None, ge=10, le=259_200)
    deploy_timeout_minutes: int | None = Field(None, ge=10, le=1440)
    deployment_name: str | None = Field(None, pattern=r"^[0-9a-zA-Z_.-]+$")
    python_executable_path: str | None = Field(None, pattern=r"^/.+")
    streaming_read_timeout: int | None = Field(None, ge=1)
    bdn: list[Mount] = Field(default_factory=list)
    egress_allow: list[str] | None = None


def read_options(given: Mapping[str, Any]) -> Options:
    """Check a function's options.

    Raises:
        SpecError: One is unknown or of the wrong kind.
    """
    return check_options(Options, given, provider="baseten", title="Baseten")
