"""Models that a test plays with a Python function in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuhub.worker.wire import dumps, loads
from gpuhub_baseten.emulator.web import Answer

__all__ = ["InlineMachine"]


class InlineMachine:
    """Calls a Python function for each request.

    Args:
        predict: The function.
    """

    url = ""

    def __init__(self, predict: Callable[[Any], Any]) -> None:
        self._predict = predict

    async def played(self, body: bytes) -> Answer:
        """Answer one request."""
        return Answer(200, dumps(self._predict(loads(body))))

    def start(self) -> None:
        """Nothing has to start."""

    def stop(self) -> None:
        """Nothing has to stop."""
