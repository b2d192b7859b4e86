"""Spawned calls that this process holds: a waiting request each, on a thread.

Baseten keeps no result of a call, so somebody has to wait for it. A blocking ``Io`` waits on a
thread for each call; one of an event loop on a thread with a loop of its own, since the caller's
may end before the call does.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - a loop of its own, on a thread of its own
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallRef, CallState, CancelReceipt, Phase
from gpuhub.errors import OutcomeUnknown

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["HeldCalls"]

_KEPT = 1024
_KEPT_BYTES = 64_000_000
_STOP_S = 0.2

Start = Callable[[], Coroutine[Any, Any, CallState]]


class HeldCalls:
    """The held calls of one workspace. Safe to share among threads."""

    def __init__(self) -> None:
        self._running: dict[CallRef, _Held] = {}
        self._ended: OrderedDict[CallRef, CallState] = OrderedDict()
        self._told: set[CallRef] = set()
        self._lock = threading.Lock()

    def start(self, call: CallRef, start: Start) -> None:
        """Begin to wait for a call."""
        held = _Held(call, start, self._end)
        with self._lock:
            self._running[call] = held
        held.begin()

    async def state(self, io: Io, call: CallRef, wait_s: float) -> CallState | None:
        """Give where a call is; ``None``: it is none of this process, or long forgotten.

        Args:
            io: The engine's.
            call: Which.
            wait_s: Longest wait for its end, in real time.
        """
        with self._lock:
            held = self._running.get(call)
        poll_after = 0.0
        if held is not None and wait_s:
            before = io.now(), time.monotonic()
            await io.run(held.ended.wait, wait_s)
            # The workspace's clock may be one that a test moves: the wait passes there too.
            passed = io.now() - before[0], time.monotonic() - before[1]
            poll_after = max(0.0, passed[1] - passed[0])
        with self._lock:
            if call in self._ended:
                self._told.add(call)
                return self._ended[call]
        return None if held is None else CallState(call, Phase.RUNNING, poll_after=poll_after)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt | None:
        """Close the connection of a call, where that can be done; ``None``: it is not known.

        A blocking client cannot be stopped from another thread: its call goes on.
        """
        with self._lock:
            held = self._running.get(call)
            if held is None:
                return CancelReceipt.CONFIRMED_TERMINAL if call in self._ended else None
        held.stop()
        if not await io.run(held.ended.wait, _STOP_S):
            return CancelReceipt.NO_EVIDENCE
        with self._lock:
            was_cut = self._ended[call].phase is Phase.CANCELLED
        return CancelReceipt.CHANNEL_CLOSED if was_cut else CancelReceipt.CONFIRMED_TERMINAL

    def close(self) -> None:
        """Give up what is still waited for."""
        with self._lock:
            running = list(self._running.values())
        for held in running:
            held.stop()

    def _end(self, held: _Held, state: CallState) -> None:
        with self._lock:
            self._running.pop(held.call, None)
            self._ended[held.call] = state
            self._trim()
        held.ended.set()

    def _trim(self) -> None:
        """Forget ended calls, oldest first, but none whose end nobody has asked for yet."""
        told = [call for call in self._ended if call in self._told]
        size = sum(len(self._ended[call].output or b"") for call in told)
        for call in told:
            if len(self._ended) <= _KEPT and size <= _KEPT_BYTES:
                return
            size -= len(self._ended.pop(call).output or b"")
            self._told.discard(call)


class _Held:
    """One request that is waited for."""

    def __init__(
        self, call: CallRef, start: Start, end: Callable[[_Held, CallState], None]
    ) -> None:
        self.call = call
        self.ended = threading.Event()
        self._start = start
        self._end = end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[CallState] | None = None

    def begin(self) -> None:
        """Start the thread; the interpreter does not wait for it."""
        context = copy_context()
        threading.Thread(
            target=context.run, args=(self._run,), name="gpuhub-held", daemon=True
        ).start()

    def stop(self) -> None:
        """Cancel the request: without effect where a blocking client is at work."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it ended in this moment
                loop.call_soon_threadsafe(task.cancel)

    def _run(self) -> None:
        try:
            state = asyncio.run(self._main())
        except asyncio.CancelledError:
            detail = "its connection was closed; Baseten may have run it to its end"
            state = CallState(self.call, Phase.CANCELLED, detail=detail)
        except Exception as error:  # noqa: BLE001 - as when the workspace is closed
            state = CallState(self.call, Phase.FAILED, error=_given_up(self.call, error))
        self._end(self, state)

    async def _main(self) -> CallState:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._start())
        return await self._task


def _given_up(call: CallRef, error: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"nobody waits for the call any more: {error}",
        call_id=str(call),
        provider="baseten",
        next_step="keep the workspace open until the results of spawned calls are there",
    )
