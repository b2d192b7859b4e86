"""Models that are played by a Python function in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.models import Played
    from gpuhub_replicate.emulator.workers import Reports

__all__ = ["InlineMachine"]


class InlineMachine:
    """Runs a Python function for each prediction.

    Args:
        played: The function.
        reports: Takes what it gives.
        soon: Runs an action on the server's own thread.
    """

    def __init__(
        self, played: Played, reports: Reports, soon: Callable[[Callable[[], None]], None]
    ) -> None:
        self._played = played
        self._reports = reports
        self._soon = soon
        self._is_stopped = False
        self._cancelled: set[str] = set()

    def start(self) -> None:
        """Nothing has to start."""
        self._soon(self._reports.booted)

    def stop(self) -> None:
        """Begin nothing more; what runs goes on, unheard."""
        self._is_stopped = True

    def perform(self, prediction_id: str, inputs: dict[str, Any]) -> None:
        """Call the function: on the server's thread, or on one of its own."""
        if self._played.on_thread:
            threading.Thread(target=self._call, args=(prediction_id, inputs), daemon=True).start()
        else:
            self._soon(lambda: self._call(prediction_id, inputs))

    def cancel(self, prediction_id: str) -> None:
        """Stop a generator before its next item; a plain function goes on, unheard."""
        self._cancelled.add(prediction_id)

    def _call(self, prediction_id: str, inputs: dict[str, Any]) -> None:
        if self._is_stopped:
            return
        try:
            output = self._played.run(inputs)
            if isinstance(output, Iterator):
                for item in output:
                    if prediction_id in self._cancelled:
                        break
                    self._reports.item(prediction_id, item)
                output = []
        except Exception as error:  # noqa: BLE001 - the played model's
            self._reports.done(prediction_id, "failed", None, str(error))
            return
        status = "canceled" if prediction_id in self._cancelled else "succeeded"
        self._cancelled.discard(prediction_id)
        self._reports.done(prediction_id, status, output, None)
