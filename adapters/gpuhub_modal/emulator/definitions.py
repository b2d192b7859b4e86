"""What one deploy says about a function, and the limits that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Definition", "Limits"]

DEFAULT_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force for a function.

    Attributes:
        min_containers: Containers that stay.
        max_containers: Most containers; ``None``: no limit.
        buffer_containers: Containers beyond what the load needs, while there is load.
        scaledown_s: How long an idle container lives.
        target: Inputs for each container that the autoscaler aims at.
        most: Inputs that one container runs at once.
        batch_size: Inputs of one batch; 0: none.
        batch_linger_s: How long a batch waits to fill.
        timeout_s: How long one attempt may run.
        startup_s: How long a container may take to start.
        is_single_use: A container runs one input.
    """

    min_containers: int = 0
    max_containers: int | None = None
    buffer_containers: int = 0
    scaledown_s: float = 60.0
    target: int = 1
    most: int = 1
    batch_size: int = 0
    batch_linger_s: float = 0.0
    timeout_s: float = DEFAULT_TIMEOUT_S
    startup_s: float = DEFAULT_TIMEOUT_S
    is_single_use: bool = False

    @classmethod
    def of(cls, sent: Any, scaledown_s: float, overrides: Mapping[str, int]) -> Limits:
        """Read them from Modal's ``Function``.

        Args:
            sent: The function's definition.
            scaledown_s: Window of a function that names none.
            overrides: What was set for the autoscaler since, by field.
        """
        settings = {
            field.name: value for field, value in sent.autoscaler_settings.ListFields()
        } | dict(overrides)
        most = max(1, sent.max_concurrent_inputs)
        return cls(
            min_containers=settings.get("min_containers", 0),
            max_containers=settings.get("max_containers") or None,
            buffer_containers=settings.get("buffer_containers", 0),
            scaledown_s=settings.get("scaledown_window") or scaledown_s,
            target=sent.target_concurrent_inputs or most,
            most=most,
            batch_size=sent.batch_max_size,
            batch_linger_s=sent.batch_linger_ms / 1000,
            timeout_s=sent.timeout_secs or DEFAULT_TIMEOUT_S,
            startup_s=sent.startup_timeout_secs or sent.timeout_secs or DEFAULT_TIMEOUT_S,
            is_single_use=sent.single_use_containers,
        )


@dataclass(slots=True, eq=False)
class Definition:
    """One definition of a function; does not change.

    Attributes:
        id: ``de-…``.
        function_id: Whose it is.
        ranked: Modal's ``Function`` for each GPU in the order of preference; one without a list.
        data: Modal's ``FunctionData``, as it is shown.
        url: Address of a web function.
        serialized_params: Arguments of the class, for an instance of one.
    """

    id: str
    function_id: str
    ranked: list[Any] = field(repr=False)
    data: Any = field(repr=False)
    url: str = ""
    serialized_params: bytes = b""

    @property
    def sent(self) -> Any:
        """Modal's ``Function`` of the first choice."""
        return self.ranked[0]

    @property
    def key(self) -> bytes:
        """Equal for equal definitions."""
        return b"\0".join(each.SerializeToString(deterministic=True) for each in self.ranked)
