"""``gpuhub invoke``: one call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.payload import check_arguments, check_way, parameters_of, read_arguments
from gpuhub.cli.run import Run
from gpuhub.cli.values import as_json, as_text

__all__ = ["invoke"]


def invoke(
    run: Run,
    name: Name,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Arguments, as JSON where they can be read so, else as text; - reads a JSON "
            "object from standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="Arguments as a JSON object.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with arguments as a JSON object."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Seconds for the whole call, cold start included; then it is cancelled.",
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print items of a generator as they come.")
    ] = False,
    spawn: Annotated[
        bool, typer.Option("--spawn", help="Print the call's id and do not wait.")
    ] = False,
) -> None:
    """Call a deployed function and print its result as JSON.

    With --stream each item is printed on a line of its own. A spawned call is followed with
    `gpuhub call`.
    """
    deployment = find_deployment(run, name)
    check_way(deployment, stream=stream, spawn=spawn)
    parameters = parameters_of(deployment.function)
    named = read_arguments(arguments or (), data, file, parameters)
    check_arguments(named, parameters)
    endpoint = deployment.endpoint.with_options(timeout=timeout)
    facts = {"deployment": deployment.ref.name, "provider": deployment.ref.provider}
    if stream:
        for item in endpoint.stream(**named):
            run.out.line(as_json(item), as_text(item, indent=None))
    elif spawn:
        call = endpoint.spawn(**named).id
        run.out.result(facts | {"call": call}, Text(call, no_wrap=True, overflow="ignore"))
        run.out.note(f"get its result with: gpuhub call result '{call}'")
    else:
        _print_result(run, facts, endpoint.invoke(**named))


def _print_result(run: Run, facts: dict[str, Any], value: Any) -> None:
    if run.out.json:
        run.out.result(facts | {"result": as_json(value)})
    else:  # not through rich: it would fold long lines, and the text is meant for pipes, too
        run.out.text(as_text(value))
