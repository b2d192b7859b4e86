"""Errors, as people and as programs read them, and the exit code each ends with."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from rich.text import Text

from gpuhub.cli.exit_codes import UNEXPECTED
from gpuhub.cli.output import Output
from gpuhub.errors import GpuHubError

__all__ = ["NotConfirmed", "error_document", "report"]

_FACTS = ("message", "next_step", "provider", "status", "code", "request_id")
_FURTHER = ("fields", "log_tail", "call_id", "remote_traceback", "idempotency_key", "cancel")


class NotConfirmed(GpuHubError):  # noqa: N818 - says what happened, as all in gpuhub.errors
    """Something that costs or deletes was not confirmed; nothing was sent."""

    exit_code = 12


def report(error: Exception, output: Output) -> int:
    """Print an error to standard error and give the exit code."""
    if output.json:
        sys.stderr.write(json.dumps({"error": error_document(error)}, default=str) + "\n")
    else:
        text = Text.assemble(("error: ", "bold red"), _for_people(error))
        output.errors.print(text, soft_wrap=True)
    if output.verbose:
        sys.stderr.write("".join(traceback.format_exception(error)))
    return error.exit_code if isinstance(error, GpuHubError) else _code_of(error)


def error_document(error: BaseException) -> dict[str, Any]:
    """An error as JSON-able values: always the same first seven keys.

    Further keys, such as ``call_id`` and ``remote_traceback``, are there when the error has them.
    """
    document: dict[str, Any] = {"type": type(error).__name__}
    if not isinstance(error, GpuHubError):
        facts = {"message": _plain(error), "next_step": _next_step(error)}
        return document | dict.fromkeys(_FACTS) | facts
    document |= {name: getattr(error, name) for name in _FACTS}
    document |= {name: value for name in _FURTHER if (value := getattr(error, name, None))}
    if notes := getattr(error, "__notes__", None):
        document["notes"] = [note.strip() for note in notes]
    return document


def _for_people(error: Exception) -> str:
    if isinstance(error, GpuHubError):
        return "\n\n".join([str(error), *getattr(error, "__notes__", ())])
    return f"{_plain(error)}\n  Next: {_next_step(error)}"


def _plain(error: BaseException) -> str:
    if is_usage_error(error):
        return str(error.format_message())  # type: ignore[attr-defined]
    if isinstance(error, OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _next_step(error: BaseException) -> str:
    if is_usage_error(error):
        return "see `gpuhub --help` or `gpuhub VERB --help`"
    if isinstance(error, OSError):
        return "check that the path or address can be used"
    return "this is a bug in gpuhub or an adapter: report it with the output of -v"


def _code_of(error: BaseException) -> int:
    code = getattr(error, "exit_code", UNEXPECTED) if is_usage_error(error) else UNEXPECTED
    return int(code)


def is_usage_error(error: BaseException) -> bool:
    """Whether typer objects to the arguments. Its base class has no public name."""
    return hasattr(error, "format_message") and hasattr(error, "show")
