"""``options={"runpod": {…}}`` of a function: settings that only RunPod has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options

__all__ = ["Options", "read_options"]


class Options(BaseModel):
    """What may be set, checked.

    Attributes:
        flashboot: ``OFF``, ``FLASHBOOT`` or ``PRIORITY_FLASHBOOT``, in the place of what
            ``snapshot`` says.
        image_has_worker: The image starts a RunPod worker by itself: run it as it is.
        ship: Way of the code, in the place of the automatic choice.
        prefetch: Most jobs a worker holds while jobs are short; 1 switches it off. Default: the
            setting of that name.
        local_secrets_in_env: Allow values of local secrets in the environment.
        allowed_cuda_versions: Exactly these CUDA versions, in the place of ``min_cuda``.
        ttl: Seconds after which RunPod deletes a job, queue time included. Default: its own, a day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    flashboot: Literal["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"] | None = None
    image_has_worker: bool = False
    ship: Literal["inline", "registry"] | None = None
    prefetch: int | None = Field(None, ge=1, le=1000)
    local_secrets_in_env: bool | None = None
    allowed_cuda_versions: list[str] | None = Field(None, min_length=1)
    ttl: float | None = Field(None, ge=10, le=604_800)


def read_options(given: Mapping[str, Any]) -> Options:
    """Check a function's options.

    Raises:
        SpecError: One is unknown or of the wrong kind.
    """
    return check_options(Options, given, provider="runpod", title="RunPod")
