"""Deploys that were interrupted: what became of each, as the provider tells it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef
    from gpuhub.journal import UnfinishedDeploy
    from gpuhub.workspace import Workspace

__all__ = ["Found", "look_up", "reconcile"]

Outcome = Literal["exists", "not-created", "running", "not-looked-up", "adopted"]


@dataclass(frozen=True, slots=True)
class Found:
    """One interrupted deploy.

    Attributes:
        deploy: As the journal has it.
        outcome: ``exists`` or ``not-created`` at the provider, ``running`` in another process,
            ``not-looked-up`` when the provider could not be asked; after :func:`reconcile`
            ``adopted`` for what existed.
        ref: What exists.
        known: Whether a finished deploy of that name is in the journal: then what exists is
            most likely that one.
        detail: Why it was not looked up.
    """

    deploy: UnfinishedDeploy
    outcome: Outcome
    ref: DeploymentRef | None = None
    known: bool = False
    detail: str = ""

    @property
    def is_orphan(self) -> bool:
        """Whether something exists that no finished deploy knows."""
        return self.outcome == "exists" and not self.known

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return {
            "deployment": self.deploy.name,
            "provider": self.deploy.provider,
            "begun_at": self.deploy.begun_at,
            "outcome": self.outcome,
            "detail": self.detail,
        }


def look_up(workspace: Workspace) -> list[Found]:
    """Ask each provider about its interrupted deploys; changes nothing."""
    return [_look_up(workspace, each) for each in workspace.journal.unfinished_deploys()]


def reconcile(workspace: Workspace) -> list[Found]:
    """Look up and settle: adopt what exists, close what was never created."""
    return [_settle(workspace, each) for each in look_up(workspace)]


def _look_up(workspace: Workspace, deploy: UnfinishedDeploy) -> Found:
    if deploy.alive:
        return Found(deploy, "running", detail=f"process {deploy.pid} is deploying it")
    known = workspace.journal.deployment(deploy.provider, deploy.name) is not None
    try:
        session = workspace.session(deploy.provider)
        ref = session.run(lambda io: session.adapter.find(io, deploy.name))
    except GpuHubError as error:
        return Found(deploy, "not-looked-up", known=known, detail=error.message)
    return Found(deploy, "exists" if ref else "not-created", ref, known)


def _settle(workspace: Workspace, found: Found) -> Found:
    journal, record = workspace.journal, found.deploy.record
    if found.outcome == "not-created":
        journal.resolve_unfinished(record, "not created")
    if found.outcome != "exists" or found.ref is None:
        return found
    if found.known:
        # The provider does not say which of the two deploys it serves: the next one settles it.
        journal.resolve_unfinished(record, "an earlier deploy of that name exists")
        journal.update_deployment(replace(found.ref, fingerprint=""))
    else:
        journal.finish_deploy(record, replace(found.ref, fingerprint=""))
    return replace(found, outcome="adopted")
