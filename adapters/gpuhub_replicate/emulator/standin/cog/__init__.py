"""Stands for the ``cog`` package in stub workers: the names that runners import."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

__version__ = "0.0.0+standin"

T = TypeVar("T")


class CancelationException(BaseException):
    """Raised in a prediction that is cancelled."""


class BaseRunner:
    """A runner: ``setup`` once, ``run`` for each prediction."""

    def setup(self) -> None:
        """Nothing by default."""

    def run(self, **inputs: Any) -> Any:
        """To be overridden."""
        raise NotImplementedError

    def predict(self, **inputs: Any) -> Any:
        """The old name of ``run``."""
        raise NotImplementedError

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Drop it."""


class BasePredictor(BaseRunner):
    """The old name of :class:`BaseRunner`."""


class BaseModel:
    """An output with named parts; subclasses are dataclasses."""

    def __init_subclass__(cls, **kwargs: Any) -> None:  # type: ignore[explicit-override]
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(cls)


class Path(pathlib.PosixPath):
    """A file, as input or output."""


File = Path


@dataclasses.dataclass(frozen=True)
class Secret:
    """A text that does not print."""

    secret_value: str | None = None

    def __str__(self) -> str:  # type: ignore[explicit-override]
        return "**********" if self.secret_value is not None else ""

    def get_secret_value(self) -> str | None:
        """Give the text."""
        return self.secret_value


class ConcatenateIterator(Iterator[T]):
    """Texts that belong together."""


class AsyncConcatenateIterator(AsyncIterator[T]):
    """The same, asynchronous."""


class Opaque:
    """Marks an annotation that the schema does not look into."""


@dataclasses.dataclass(frozen=True)
class FieldInfo:
    """What ``Input`` was given, as far as a worker needs it."""

    default: Any = None


def Input(default: Any = None, **_: Any) -> Any:  # noqa: N802 - Cog's own name
    """Describe an input."""
    return FieldInfo(default)


def streaming(function: Callable[..., Any] | None = None) -> Any:
    """Mark a runner that streams."""
    return _same if function is None else function


def concurrent(function: Callable[..., Any] | None = None, *, max: int = 1) -> Any:  # noqa: A002, ARG001 - Cog's
    """Mark a runner that takes several predictions; the image says how many."""
    return _same if function is None else function


def _same(function: T) -> T:
    return function


class Scope:
    """Where predictions leave metrics."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.context: dict[str, str] = {}

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Drop it."""


def current_scope() -> Scope:
    """Give a scope that nobody reads."""
    return Scope()
