"""``gpuhub status``: workers, queue and rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from gpuhub.cli.completion import complete_deployments
from gpuhub.cli.failures import error_document
from gpuhub.cli.names import find_deployments
from gpuhub.cli.output import pairs, table
from gpuhub.cli.progress import workers_in_words
from gpuhub.cli.run import Run
from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, EndpointStatus

__all__ = ["status"]

_STYLES = {"ready": "green", "in-progress": "yellow", "failed": "bold red", "stopped": "dim"}


def status(
    run: Run,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Function, deployment, target or address. Default: all that the journal knows.",
            autocompletion=complete_deployments,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what the provider says of a deployment, or of all of the project's.

    In the list of all, a deployment that cannot be asked about is shown with its error.
    """
    if name is None:
        documents = _all(run)
        run.out.result({"deployments": documents}, _overview(documents))
        return
    found = [(each.ref, each.endpoint.status()) for each in find_deployments(run, name)]
    shown = [_document(ref, now) for ref, now in found]
    document = shown[0] if len(shown) == 1 else {"deployments": shown}
    run.out.result(document, *[_details(ref, now) for ref, now in found])


def _all(run: Run) -> list[dict[str, Any]]:
    workspace = run.workspace()
    documents = []
    for record in workspace.journal.deployments(run.provider):
        ref = record.ref
        try:
            session = workspace.session(ref.provider)
            now = session.run(lambda io, ref=ref: session.deployments.status(io, ref))  # type: ignore[misc]  # noqa: B023
            documents.append(_document(ref, now))
        except GpuHubError as error:
            documents.append(_identity(ref) | {"error": error_document(error)})
    return documents


def _identity(ref: DeploymentRef) -> dict[str, Any]:
    return {
        "deployment": ref.name,
        "provider": ref.provider,
        "address": f"{ref.scheme or ref.provider}://{ref.address}",
        "url": ref.url,
    }


def _document(ref: DeploymentRef, now: EndpointStatus) -> dict[str, Any]:
    workers = now.workers
    counts = {name: getattr(workers, name) for name in workers.__slots__} if workers else None
    return _identity(ref) | {
        "rollout": now.rollout.value,
        "version": now.version or ref.version,
        "workers": counts,
        "queue_depth": now.queue_depth,
        "in_flight": now.in_flight,
        "scaling": dict(now.scaling),
        "detail": now.detail,
        "log_tail": list(now.log_tail),
    }


def _details(ref: DeploymentRef, now: EndpointStatus) -> RenderableType:
    limits = ", ".join(f"{name} {value:g}" for name, value in now.scaling.items())
    facts: dict[str, RenderableType] = {
        "deployment": Text(ref.name, style="bold"),
        "provider": ref.provider,
        "address": str(_identity(ref)["address"]),
        "url": ref.url or "",
        "rollout": _rollout(now.rollout.value),
        "version": now.version or ref.version,
        "workers": workers_in_words(now.workers) or "not told by the provider",
        "queue": _count(now.queue_depth),
        "in flight": _count(now.in_flight),
        "limits": limits,
        "detail": now.detail,
        "log": "\n".join(now.log_tail),
    }
    return pairs((name, value) for name, value in facts.items() if value != "")


def _count(number: int | None) -> str:
    return "not told by the provider" if number is None else str(number)


def _rollout(value: str) -> Text:
    return Text(value, style=_STYLES.get(value, ""))


def _overview(documents: list[dict[str, Any]]) -> RenderableType:
    if not documents:
        return Text("nothing is deployed from this project; `gpuhub deploy app.py` does")
    return table(
        *("deployment", "provider", "rollout", "version", "workers", "queue", "url"),
        rows=[_row(each) for each in documents],
    )


def _row(document: dict[str, Any]) -> list[RenderableType]:
    start: list[RenderableType] = [document["deployment"], document["provider"]]
    if "error" in document:
        message = Text(document["error"]["message"], style="red")
        return [*start, message, "", "", "", document["url"] or ""]
    workers = document["workers"]
    counts = "?" if workers is None else str(sum(workers.values()))
    queue = "?" if document["queue_depth"] is None else str(document["queue_depth"])
    rollout = _rollout(document["rollout"])
    return [*start, rollout, document["version"], counts, queue, document["url"] or ""]
