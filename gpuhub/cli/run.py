"""What every verb has: output, the project's workspace, and a way to ask."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer

from gpuhub.cli.failures import NotConfirmed
from gpuhub.cli.output import Output

if TYPE_CHECKING:
    from types import TracebackType

    from gpuhub.workspace import Workspace

__all__ = ["Run"]


@dataclass
class Run:
    """One run of a verb.

    Attributes:
        out: Where it prints.
        provider: ``--provider``.
        profile: ``--profile``.
        app: ``--app``.
        root: ``--root``.
    """

    out: Output
    provider: str | None = None
    profile: str | None = None
    app: str | None = None
    root: Path | None = None
    _workspaces: dict[Any, Workspace] = field(default_factory=dict)

    @property
    def has_overrides(self) -> bool:
        """Whether an option says more than the project's settings."""
        return any((self.provider, self.profile, self.app, self.root))

    def workspace(
        self,
        start: Path | None = None,
        *,
        provider: str | None = None,
        on_unsupported: str | None = None,
    ) -> Workspace:
        """The workspace of the project around a folder; closed at the end of the run.

        Args:
            start: Where the search for the project file begins. Default: the working directory.
            provider: Wins over ``--provider``.
            on_unsupported: Wins over the settings.

        Raises:
            ConfigError: The settings are wrong.
        """
        from gpuhub.workspace import Workspace

        key = (self.root or start, provider, on_unsupported)
        if key not in self._workspaces:
            self._workspaces[key] = Workspace(
                provider or self.provider,
                profile=self.profile,
                app=self.app,
                root=self.root or start,
                on_unsupported=on_unsupported,
            )
        return self._workspaces[key]

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that costs or deletes.

        Args:
            question: What would happen, as a whole sentence, and what it costs.
            yes: ``--yes``: do not ask.

        Raises:
            NotConfirmed: The answer was no, or there is nobody to ask.
        """
        if yes:
            return
        if self.out.json or not _somebody_is_there():
            raise NotConfirmed(question, next_step="pass --yes to go on without being asked")
        self.out.note(question)
        if not typer.confirm("Go on?", err=True):
            raise NotConfirmed("not confirmed: nothing was sent", next_step="answer y, or --yes")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        opened, self._workspaces = self._workspaces, {}
        for workspace in opened.values():
            workspace.close()


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


@contextmanager
def logging_to(out: Output) -> Iterator[None]:
    """Show what the library logs with ``--verbose``; else nothing, verbs warn by themselves."""
    from rich.logging import RichHandler

    handler: logging.Handler = logging.NullHandler()
    logger = logging.getLogger("gpuhub")
    before = logger.level
    if out.verbose:
        handler = RichHandler(console=out.errors, show_path=False)
        logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
