"""Deployment records, each written before its create call."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import JournalError
from gpuhub.journal.processes import Process
from gpuhub.journal.records import (
    DeploymentRecord,
    UnfinishedDeploy,
    record_from,
    ref_text,
    unfinished_from,
)
from gpuhub.journal.store import Store

__all__ = ["Deployments"]

KEPT_PER_NAME = 50
"""Ended deploys to remember for each deployment: enough to roll back to."""

_BEGIN = (
    "INSERT INTO deployments (provider, name, fingerprint, created_at, plan, pid, process, state)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 'begun')"
)
_PRUNE = (
    "DELETE FROM deployments WHERE id IN (SELECT id FROM deployments"
    " WHERE provider = ? AND name = ? AND state <> 'begun'"
    " ORDER BY turn DESC, id DESC LIMIT -1 OFFSET ?)"
)
_END = "UPDATE deployments SET state = ?, message = ? WHERE id = ?"
_MAKE_CURRENT = (
    "UPDATE deployments SET ref = ?, turn = (SELECT max(turn) + 1 FROM deployments) WHERE id = ?"
)
_CURRENT = (
    "SELECT id, fingerprint, created_at, plan, ref FROM deployments"
    " WHERE provider = ? AND name = ? AND state = 'finished' ORDER BY turn DESC LIMIT 1"
)
_ALL_CURRENT = (
    "SELECT id, fingerprint, created_at, plan, ref FROM deployments WHERE turn IN"
    " (SELECT max(turn) FROM deployments WHERE state = 'finished' GROUP BY provider, name)"
    " AND state = 'finished' AND provider = coalesce(?, provider) ORDER BY provider, name"
)
_OF_PLAN = (
    "SELECT id FROM deployments WHERE provider = ? AND name = ? AND state = 'finished'"
    " AND ? IN ('', fingerprint) ORDER BY turn DESC LIMIT 1"
)
_ADD = (
    "INSERT INTO deployments (provider, name, fingerprint, created_at, plan, state)"
    " VALUES (?, ?, ?, ?, '{}', 'finished')"
)
_FORGET = "DELETE FROM deployments WHERE provider = ? AND name = ? AND state <> 'begun'"
_UNFINISHED = (
    "SELECT id, provider, name, fingerprint, created_at, plan, pid, process FROM deployments"
    " WHERE state = 'begun' ORDER BY id"
)


class Deployments:
    """The deployments' part of the journal. Every write survives the loss of power."""

    _store: Store
    _now: Callable[[], float]

    def begin_deploy(
        self, *, provider: str, name: str, fingerprint: str, plan: Mapping[str, Any]
    ) -> int:
        """Record a deploy that is about to create something.

        Args:
            provider: Adapter name.
            name: gpuhub's name of the deployment.
            fingerprint: Of the plan.
            plan: The plan as JSON; with the names of secrets, never their values.

        Returns:
            Id of the record, for :meth:`finish_deploy` or :meth:`fail_deploy`.

        Raises:
            JournalError: It was not recorded: do not create anything.
        """
        process = Process.current()
        facts = (provider, name, fingerprint, self._now(), json.dumps(dict(plan)))
        with self._store.transaction(durable=True) as connection:
            connection.execute(_PRUNE, (provider, name, KEPT_PER_NAME))
            cursor = connection.execute(_BEGIN, (*facts, process.pid, process.started))
            return int(cursor.lastrowid or 0)

    def finish_deploy(self, record: int, ref: DeploymentRef) -> None:
        """Record what a deploy made; from now on it is the current deployment of its name.

        Raises:
            JournalError: There is no such record, or it cannot be written.
        """
        with self._store.transaction(durable=True) as connection:
            self._end(connection, record, "finished")
            connection.execute(_MAKE_CURRENT, (ref_text(ref), record))

    def fail_deploy(self, record: int, message: str) -> None:
        """Record that a deploy made nothing.

        Raises:
            JournalError: There is no such record, or it cannot be written.
        """
        with self._store.transaction(durable=True) as connection:
            self._end(connection, record, "failed", message)

    def deployment(self, provider: str, name: str) -> DeploymentRecord | None:
        """The current deployment of a name: the last one finished, updated or rolled back to."""
        rows = self._store.rows(_CURRENT, provider, name)
        return record_from(self._store.path, rows[0]) if rows else None

    def deployments(self, provider: str | None = None) -> list[DeploymentRecord]:
        """The current deployments of one provider or all, by provider and name."""
        rows = self._store.rows(_ALL_CURRENT, provider)
        return [record_from(self._store.path, row) for row in rows]

    def update_deployment(self, ref: DeploymentRef) -> None:
        """Record that a deployment changed: after scale and rollback.

        The record whose plan has the fingerprint of ``ref`` becomes the current one. Without a
        fingerprint the current one stays it. Where there is none, one without a plan is made.
        """
        name = (ref.provider, ref.name, ref.fingerprint)
        with self._store.transaction(durable=True) as connection:
            found = connection.execute(_OF_PLAN, name).fetchone()
            record = found[0] if found else connection.execute(_ADD, (*name, self._now())).lastrowid
            connection.execute(_MAKE_CURRENT, (ref_text(ref), record))

    def forget_deployment(self, provider: str, name: str) -> None:
        """Drop all records of a name, after its delete; unfinished deploys stay."""
        with self._store.transaction(durable=True) as connection:
            connection.execute(_FORGET, (provider, name))

    def unfinished_deploys(self) -> list[UnfinishedDeploy]:
        """Deploys that were begun and neither finished nor failed, oldest first.

        One that is ``alive`` may be running right now, in another process.
        """
        return [unfinished_from(self._store.path, row) for row in self._store.rows(_UNFINISHED)]

    def resolve_unfinished(self, record: int, outcome: str) -> None:
        """Record what became of an unfinished deploy that left nothing to keep.

        For one that did make something, call :meth:`finish_deploy` instead.

        Args:
            record: Id of the record.
            outcome: What was found, in words.

        Raises:
            JournalError: There is no such record, or it cannot be written.
        """
        with self._store.transaction(durable=True) as connection:
            self._end(connection, record, "resolved", outcome)

    def _end(
        self, connection: sqlite3.Connection, record: int, state: str, message: str = ""
    ) -> None:
        if not connection.execute(_END, (state, message, record)).rowcount:
            raise JournalError(
                f"the journal {self._store.path} has no record {record} of a deploy",
                next_step="see what exists at the provider with `gpuhub doctor`",
            )
