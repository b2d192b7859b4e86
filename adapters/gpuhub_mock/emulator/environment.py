"""Gives a function its environment variables in a process that it shares with its caller."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["SharedEnvironment"]


class SharedEnvironment:
    """Sets variables while calls that need them run.

    ``os.environ`` belongs to the whole process: calls with equal variables run side by side,
    others wait for each other.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._active: Mapping[str, str] | None = None
        self._users = 0
        self._saved: dict[str, str | None] = {}
        self._mine = threading.local()

    @contextmanager
    def having(self, variables: Mapping[str, str]) -> Iterator[None]:
        """Set variables for the block; none costs nothing."""
        if not variables:
            yield
            return
        if getattr(self._mine, "depth", 0):  # a function that calls another: it must not wait
            with _patched(variables):
                yield
            return
        self._enter(variables)
        self._mine.depth = 1
        try:
            yield
        finally:
            self._mine.depth = 0
            self._leave()

    def _enter(self, variables: Mapping[str, str]) -> None:
        with self._changed:
            while self._users and self._active != variables:
                self._changed.wait()
            if not self._users:
                self._active = dict(variables)
                self._saved = _set(variables)
            self._users += 1

    def _leave(self) -> None:
        with self._changed:
            self._users -= 1
            if not self._users:
                _restore(self._saved)
                self._active = None
                self._changed.notify_all()


@contextmanager
def _patched(variables: Mapping[str, str]) -> Iterator[None]:
    saved = _set(variables)
    try:
        yield
    finally:
        _restore(saved)


def _set(variables: Mapping[str, str]) -> dict[str, str | None]:
    saved = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    return saved


def _restore(saved: Mapping[str, str | None]) -> None:
    for name, value in saved.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
