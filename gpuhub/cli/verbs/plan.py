"""``gpuhub plan``: what a deploy would do, sending nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuhub.cli.plans import plan_report
from gpuhub.cli.run import Run
from gpuhub.cli.targets import TargetText, read_target

__all__ = ["plan"]


def plan(
    run: Run,
    target: TargetText,
    *,
    requests: Annotated[
        bool, typer.Option("--requests", help="Show what would be sent, too.")
    ] = False,
) -> None:
    """Show what becomes of each setting at the provider. Sends nothing, needs no credentials.

    With --json it prints the plan as one object, or a list when the target has several functions.
    """
    found = read_target(run, target)
    plans = [each.plan() for each in found.objects]
    documents = [each.to_dict() for each in plans]
    document = documents[0] if len(documents) == 1 else documents
    run.out.result(document, *[plan_report(each, requests=requests) for each in plans])
