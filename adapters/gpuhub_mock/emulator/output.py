"""Copies what a function prints into the log, while it still prints."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

__all__ = ["OutputTap"]

Sink = Callable[[str, str], None]

# Follows a call into the event loop's thread, which a thread-local would not.
_sink: ContextVar[Sink | None] = ContextVar("gpuhub_mock_sink", default=None)


class OutputTap:
    """Stands in for ``sys.stdout`` and ``sys.stderr`` while any call of the mock runs.

    They are put back after the last call: who replaces them meanwhile, as test runners do, wins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._taps: dict[str, _Tap] = {}

    @contextmanager
    def to(self, sink: Sink) -> Iterator[None]:
        """Send lines printed by this context to ``sink(line, "stdout" or "stderr")`` as well."""
        token = _sink.set(sink)
        self._enter()
        try:
            yield
        finally:
            self._leave()
            _sink.reset(token)

    def _enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for name in ("stdout", "stderr"):
                    self._taps[name] = _Tap(getattr(sys, name), name)
                    setattr(sys, name, self._taps[name])

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for name, tap in self._taps.items():
                if getattr(sys, name) is tap:
                    setattr(sys, name, tap.original)
            self._taps.clear()


class _Tap:
    """A text stream that passes on what it is given, and copies whole lines."""

    def __init__(self, original: TextIO, name: str) -> None:
        self.original = original
        self._name = name
        self._partial = threading.local()

    def write(self, text: str) -> int:
        sink = _sink.get()
        if sink is not None:
            *lines, rest = (getattr(self._partial, "text", "") + text).split("\n")
            self._partial.text = rest
            for line in lines:
                sink(line, self._name)
        return self.original.write(text) if self.original is not None else len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)
