"""The settings of ``[providers.runpod]`` that shape a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gpuhub.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub.settings import ProviderSettings

__all__ = ["Defaults"]

# One environment string holds 131,071 bytes and all together about 2 MB, code in base64.
_MOST_INLINE = 1_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What functions get that do not say otherwise; see the keys of the same names in ``info``."""

    inline_bundle_limit: int = 200_000
    gpu_image: str = "runpod/queue-gpu:py{python}-latest"
    cpu_image: str = "runpod/queue:py{python}-latest"
    web_image: str = "python:{python}-slim"
    prefetch: int = 100
    flashboot: bool = False
    local_secrets_in_env: bool = False
    registry: str | None = None
    registry_username: str | None = None
    registry_insecure: bool = False
    registry_auth_id: str | None = None
    registry_password: SecretStr | None = None
    cache: Path = Path(".gpuhub/runpod")

    @classmethod
    def of(cls, settings: ProviderSettings) -> Self:
        """Read and check the settings.

        Raises:
            ConfigError: A value is out of range.
        """
        values = {name: value for name, value in settings.values.items() if name in cls.__slots__}
        made = cls(
            **values,
            registry_password=settings.find_credential("registry_password"),
            cache=settings.state_dir / "runpod",
        )
        made._check()
        return made

    def _check(self) -> None:
        bounds = {"inline_bundle_limit": (0, _MOST_INLINE), "prefetch": (1, 1000)}
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(
                    f"providers.runpod.{name} is from {least:,} to {most:,} (got {value:,})",
                    next_step=f"correct it in gpuhub.toml or GPUHUB_RUNPOD_{name.upper()}",
                    provider="runpod",
                )
