"""The root of the command: turns every error into a message and an exit code, in one place."""

from __future__ import annotations

from typing import Any

import typer
from rich.panel import Panel
from typer.core import TyperGroup
from typing_extensions import override

from gpuhub.cli.exit_codes import EXIT_CODES, INTERRUPTED
from gpuhub.cli.failures import is_usage_error, report
from gpuhub.cli.output import Output, pairs

__all__ = ["Root"]

_ARGUMENTS = "gpuhub.arguments"


class Root(TyperGroup):
    """The group of all verbs."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember the raw arguments: an error in parsing them must come as JSON as well."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    @override
    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, BrokenPipeError):  # a closed pipe, as in `| head`, is no error
            raise
        except Exception as error:
            output = _output(ctx.meta.get(_ARGUMENTS, []))
            if is_usage_error(error) and not output.json:
                raise  # typer shows the usage line and marks the argument
            raise typer.Exit(report(error, output)) from error

    @override
    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Add the exit codes, which scripts depend on."""
        super().format_help(ctx, formatter)
        codes = pairs((f"{code:>3}", meaning) for code, meaning in EXIT_CODES.items())
        panel = Panel(
            codes, title="Exit codes", title_align="left", border_style="dim", expand=False
        )
        Output().console.print(panel)


def _output(arguments: list[str]) -> Output:
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return Output(json="--json" in flags, verbose="-v" in flags or "--verbose" in flags)
