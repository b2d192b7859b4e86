"""``options={"beam": {…}}`` of a function: settings that only Beam has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options

__all__ = ["LONGEST_TTL_S", "Options", "read_options"]

LONGEST_TTL_S = 86_400
"""The gateway cuts a longer one to this."""


class Options(BaseModel):
    """What may be set, checked.

    Attributes:
        kind: ``endpoint`` (requests only: no spawned calls), ``taskqueue`` (every call through the
            queue), or ``auto`` (default): see :mod:`gpuhub_beam.kinds`.
        max_pending_tasks: Calls that may wait or run at a time; more are refused with 429.
            Default: the setting of that name.
        ttl: Seconds a spawned call may wait in the queue before Beam drops it. Default: the
            longest, a day.
        callback_url: URL that Beam calls at the end of every call.
        pool: Name of a private pool to run on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["auto", "endpoint", "taskqueue"] = "auto"
    max_pending_tasks: int | None = Field(None, ge=1)
    ttl: int = Field(LONGEST_TTL_S, ge=1, le=LONGEST_TTL_S)
    callback_url: str | None = Field(None, pattern=r"^https?://")
    pool: str | None = Field(None, min_length=1)


def read_options(given: Mapping[str, Any]) -> Options:
    """Check a function's options.

    Raises:
        SpecError: One is unknown or of the wrong kind.
    """
    return check_options(Options, given, provider="beam", title="Beam")
