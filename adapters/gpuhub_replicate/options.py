"""``options={"replicate": {…}}`` of a function: settings that only Replicate has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuhub.adapter.options import check_options

__all__ = ["Options", "read_options"]

_WORD = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"


class Options(BaseModel):
    """What may be set, checked.

    Attributes:
        hardware: SKU of ``GET /hardware``, in the place of what ``gpu`` says.
        model: Name of the model that versions are pushed to. Default: the deployment's name.
        mode: Way of the code, in the place of the setting.
        version: ``owner/name:id`` of a version that exists: it is deployed, no code is shipped.
        secrets_in_image: Allow values of local secrets in the image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hardware: str | None = Field(None, min_length=1)
    model: str | None = Field(None, pattern=rf"^{_WORD}$")
    mode: Literal["push", "cog"] | None = None
    version: str | None = Field(None, pattern=rf"^[A-Za-z0-9_-]+/{_WORD}:[0-9a-f]{{64}}$")
    secrets_in_image: bool | None = None


def read_options(given: Mapping[str, Any]) -> Options:
    """Check a function's options.

    Raises:
        SpecError: One is unknown or of the wrong kind.
    """
    return check_options(Options, given, provider="replicate", title="Replicate")
