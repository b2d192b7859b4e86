"""``gpuhub call``: follow a spawned call from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gpuhub.cli.output import pairs
from gpuhub.cli.run import Run
from gpuhub.cli.values import as_json, as_text

if TYPE_CHECKING:
    from gpuhub.call import Call
    from gpuhub.cli.output import Output

__all__ = ["call_cancel", "call_result", "call_state"]

Id = Annotated[
    str, typer.Argument(metavar="ID", help="provider://deployment/call-id", show_default=False)
]


def call_state(run: Run, call_id: Id) -> None:
    """Ask the provider once where a call is."""
    state = _call(run, call_id).state()
    facts = {
        "call": call_id,
        "phase": state.phase.value,
        "detail": state.detail,
        "worker": state.worker,
        "queued_s": state.queued_s,
        "run_s": state.run_s,
        "error": str(state.error) if state.error else None,
    }
    run.out.result(facts, pairs((name, str(value)) for name, value in facts.items() if value))


def call_result(
    run: Run,
    call_id: Id,
    *,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait. Default: no limit.")
    ] = None,
) -> None:
    """Wait for the end of a call and print its result as JSON. The call goes on at a timeout."""
    value = _call(run, call_id).result(timeout)
    _print(run.out, {"call": call_id, "result": as_json(value)}, as_text(value))


def call_cancel(run: Run, call_id: Id) -> None:
    """Stop a call, and say what that achieved."""
    receipt = _call(run, call_id).cancel()
    run.out.result({"call": call_id, "cancel": receipt.value}, Text(receipt.value))


def _call(run: Run, call_id: str) -> Call[Any]:
    from gpuhub.call import Call

    return Call.from_id(call_id, workspace=run.workspace())


def _print(out: Output, document: Any, text: str) -> None:
    if out.json:
        out.result(document)
    else:
        out.text(text)
