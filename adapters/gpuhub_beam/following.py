"""Following a task: quick looks at first, then Beam's stream of its states."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from gpuhub.adapter.events import EventReader
from gpuhub.errors import ProviderUnavailable
from gpuhub_beam import wire
from gpuhub_beam.errors import document
from gpuhub_beam.states import task_state

if TYPE_CHECKING:
    from gpuhub.adapter import CallRef, CallState, Io
    from gpuhub_beam.gateway import Gateway

__all__ = ["Following"]

_QUICK_S = 3.0
"""So long a task is asked about again and again: the stream looks once a second only."""
_KEPT = 4096


class Following:
    """The tasks of one workspace. Safe to share among threads.

    Args:
        gateway: Where they are.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._begun: OrderedDict[CallRef, float] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, call: CallRef, now: float) -> None:
        """Remember when a task was accepted, or first asked about."""
        with self._lock:
            self._begun.setdefault(call, now)
            while len(self._begun) > _KEPT:
                self._begun.popitem(last=False)

    async def ask(self, io: Io, call: CallRef) -> CallState:
        """Ask once."""
        workspace = await self._gateway.workspace(io)
        return task_state(call, document(await io.send(wire.get_task(workspace, call.id))))

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask; a task that is not young is waited for, up to ``wait_s``."""
        state = await self.ask(io, call)
        if state.phase.is_terminal or not wait_s:
            return state
        with self._lock:
            begun = self._begun.setdefault(call, io.now())
        if io.now() - begun < _QUICK_S:
            return state
        return await self._wait(io, state, wait_s)

    async def _wait(self, io: Io, state: CallState, wait_s: float) -> CallState:
        """Read the task's states until it ends; without a change for ``wait_s``, give the last."""
        call = state.ref
        workspace = await self._gateway.workspace(io)
        ends = io.now() + wait_s
        reader = EventReader()
        chunks = io.stream(wire.subscribe(workspace, call.id, wait_s))
        try:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    state = task_state(call, json.loads(event.data))
                if state.phase.is_terminal or io.now() >= ends:
                    break
        except ProviderUnavailable:
            return state  # nothing changed in time, or the stream was cut: the engine asks again
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]
        return state
