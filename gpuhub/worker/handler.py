"""Runs the user's function, class or generator and wraps what comes out in envelopes."""

from __future__ import annotations

from typing import Any, AsyncIterator, Dict, Iterator, Mapping

from gpuhub.worker.target import Target

__all__ = ["Handler"]

Envelope = Dict[str, Any]


class Handler:
    """One target, ready to be called any number of times, from any thread.

    Args:
        target_object: The raw function, generator function or class; ``web``: the function that
            makes the ASGI application.
        target: Its description.
    """

    def __init__(self, target_object: Any, target: Target) -> None:
        self.target = target
        self.target_object = target_object

    def prepare(self) -> None:
        """Run ``setup()`` of a class once. Never raises: a failure is reported by each call."""
        raise NotImplementedError

    def invoke(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run one call; ``{"result": …}`` or ``{"gpuhub_error": …}``. A generator is collected."""
        raise NotImplementedError

    async def invoke_async(self, arguments: Mapping[str, Any]) -> Envelope:
        """Run one call on the running loop."""
        raise NotImplementedError

    def stream(self, arguments: Mapping[str, Any]) -> Iterator[Envelope]:
        """Run one call; ``{"result": item}`` each, then ``{"gpuhub_end": …}`` or an error."""
        raise NotImplementedError

    def stream_async(self, arguments: Mapping[str, Any]) -> AsyncIterator[Envelope]:
        """Run one call on the running loop."""
        raise NotImplementedError

    def describe(self) -> Dict[str, Any]:
        """Give ``{"status": "starting" | "ready" | "failed", "target": …, "wire": 1, …}``."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the handler's own event loop, if it has one."""
        raise NotImplementedError
