"""The settings of ``[providers.baseten]`` that shape plans and requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gpuhub.errors import ConfigError

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["MODEL_URL", "PRODUCTION", "UPLOAD_URL", "Defaults"]

PRODUCTION = "production"
"""The environment that every model has."""
MODEL_URL = "https://model-{model_id}.api.baseten.co"
UPLOAD_URL = "https://{bucket}.s3.{region}.amazonaws.com"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ID = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What functions get that do not say otherwise; see the keys of the same names in ``info``."""

    environment: str = PRODUCTION
    team_id: str | None = None
    model_url: str = MODEL_URL
    upload_url: str = UPLOAD_URL

    @classmethod
    def of(cls, settings: ProviderSettings) -> Self:
        """Read and check the settings.

        Raises:
            ConfigError: A value cannot be used.
        """
        names = ("environment", "team_id", "model_url", "upload_url")
        values = {name: value for name in names if (value := settings.get(name)) is not None}
        made = cls(**values)
        if not _NAME.fullmatch(made.environment):
            raise ConfigError(
                f"providers.baseten.environment is a name like 'staging' (got"
                f" {made.environment!r})",
                next_step="correct it in gpuhub.toml or GPUHUB_BASETEN_ENVIRONMENT",
                provider="baseten",
            )
        if "{model_id}" not in made.model_url:
            raise ConfigError(
                f"providers.baseten.model_url has no {{model_id}} (got {made.model_url!r}): every"
                " model has an address of its own",
                next_step=f"write it like {MODEL_URL}",
                provider="baseten",
            )
        return made

    def model_address(self, model: str) -> str:
        """Give the base URL of a model.

        Raises:
            ConfigError: It is no id of a model.
        """
        if not _ID.fullmatch(model):
            raise ConfigError(
                f"{model!r} is no id of a model: those are letters and digits",
                next_step="copy it from the model's page: baseten://abc123",
                provider="baseten",
            )
        return self.model_url.replace("{model_id}", model).rstrip("/")
