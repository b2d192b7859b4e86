"""NAME: a deployment, by its name, by the code it came from, or by its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuhub.cli.completion import complete_deployments
from gpuhub.cli.targets import looks_like_target, one_object, read_target
from gpuhub.errors import NotDeployed

if TYPE_CHECKING:
    from gpuhub._decorated import Decorated
    from gpuhub._session import Session
    from gpuhub.adapter import DeploymentRef
    from gpuhub.cli.run import Run
    from gpuhub.endpoint import Endpoint
    from gpuhub.workspace import Workspace

__all__ = ["Deployment", "Name", "find_deployment", "find_deployments"]

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the function or deployment, app.py::embed, or provider://address.",
        autocompletion=complete_deployments,
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment that exists.

    Attributes:
        endpoint: To use it. Arguments and results travel as plain JSON.
        ref: Its identity.
        session: Its provider's engine.
        workspace: The project.
        plan: What the journal knows of its plan; empty when that is nothing.
        function: Its code, where that was named.
    """

    endpoint: Endpoint[..., Any]
    ref: DeploymentRef
    session: Session
    workspace: Workspace
    plan: Mapping[str, Any]
    function: Decorated | None = None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec it was deployed with, as JSON values; empty when not known."""
        spec: Mapping[str, Any] = self.plan.get("spec", {})
        return spec

    @property
    def kind(self) -> str:
        """``function``, ``generator``, ``class`` or ``web``; empty when not known."""
        if self.function is not None:
            return str(self.function.spec.target.kind)
        return str(self.spec.get("target", {}).get("kind", ""))


def find_deployment(run: Run, text: str) -> Deployment:
    """The one deployment that a name means.

    Raises:
        NotDeployed: There is none.
        SpecError: The text names code that has several.
    """
    if looks_like_target(text):
        target = read_target(run, text)
        return _of_code(target.workspace, one_object(target))
    if "://" in text:
        return _by_address(run, text)
    workspace = run.workspace()
    return _by_name(workspace, _full_name(workspace, text))


def find_deployments(run: Run, text: str) -> list[Deployment]:
    """The deployments of all functions of a target, or the one that a name means.

    Raises:
        NotDeployed: One of them is not deployed.
    """
    if not looks_like_target(text):
        return [find_deployment(run, text)]
    target = read_target(run, text)
    return [_of_code(target.workspace, each) for each in target.objects]


def _full_name(workspace: Workspace, text: str) -> str:
    """``embed`` or ``demo-embed``; what the journal knows decides."""
    app, provider = workspace.settings.app, workspace.settings.provider
    candidates = [f"{app}-{text}", text]
    for name in candidates:
        if workspace.journal.deployment(provider, name) is not None:
            return name
    return text if text.startswith(f"{app}-") else candidates[0]


def _of_code(workspace: Workspace, function: Decorated) -> Deployment:
    workspace = getattr(function, "_workspace", None) or workspace
    return _by_name(workspace, f"{workspace.settings.app}-{function.spec.name}", function)


def _by_name(workspace: Workspace, name: str, function: Decorated | None = None) -> Deployment:
    from gpuhub._engine.calls import CallSettings
    from gpuhub.codec import codec_for
    from gpuhub.endpoint import Endpoint

    session = workspace.session()
    try:
        ref = session.run(lambda io: session.deployments.resolve(io, name))
    except NotDeployed as error:
        _hint_elsewhere(error, workspace, name)
        raise
    record = workspace.journal.deployment(ref.provider, name)
    plan = record.plan if record else {}
    idempotent = bool(plan.get("spec", {}).get("idempotent", False))
    endpoint = Endpoint(
        session,
        name,
        workspace.wire(codec_for(None, None)),
        ref=ref,
        settings=CallSettings(idempotent=idempotent),
    )
    return Deployment(endpoint, ref, session, workspace, plan, function)


def _by_address(run: Run, url: str) -> Deployment:
    from gpuhub.endpoint import Endpoint
    from gpuhub.registry import provider_of_scheme

    workspace = run.workspace()
    endpoint = Endpoint.connect(url, workspace=workspace)
    session = workspace.session(provider_of_scheme(url.partition("://")[0]))
    record = workspace.journal.deployment(endpoint.provider, endpoint.name)
    return Deployment(endpoint, endpoint.ref, session, workspace, record.plan if record else {})


def _hint_elsewhere(error: NotDeployed, workspace: Workspace, name: str) -> None:
    """Say where else it is deployed: the wrong provider is the likeliest mistake."""
    others = [each.ref for each in workspace.journal.deployments() if each.ref.name == name]
    if others:
        error.next_step = (
            f"it is deployed on {others[0].provider}: pass --provider {others[0].provider}, "
            "or deploy it here"
        )
