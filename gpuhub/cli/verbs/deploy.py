"""``gpuhub deploy``: create or update, and wait until calls are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.cost import deploy_question
from gpuhub.cli.plans import plan_header
from gpuhub.cli.progress import deploy_progress
from gpuhub.cli.run import Run
from gpuhub.cli.targets import TargetText, read_target

if TYPE_CHECKING:
    from gpuhub._session import Session
    from gpuhub.adapter import EndpointStatus
    from gpuhub.plan import Plan

__all__ = ["deploy"]


def deploy(
    run: Run,
    target: TargetText,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask about cost; for scripts.")
    ] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Start a worker at once, which is billed.")
    ] = False,
) -> None:
    """Create or update deployments, and return once they take calls.

    All functions are planned first: nothing is sent when one of them cannot run. An unchanged
    function sends nothing. Asks before workers are kept warm, since they are billed while idle.
    """
    found = read_target(run, target)
    planned = [(each.workspace.session(), each.plan()) for each in found.objects]
    for _, plan in planned:
        _announce(run, plan)
    if question := deploy_question([plan for _, plan in planned], warm=warm):
        run.confirm(question, yes=yes)
    done = []
    for session, plan in planned:
        done.append(_deploy(run, session, plan, warm=warm))
        if not run.out.json:  # at once: the next one may fail
            run.out.console.print(_line(done[-1]), soft_wrap=True)
    run.out.result({"deployments": done})


def _announce(run: Run, plan: Plan) -> None:
    if not run.out.json:
        run.out.errors.print(plan_header(plan))
    for line in plan.warnings:
        run.out.warn(line)


def _deploy(run: Run, session: Session, plan: Plan, *, warm: bool) -> dict[str, Any]:
    looks: list[EndpointStatus] = []
    with deploy_progress(run.out, plan.deployment) as show:

        def progress(status: EndpointStatus) -> None:
            looks.append(status)
            show(status)

        ref = session.run(
            lambda io: session.deployments.deploy(io, plan, warm=warm, progress=progress)
        )
    return {
        "deployment": ref.name,
        "provider": ref.provider,
        "version": ref.version,
        "url": ref.url,
        # The engine waits for a rollout only when it has sent one.
        "changed": bool(looks),
        "warnings": list(plan.warnings),
    }


def _line(done: dict[str, Any]) -> Text:
    verb, style = ("deployed", "bold green") if done["changed"] else ("unchanged", "bold")
    version = f" version {done['version']}" if done["version"] else ""
    url = f" at {done['url']}" if done["url"] else ""
    return Text.assemble(
        (verb, style), f" {done['deployment']} on {done['provider']}{version}{url}"
    )
