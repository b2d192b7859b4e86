"""How the mock provider behaves, as its settings say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["CloudOptions", "Mode"]

Mode = Literal["inline", "thread", "subprocess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """Behaviour of one mock provider; times in seconds, sizes in bytes.

    Attributes:
        mode: Where functions run.
        cold_start_s: From a worker's start until it takes calls.
        result_ttl_s: How long the result of a spawned call is kept.
        payload_limit: Largest arguments of a call that is waited for.
        spawn_payload_limit: Largest arguments of a spawned call.
        result_limit: Largest result.
        idempotency_keys: Whether a second call with the same key is the same call.
        state_dir: Where deployments outlive the process; ``None``: nowhere.
    """

    mode: Mode = "inline"
    cold_start_s: float = 2.0
    result_ttl_s: float = 86_400.0
    payload_limit: int = 10_000_000
    spawn_payload_limit: int = 1_000_000
    result_limit: int = 20_000_000
    idempotency_keys: bool = True
    state_dir: Path | None = None
