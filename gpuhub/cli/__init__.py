"""The ``gpuhub`` command. Only this package imports typer and rich for its own output."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments, and exit with its code."""
    from gpuhub.cli.app import app

    app(prog_name="gpuhub")
