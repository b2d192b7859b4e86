"""``options={"modal": {…}}`` of a function: settings that only Modal has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options

__all__ = ["Options", "read_options"]


class Options(BaseModel):
    """What may be set, checked.

    Attributes:
        strategy: What a deploy does with running containers: ``rolling`` (default) lets them end
            their calls, ``recreate`` stops them.
        nonpreemptible: Containers that Modal does not move; three times the price. Default False.
        single_use_containers: A container for each call. Default False.
        block_network: No network in the container. Default False.
        cpu_limit: Most cores, above which a container is throttled. Default: Modal's.
        memory_limit: MiB, above which a container is killed. Default: none.
        label: First part of a web function's address.
        custom_domains: Domains of a web function.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    strategy: Literal["rolling", "recreate"] = "rolling"
    nonpreemptible: bool = False
    single_use_containers: bool = False
    block_network: bool = False
    cpu_limit: float | None = Field(None, gt=0)
    memory_limit: int | None = Field(None, ge=1)
    label: str | None = Field(None, pattern=r"^[a-z0-9-]{1,63}$")
    custom_domains: list[str] = Field(default_factory=list)


def read_options(given: Mapping[str, Any]) -> Options:
    """Check a function's options.

    Raises:
        SpecError: One is unknown or of the wrong kind.
    """
    return check_options(Options, given, provider="modal", title="Modal")
