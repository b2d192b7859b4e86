"""``gpuhub map``: one call for each line of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuhub.cli.exit_codes import SOME_ITEMS_FAILED
from gpuhub.cli.failures import error_document
from gpuhub.cli.items import CountedLines, Lines, NamedItems
from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.payload import check_way, parameters_of
from gpuhub.cli.progress import map_progress
from gpuhub.cli.run import Run
from gpuhub.cli.values import as_json
from gpuhub.errors import GpuHubError, SpecError

if TYPE_CHECKING:
    from gpuhub.cli.names import Deployment
    from gpuhub.endpoint import Endpoint

__all__ = ["map_items"]


Source = Annotated[
    Path,
    typer.Option(
        "--input",
        help="JSON lines, one call each: an object of named arguments, or the value of "
        "--argument. - reads standard input.",
        show_default=False,
    ),
]

Resume = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="File that lets a rerun go on where an earlier one ended."),
]


def map_items(
    run: Run,
    name: Name,
    *,
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File for the results. Default: standard output."),
    ] = None,
    argument: Annotated[
        str | None,
        typer.Option(help="Each line is the value of this parameter.", show_default=False),
    ] = None,
    journal: Resume = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight.")] = 64,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --journal: call again what failed.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failure.")
    ] = False,
) -> None:
    """Call a function once for each line of a file, many at a time, in order.

    Prints a JSON line for each: {"index": 0, "result": …} or {"index": 0, "error": {…}}. Ends
    with 9 when an item failed.
    """
    deployment = find_deployment(run, name)
    check_way(deployment)
    if str(source) != "-" and not source.is_file():
        raise SpecError(f"there is no file {source}", next_step="name one, or - and pipe it in")
    kind = Lines if str(source) == "-" else CountedLines
    lines = kind(source, argument, _only_parameter(deployment))
    failed = finished = 0
    bar = map_progress(run.out, deployment.ref.name, prints_results=output is None)
    with bar as told, _opened(run, output) as write:
        results = _endpoint(deployment).map(
            lines,
            concurrency=concurrency,
            return_exceptions=not fail_fast,
            journal=str(journal) if journal else None,
            retry_failed=retry_failed,
            progress=told,
        )
        for index, value in enumerate(results):
            finished += 1
            failed += isinstance(value, GpuHubError)
            write(_line(index, value))
    run.out.note(f"{finished} items, {failed} failed")
    if failed:
        raise typer.Exit(SOME_ITEMS_FAILED)


def _only_parameter(deployment: Deployment) -> str | None:
    """The parameter of a function that has one, where its code is known."""
    parameters = parameters_of(deployment.function)
    return next(iter(parameters)) if parameters and len(parameters) == 1 else None


def _endpoint(deployment: Deployment) -> Endpoint[..., Any]:
    from gpuhub.codec import codec_for
    from gpuhub.endpoint import Endpoint

    codec = NamedItems(codec_for(None, None, made_by_gpuhub=deployment.ref.made_by_gpuhub))
    wire = deployment.workspace.wire(codec)
    settings = deployment.endpoint._settings  # noqa: SLF001 - what the deployment declares
    return Endpoint(
        deployment.session, deployment.ref.name, wire, ref=deployment.ref, settings=settings
    )


def _line(index: int, value: Any) -> str:
    if isinstance(value, GpuHubError):
        return json.dumps({"index": index, "error": error_document(value)}, default=str)
    return json.dumps({"index": index, "result": as_json(value)})


@contextmanager
def _opened(run: Run, path: Path | None) -> Iterator[Callable[[str], object]]:
    """Where the lines go."""
    if path is None:
        yield run.out.text
        return
    with path.open("w", encoding="utf-8") as file:
        yield lambda line: file.write(f"{line}\n")
