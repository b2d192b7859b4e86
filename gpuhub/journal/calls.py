"""Calls in flight, so that a crash loses none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gpuhub.adapter import CallRef
from gpuhub.journal.store import Store

__all__ = ["Calls", "Mode", "OpenCall", "prune_calls"]

Mode = Literal["remote", "spawn"]

KEPT_S = 7 * 24 * 3600.0
"""Seconds to remember how a spawned call ended."""

# A key is used again when its call is tried again: what the earlier try got stays known, unless
# that one had ended.
_BEGIN = (
    "INSERT INTO calls (key, provider, deployment, mode, begun_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET provider = excluded.provider,"
    " deployment = excluded.deployment, mode = excluded.mode, begun_at = excluded.begun_at,"
    " call = CASE WHEN outcome IS NULL THEN call END, outcome = NULL, ended_at = NULL"
)
_ACCEPT = "UPDATE calls SET call = ? WHERE key = ?"
_DROP = "DELETE FROM calls WHERE key = ? AND mode = 'remote'"
_END = "UPDATE calls SET outcome = ?, ended_at = ? WHERE key = ?"
_FORGET = "DELETE FROM calls WHERE call = ?"
_OPEN = (
    "SELECT key, provider, deployment, mode, call, begun_at FROM calls"
    " WHERE outcome IS NULL ORDER BY begun_at, key"
)
_PRUNE = "DELETE FROM calls WHERE ended_at < ?"


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that was begun and whose end is not known: in flight, or left by a crash.

    Attributes:
        key: Its idempotency key.
        provider: Adapter name.
        deployment: Address of the deployment.
        mode: ``"remote"`` for a caller that waits, ``"spawn"`` for one that does not.
        call: The provider's reference; ``None`` when no answer to the submit came back.
        begun_at: In seconds since 1970.
    """

    key: str
    provider: str
    deployment: str
    mode: Mode
    call: CallRef | None
    begun_at: float


class Calls:
    """The calls' part of the journal. A write survives kill -9, not the loss of power."""

    _store: Store
    _now: Callable[[], float]

    def begin_call(self, key: str, *, provider: str, deployment: str, mode: Mode) -> None:
        """Record a call that is about to be submitted.

        Args:
            key: Its idempotency key.
            provider: Adapter name.
            deployment: Address of the deployment.
            mode: ``"remote"`` or ``"spawn"``.

        Raises:
            JournalError: It was not recorded: do not submit it.
        """
        self._store.write(_BEGIN, key, provider, deployment, mode, self._now())

    def accept_call(self, key: str, call: CallRef) -> None:
        """Record the reference the provider gave."""
        self._store.write(_ACCEPT, str(call), key)

    def end_call(self, key: str, outcome: str) -> None:
        """Record how a call ended. A spawned call stays for seven days, any other is dropped.

        Args:
            key: The call's key; an unknown one is no error.
            outcome: A phase or the name of an error.
        """
        if not self._store.write(_DROP, key):
            self._store.write(_END, outcome, self._now(), key)

    def forget_call(self, call: CallRef) -> None:
        """Drop a call whose end its caller has seen; an unknown one is no error."""
        self._store.write(_FORGET, str(call))

    def open_calls(self) -> list[OpenCall]:
        """Calls that have not ended, oldest first; those of other processes, too."""
        return [
            OpenCall(key, provider, deployment, mode, CallRef.parse(call) if call else None, begun)
            for key, provider, deployment, mode, call, begun in self._store.rows(_OPEN)
        ]


def prune_calls(now: Callable[[], float], connection: sqlite3.Connection) -> None:
    """Drop the spawned calls that ended long ago."""
    connection.execute(_PRUNE, (now() - KEPT_S,))
