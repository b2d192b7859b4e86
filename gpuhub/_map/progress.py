"""How far a map is: a bar, a function, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from gpuhub._map.items import Progress


class ProgressShown:
    """Counts finished items; the base shows nothing."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.finished = 0

    @classmethod
    def of(
        cls, progress: bool | Progress, name: str, iterables: tuple[Iterable[Any], ...]
    ) -> ProgressShown:
        """The right kind for the option of that name."""
        sizes = [len(each) for each in iterables if isinstance(each, Sized)]
        total = min(sizes, default=None) if len(sizes) == len(iterables) else None
        if progress is True:
            return _Bar(total, name)
        return _Told(total, progress) if progress else cls(total)

    def step(self) -> None:
        """Count one finished item."""
        self.finished += 1

    def __enter__(self) -> Self:
        """Start showing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing."""


class _Told(ProgressShown):
    def __init__(self, total: int | None, tell: Progress) -> None:
        super().__init__(total)
        self._tell = tell

    @override
    def step(self) -> None:
        super().step()
        self._tell(self.finished, self.total)


class _Bar(ProgressShown):
    def __init__(self, total: int | None, name: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        super().__init__(total)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task(name, total=total)

    @override
    def step(self) -> None:
        super().step()
        self._bar.advance(self._task)

    @override
    def __enter__(self) -> Self:
        self._bar.start()
        return self

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
