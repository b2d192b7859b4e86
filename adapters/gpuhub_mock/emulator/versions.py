"""Versions of a deployment, and which of them serves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from gpuhub.adapter import Rollout
from gpuhub.worker.target import Target
from gpuhub_mock.emulator.bodies import DeploymentBody

__all__ = ["VersionRecord"]


@dataclass(slots=True, eq=False)
class VersionRecord:
    """One version.

    Attributes:
        id: ``"1"``, ``"2"``, …
        body: What was asked for; holds no secret value.
        created_at: Seconds since the epoch.
        rollout: Whether it can serve.
        log_tail: Last lines of a failed build or start.
        target: What runs.
        live: The function or class itself, where this process has it.
        secrets: Values of secrets by environment variable; in memory only.
    """

    id: str
    body: DeploymentBody
    created_at: float
    rollout: Rollout = Rollout.READY
    log_tail: tuple[str, ...] = ()
    live: Any = None
    secrets: dict[str, SecretStr] = field(default_factory=dict, repr=False)
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        """Read the target."""
        self.target = self.body.code.read_target()

    def gpu(self, out_of_stock: Collection[str]) -> str | None:
        """Give the first acceptable GPU that there is.

        Args:
            out_of_stock: Canonical names of those there are none of.

        Returns:
            Such as ``"H100:2"``; empty for CPU only, ``None`` when there is none.
        """
        choices = self.body.hardware.gpu
        for choice in choices:
            if choice.type not in out_of_stock:
                return choice.type if choice.count == 1 else f"{choice.type}:{choice.count}"
        return None if choices else ""
