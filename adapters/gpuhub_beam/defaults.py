"""The settings of ``[providers.beam]`` that shape a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gpuhub.errors import ConfigError

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["Defaults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What functions get that do not say otherwise; see the keys of the same names in ``info``.

    Attributes:
        is_hosted: The gateway is Beam's own, not a self-hosted beta9.
    """

    cpu: float = 1.0
    memory: int = 1024
    gpu_memory: int = 8192
    max_replicas: int = 10
    max_pending_tasks: int = 1000
    is_hosted: bool = True

    @classmethod
    def of(cls, settings: ProviderSettings, *, is_hosted: bool) -> Self:
        """Read and check the settings.

        Args:
            settings: Of the provider.
            is_hosted: The gateway is Beam's own.

        Raises:
            ConfigError: A value is out of range.
        """
        values = {name: value for name, value in settings.values.items() if name in cls.__slots__}
        made = cls(**values, is_hosted=is_hosted)
        for name in values:
            value = getattr(made, name)
            if value <= 0:
                raise ConfigError(
                    f"providers.beam.{name} is above 0 (got {value:g})",
                    next_step=f"correct it in gpuhub.toml or GPUHUB_BEAM_{name.upper()}",
                    provider="beam",
                )
        return made
