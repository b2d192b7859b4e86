"""Submitting calls at most once, and following them to their end."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gpuhub._closing import closing
from gpuhub._engine.features import is_native, lacks, require
from gpuhub._engine.outcomes import (
    cut_off,
    lost_answer,
    lost_call,
    succeeded,
    too_large,
    took_too_long,
    waited_too_long,
)
from gpuhub.adapter import (
    Adapter,
    CallOptions,
    CallRef,
    CallState,
    CancelReceipt,
    DeploymentRef,
    Feature,
    Io,
    Phase,
    PurgesQueue,
    RetriesCalls,
)
from gpuhub.errors import GpuHubError, NotFound, ProviderError

if TYPE_CHECKING:
    from gpuhub.journal import Journal

FIRST_POLL_S = 0.02
LONGEST_POLL_S = 2.0
CANCEL_BUDGET_S = 5.0
RESUBMITS = 3


class BoundedIo(Io, Protocol):
    """An ``Io`` that can be cut to a budget."""

    def bounded(self, seconds: float | None) -> BoundedIo:
        """A view whose requests, retries included, end within the budget."""
        ...


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How one call is made.

    Attributes:
        budget_s: Seconds until the caller gives up and cancels; ``None``: never.
        idempotent: Whether a submit whose answer was lost may be sent again.
        idempotency_key: Unique per call; made up when empty.
        webhook: URL for the provider to call at the end.
        record: Whether the journal keeps the call while it runs.
        on_accepted: Told the call's reference as soon as it is known.
    """

    budget_s: float | None = None
    idempotent: bool = False
    idempotency_key: str = ""
    webhook: str | None = None
    record: bool = True
    on_accepted: Callable[[CallRef], None] | None = None

    def with_key(self) -> CallSettings:
        """A copy that surely has an idempotency key."""
        if self.idempotency_key:
            return self
        return replace(self, idempotency_key=uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls to one provider in one workspace."""

    adapter: Adapter
    journal: Journal

    async def invoke(
        self, io: BoundedIo, ref: DeploymentRef, payload: bytes, settings: CallSettings
    ) -> CallState:
        """Run one call to its end; the state's ``output`` is the worker's answer.

        Raises:
            CallFailed: See its subclasses; a local timeout cancels the remote call first.
            ProviderError: The provider refused the call: it has not run.
        """
        require(self.adapter, Feature.INVOKE)
        settings = settings.with_key()
        started = io.now()
        state = await self._submit(io, ref, payload, settings, self._long_poll(settings.budget_s))
        try:
            if not state.phase.is_terminal:
                left = _remaining(io, started, settings.budget_s)
                state = await self._follow(io, state.ref, left)
            receipt = None if state.phase.is_terminal else await self.cancel(io, state.ref)
        except GpuHubError:
            raise
        except BaseException:  # Ctrl-C, a cancelled task: do not leave it running and billed
            await self._cancel_quietly(io, state.ref)
            raise
        finally:
            self._close(settings, state)
        if receipt is not None:
            raise took_too_long(state.ref, settings.budget_s, receipt)
        return succeeded(state)

    async def spawn(
        self, io: BoundedIo, ref: DeploymentRef, payload: bytes, settings: CallSettings
    ) -> CallRef:
        """Submit one call and give its reference at once."""
        require(self.adapter, Feature.SPAWN)
        state = await self._submit(io, ref, payload, settings.with_key(), wait_s=0.0)
        return state.ref

    async def wait(self, io: BoundedIo, call: CallRef, timeout_s: float | None) -> CallState:
        """Follow a call to its end; running out of time leaves it running.

        Raises:
            CallTimedOut: It had not ended in time.
            CallFailed: It ended without a result.
        """
        state = await self._follow(io, call, timeout_s)
        if not state.phase.is_terminal:
            raise waited_too_long(call, timeout_s)
        self.journal.forget_call(call)
        return succeeded(state)

    async def state(self, io: BoundedIo, call: CallRef) -> CallState:
        """Ask about a call once. A call the provider forgot is ``expired``."""
        try:
            return await self.adapter.poll(io, call, 0.0)
        except NotFound as error:
            return CallState(call, Phase.EXPIRED, detail=error.message)

    async def cancel(self, io: BoundedIo, call: CallRef) -> CancelReceipt:
        """Cancel a call and say what that achieved."""
        try:
            return await self.adapter.cancel(io.bounded(CANCEL_BUDGET_S), call)
        except NotFound:
            return CancelReceipt.CONFIRMED_TERMINAL
        except ProviderError:
            return CancelReceipt.NO_EVIDENCE

    async def retry(self, io: BoundedIo, call: CallRef) -> CallState:
        """Let the provider run an ended call again. Asked for once.

        Raises:
            UnsupportedSetting: The provider cannot.
            OutcomeUnknown: The answer was lost: it may run again or not.
        """
        if not isinstance(self.adapter, RetriesCalls):
            raise lacks(self.adapter, "retry", "submit the call again instead")
        try:
            return await self.adapter.retry(io, call)
        except ProviderError as error:
            if error.accepted is not None:
                raise
            raise lost_call(call, error) from error

    async def purge_queue(self, io: BoundedIo, ref: DeploymentRef) -> int:
        """Drop the calls that wait.

        Raises:
            UnsupportedSetting: The provider cannot.
        """
        if not isinstance(self.adapter, PurgesQueue):
            raise lacks(self.adapter, "purge_queue", "cancel the calls one by one instead")
        return await self.adapter.purge_queue(io, ref)

    async def stream(
        self, io: BoundedIo, ref: DeploymentRef, payload: bytes, settings: CallSettings
    ) -> AsyncIterator[bytes]:
        """Run one generator call and give its chunks. Never sent twice."""
        require(self.adapter, Feature.STREAM)
        self._check_size(payload, spawned=False)
        settings = settings.with_key()
        options = self._options(settings, self._long_poll(settings.budget_s))
        chunks = self.adapter.stream(io.bounded(settings.budget_s), ref, payload, options)
        async with closing(chunks):
            try:
                async for chunk in chunks:
                    yield chunk
            except ProviderError as error:
                if error.accepted is not None:
                    raise
                raise lost_answer(ref, settings.idempotency_key, error) from error

    async def _submit(
        self,
        io: BoundedIo,
        ref: DeploymentRef,
        payload: bytes,
        settings: CallSettings,
        wait_s: float,
    ) -> CallState:
        self._check_size(payload, spawned=wait_s == 0)
        key, options = settings.idempotency_key, self._options(settings, wait_s)
        if settings.record:
            self.journal.begin_call(
                key,
                provider=ref.provider,
                deployment=ref.address,
                mode="remote" if wait_s else "spawn",
            )
        try:
            state = await self._send(io, ref, payload, options, settings)
        except GpuHubError as error:
            if settings.record:
                self.journal.end_call(key, type(error).__name__)
            raise
        if settings.on_accepted is not None:
            settings.on_accepted(state.ref)
        if settings.record and not (wait_s and state.phase.is_terminal):
            self.journal.accept_call(key, state.ref)
        return state

    async def _send(
        self,
        io: BoundedIo,
        ref: DeploymentRef,
        payload: bytes,
        options: CallOptions,
        settings: CallSettings,
    ) -> CallState:
        """Send at most once, unless running twice does no harm or cannot happen."""
        native_key = is_native(self.adapter, Feature.IDEMPOTENCY_KEY)
        tries = RESUBMITS if settings.idempotent or native_key else 1
        bounded = io.bounded(settings.budget_s)
        started = io.now()
        wait = FIRST_POLL_S
        while True:
            tries -= 1
            try:
                return await self.adapter.submit(bounded, ref, payload, options)
            except ProviderError as error:
                if error.accepted is not None:
                    raise
                left = _remaining(io, started, settings.budget_s)
                if left is not None and left <= wait:
                    raise cut_off(ref, settings, error) from error
                if not tries:
                    raise lost_answer(ref, options.idempotency_key, error) from error
            await io.sleep(wait)
            wait *= 10

    async def _follow(self, io: BoundedIo, call: CallRef, timeout_s: float | None) -> CallState:
        """Poll until the call ends or the time is up; at least once."""
        deadline = math.inf if timeout_s is None else io.now() + timeout_s
        wait = FIRST_POLL_S
        while True:
            left = max(0.0, deadline - io.now())
            try:
                state = await self.adapter.poll(io, call, min(left, self.adapter.info.long_poll_s))
            except NotFound as error:
                return CallState(call, Phase.EXPIRED, detail=error.message)
            except ProviderError as error:
                raise lost_call(call, error) from error
            if state.phase.is_terminal or not left:
                return state
            pause = wait if state.poll_after is None else state.poll_after
            await io.sleep(max(0.0, min(pause, deadline - io.now())))
            wait = min(wait * 1.5, LONGEST_POLL_S)

    async def _cancel_quietly(self, io: BoundedIo, call: CallRef) -> None:
        # The reason to cancel matters more than a failed cancel.
        with suppress(GpuHubError):
            await self.cancel(io, call)

    def _close(self, settings: CallSettings, state: CallState) -> None:
        if settings.record:
            self.journal.end_call(settings.idempotency_key, state.phase.value)

    def _options(self, settings: CallSettings, wait_s: float) -> CallOptions:
        if settings.webhook is not None:
            require(self.adapter, Feature.WEBHOOK)
        return CallOptions(settings.budget_s, wait_s, settings.idempotency_key, settings.webhook)

    def _long_poll(self, left: float | None) -> float:
        longest = self.adapter.info.long_poll_s
        return longest if left is None else max(0.001, min(longest, left))

    def _check_size(self, payload: bytes, *, spawned: bool) -> None:
        limits = self.adapter.info.limits
        limit = limits.payload_bytes
        if spawned and limits.spawn_payload_bytes is not None:
            limit = limits.spawn_payload_bytes
        if limit is not None and len(payload) > limit:
            raise too_large(self.adapter.info, len(payload), limit, spawned=spawned)


def _remaining(io: Io, started: float, budget: float | None) -> float | None:
    return None if budget is None else budget - (io.now() - started)
