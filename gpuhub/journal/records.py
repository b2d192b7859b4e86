"""What the journal tells about deployments, and its form in the file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gpuhub.adapter import DeploymentRef
from gpuhub.errors import JournalError
from gpuhub.journal.processes import Process
from gpuhub.journal.store import Row

__all__ = ["DeploymentRecord", "UnfinishedDeploy", "record_from", "ref_text", "unfinished_from"]

_REF_FIELDS = frozenset(field.name for field in fields(DeploymentRef))


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """A deployment that gpuhub made or changed.

    Attributes:
        record: Id of the record.
        fingerprint: Of the plan.
        created_at: When its deploy began, in seconds since 1970.
        plan: The plan, as ``Plan.to_dict`` gave it; empty for a deployment that this journal did
            not see made.
        ref: The deployment. Its fingerprint is empty once it differs from the plan.
    """

    record: int
    fingerprint: str
    created_at: float
    plan: dict[str, Any]
    ref: DeploymentRef


@dataclass(frozen=True, slots=True)
class UnfinishedDeploy:
    """A deploy that was begun and whose end is not known.

    Attributes:
        record: Id of the record.
        provider: Adapter name.
        name: gpuhub's name of the deployment.
        fingerprint: Of the plan.
        begun_at: In seconds since 1970.
        plan: The plan, as ``Plan.to_dict`` gave it.
        pid: The process that began it.
        alive: Whether that process still runs, so that it may be deploying right now.
    """

    record: int
    provider: str
    name: str
    fingerprint: str
    begun_at: float
    plan: dict[str, Any]
    pid: int
    alive: bool


def record_from(path: Path, row: Row) -> DeploymentRecord:
    """Read a row of id, fingerprint, time, plan and reference.

    Raises:
        JournalError: The row is damaged.
    """
    record, fingerprint, created_at, plan, ref = row
    # A newer gpuhub may write more fields without a new version of the file.
    known = {name: value for name, value in _object(path, ref).items() if name in _REF_FIELDS}
    return DeploymentRecord(
        record, fingerprint, created_at, _object(path, plan), DeploymentRef(**known)
    )


def unfinished_from(path: Path, row: Row) -> UnfinishedDeploy:
    """Read a row of id, provider, name, fingerprint, time, plan, process id and start.

    Raises:
        JournalError: The row is damaged.
    """
    record, provider, name, fingerprint, begun_at, plan, pid, started = row
    alive = Process(pid, started).is_alive
    facts = _object(path, plan)
    return UnfinishedDeploy(record, provider, name, fingerprint, begun_at, facts, pid, alive)


def ref_text(ref: DeploymentRef) -> str:
    """A deployment as JSON."""
    facts = {name: getattr(ref, name) for name in _REF_FIELDS}
    return json.dumps({**facts, "data": dict(ref.data)})


def _object(path: Path, text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise JournalError(
            f"the journal {path}: a record is damaged ({error})",
            next_step="move the file away, so that gpuhub starts a new one",
        ) from error
