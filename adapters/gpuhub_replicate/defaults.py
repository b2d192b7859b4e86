"""The settings of ``[providers.replicate]`` that shape plans and calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from gpuhub.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import SecretStr

    from gpuhub.settings import ProviderSettings

__all__ = ["Defaults"]

_CHOICES = {"mode": ("push", "cog"), "cog_runtime": ("wheels", "base")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What functions get that do not say otherwise; see the keys of the same names in ``info``."""

    registry_url: str = "https://r8.im"
    delivery_url: str = "https://replicate.delivery"
    stream_url: str = "https://streaming.api.replicate.com"
    owner: str | None = None
    base_image: str = "cog-base:python{python}"
    gpu_base_image: str = "cog-base:cuda12.4-python{python}"
    mode: str = "push"
    cog_runtime: str = "wheels"
    secrets_in_image: bool = False
    run_limit: float = 1800.0
    output_folder: Path | None = None
    api_token: SecretStr | None = field(default=None, repr=False)
    registry_token: SecretStr | None = field(default=None, repr=False)
    cache: Path = Path(".gpuhub/replicate")

    @classmethod
    def of(cls, settings: ProviderSettings) -> Self:
        """Read and check the settings.

        Raises:
            ConfigError: A value is out of range.
        """
        given = {
            name: value
            for name, value in settings.values.items()
            if name in cls.__slots__ and value is not None
        }
        for name, allowed in _CHOICES.items():
            if given.get(name, allowed[0]) not in allowed:
                raise _wrong(name, given[name], allowed)
        if given.get("run_limit", 1.0) <= 0:
            raise _wrong("run_limit", given["run_limit"], ("a number of seconds above 0",))
        if "output_folder" in given:
            given["output_folder"] = settings.root / given["output_folder"]
        return cls(
            **given,
            api_token=settings.find_credential("api_token"),
            registry_token=settings.find_credential("registry_token"),
            cache=settings.state_dir / "replicate",
        )

    @property
    def registry(self) -> str:
        """The registry as references name it: host, and port where one is written."""
        return urlsplit(self.registry_url).netloc

    @property
    def registry_is_plain(self) -> bool:
        """Whether the registry is spoken to over plain HTTP."""
        return urlsplit(self.registry_url).scheme == "http"


def _wrong(name: str, value: object, allowed: Collection[str]) -> ConfigError:
    return ConfigError(
        f"providers.replicate.{name} is {' or '.join(allowed)} (got {value!r})",
        next_step=f"correct it in gpuhub.toml or GPUHUB_REPLICATE_{name.upper()}",
        provider="replicate",
    )
