"""What can go wrong at a provider: scripted, or at random from a seed."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = ["Fault", "FaultKind", "Faults"]

FaultKind = Literal[
    "cold_start",
    "capacity",
    "rate_limit",
    "crash",
    "timeout",
    "lost_response",
    "malformed",
    "server_error",
    "unauthorized",
]
"""``cold_start``: a worker takes long to start. ``capacity``: no GPU is free. ``rate_limit``: too
many requests. ``crash``: a worker, or a build, dies. ``timeout``: a call never ends by itself.
``lost_response``: the request took effect, its answer is lost. ``malformed``: the answer is not
what the provider documents. ``server_error``: the provider fails. ``unauthorized``: the credential
is refused."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: What, see :data:`FaultKind`.
        status: HTTP status of the answer. ``None``: the provider's usual one for the kind.
        code: The provider's own error code. ``None``: its usual one.
        message: Words of the answer. Empty: the emulator's own.
        delay_s: Seconds, of what the kind is about: length of a ``cold_start``, the time a
            ``rate_limit`` or ``capacity`` asks to wait. 0 leaves it to the emulator.

    Raises:
        ValueError: The kind is unknown, or the delay negative.
    """

    kind: FaultKind
    status: int | None = None
    code: str | None = None
    message: str = ""
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a kind that no emulator plays."""
        if self.kind not in get_args(FaultKind):
            known = ", ".join(get_args(FaultKind))
            raise ValueError(f"fault kind must be one of {known} (got {self.kind!r})")
        if self.delay_s < 0:
            raise ValueError(f"delay_s must be at least 0 (got {self.delay_s:g})")


@dataclass(slots=True)
class _Chance:
    fault: Fault
    on: str
    probability: float
    random: random.Random


@dataclass(slots=True)
class Faults:
    """The faults an emulator still has to play; safe to use from any thread."""

    _scripted: dict[str, deque[Fault]] = field(default_factory=dict)
    _chances: list[_Chance] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next operations of one kind fail, after those scripted before.

        Args:
            fault: What goes wrong; a kind alone takes its usual form.
            on: The operation, such as ``"submit"``, ``"deploy"`` or ``"poll"``.
            times: How many of them.
        """
        fault = Fault(fault) if isinstance(fault, str) else fault
        with self._lock:
            self._scripted.setdefault(on, deque()).extend([fault] * times)

    def randomly(
        self, fault: Fault | FaultKind, on: str = "submit", *, probability: float, seed: int
    ) -> None:
        """Let operations fail by chance; the same seed gives the same sequence.

        Raises:
            ValueError: The probability is not within 0 and 1.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be within 0 and 1 (got {probability:g})")
        fault = Fault(fault) if isinstance(fault, str) else fault
        source = random.Random(seed)  # noqa: S311 - repeatable is the point
        with self._lock:
            self._chances.append(_Chance(fault, on, probability, source))

    def take(self, operation: str) -> Fault | None:
        """Give the fault this operation meets, if any, and count it as played."""
        if not self._scripted and not self._chances:  # the way of nearly every call
            return None
        with self._lock:
            if waiting := self._scripted.get(operation):
                fault = waiting.popleft()
                if not waiting:
                    del self._scripted[operation]
                return fault
            for chance in self._chances:
                if chance.on == operation and chance.random.random() < chance.probability:
                    return chance.fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._scripted.clear()
            self._chances.clear()
