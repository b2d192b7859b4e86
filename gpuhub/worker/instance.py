"""Makes what a worker calls: for a class, its instance, with ``setup()`` run once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import Future
from typing import Any, Callable

from gpuhub.worker.target import Target
from gpuhub.worker.wire import error_envelope

__all__ = ["Instance", "SetupFailed"]


class SetupFailed(Exception):  # noqa: N818  (says what happened)
    """``setup()`` or the constructor raised; carries the envelope that every call answers."""

    def __init__(self, envelope: dict[str, Any]) -> None:
        super().__init__("setup failed")
        self.envelope = envelope


class Instance:
    """The callable of a target, made at most once, whoever asks first.

    Args:
        target_object: The raw function or class.
        target: Its description.
        run: Runs a coroutine for a caller that is not async.
        failure: Why there is no object: the user's code could not even be imported.
    """

    def __init__(
        self,
        target_object: Any,
        target: Target,
        run: Callable[[Any], Any],
        failure: BaseException | None = None,
    ) -> None:
        self._object = target_object
        self._run = run
        self._lock = threading.Lock()
        self._made: Future[Any] | None = None
        if failure is not None:
            self._made = Future()
            self._made.set_exception(SetupFailed(error_envelope(failure)))
        elif target.kind != "class":
            self._made = Future()
            self._made.set_result(target_object)

    @property
    def status(self) -> str:
        """Give ``starting``, ``ready`` or ``failed``."""
        if self._made is None or not self._made.done():
            return "starting"
        return "failed" if self._made.exception() else "ready"

    @property
    def failure(self) -> dict[str, Any] | None:
        """The error envelope of a failed setup."""
        error = self._made.exception() if self.status == "failed" and self._made else None
        return error.envelope if isinstance(error, SetupFailed) else None

    def get(self) -> Any:
        """Give the callable; the first caller sets it up, the others wait.

        Raises:
            SetupFailed: It could not be set up, now or earlier.
        """
        future, is_mine = self._claim()
        if is_mine:
            self._settle(future, lambda: self._make(self._run))
        return future.result()

    async def get_async(self) -> Any:
        """Give the callable without blocking the running loop."""
        future, is_mine = self._claim()
        if not is_mine:
            return future.result() if future.done() else await asyncio.wrap_future(future)
        loop = asyncio.get_running_loop()

        def run(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        # On a thread: loading a model takes minutes, and the loop has other work.
        await loop.run_in_executor(None, self._settle, future, lambda: self._make(run))
        return future.result()

    def _claim(self) -> tuple[Future[Any], bool]:
        with self._lock:
            if self._made is not None:
                return self._made, False
            self._made = Future()
            return self._made, True

    def _settle(self, future: Future[Any], make: Callable[[], Any]) -> None:
        try:
            future.set_result(make())
        except BaseException as error:
            future.set_exception(SetupFailed(error_envelope(error)))
            if isinstance(error, KeyboardInterrupt):
                raise

    def _make(self, run: Callable[[Any], Any]) -> Any:
        instance = self._object()
        setup = getattr(instance, "setup", None)
        if setup is not None:
            outcome = setup()
            if inspect.isawaitable(outcome):
                run(_finish(outcome))
        return instance


async def _finish(awaitable: Any) -> Any:
    return await awaitable
