"""Runs the user's code in this process, through the worker that containers have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpuhub.worker.handler import Handler
from gpuhub.worker.wire import dumps, loads
from gpuhub_mock.emulator.environment import SharedEnvironment
from gpuhub_mock.emulator.output import OutputTap
from gpuhub_mock.emulator.refusals import Refusal

if TYPE_CHECKING:
    from gpuhub.worker.target import Target

__all__ = ["InlineRunner"]


class InlineRunner:
    """One worker's instance of a function or class that this process already has.

    Arguments and results go through JSON, as they do on the way to a real worker.

    Args:
        live: The function or class.
        target: Its description.
        variables: Environment variables of the worker.
        environment: Sets them, in turns with other workers of this process.
        secrets: Those of them whose values no error may show.
        tap: Copies what is printed.
        log: Takes ``(line, "stdout" or "stderr")``.
    """

    can_be_killed = False

    def __init__(
        self,
        live: Any,
        target: Target,
        *,
        variables: Mapping[str, str],
        environment: SharedEnvironment,
        secrets: Iterable[str],
        tap: OutputTap,
        log: Callable[[str, str], None],
    ) -> None:
        self.slow_start = target.kind == "class"
        self._handler = Handler(live, target, secrets=secrets)
        self._variables = variables
        self._environment = environment
        self._tap = tap
        self._log = log

    def boot(self) -> None:
        """Run ``setup()`` of a class."""
        with self._inside():
            self._handler.prepare()

    @property
    def failure(self) -> str:
        """The traceback of a failed ``setup()``; empty if there is none."""
        if not self.slow_start:
            return ""
        error = self._handler.describe().get("error", {})
        return str(error.get("gpuhub_error", {}).get("traceback", ""))

    def invoke(self, payload: bytes) -> bytes:
        """Run one call; gives the envelope."""
        arguments = _arguments(payload)
        with self._inside():
            envelope = self._handler.invoke(arguments)
        return dumps(envelope)

    def stream(self, payload: bytes) -> Iterator[bytes]:
        """Run one call; yields envelopes."""
        envelopes = self._handler.stream(_arguments(payload))
        try:
            while True:
                # Entered for each item: what the consumer does in between is not the worker's.
                with self._inside():
                    envelope = next(envelopes, None)
                if envelope is None:
                    return
                yield dumps(envelope)
        finally:
            with self._inside():
                envelopes.close()  # type: ignore[attr-defined]

    def stop(self) -> None:
        """Stop its event loop; code that runs goes on to its end."""
        self._handler.close()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with self._environment.having(self._variables), self._tap.to(self._log):
            yield


def _arguments(payload: bytes) -> dict[str, Any]:
    try:
        arguments = loads(payload)
    except ValueError as error:
        raise Refusal(400, "bad_request", f"the body is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        kind = type(arguments).__name__
        raise Refusal(422, "bad_request", f"the body is a JSON object of arguments, not {kind}")
    return arguments
