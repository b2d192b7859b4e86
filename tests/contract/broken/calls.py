"""Adapters that get calls and streams wrong."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace

from gpuhub.adapter import CallRef, CallState, CancelReceipt, Phase
from gpuhub.errors import BadRequest, ProviderError, ProviderUnavailable, RateLimited
from gpuhub.testing.contract.wrappers import WrappedAdapter
from tests.contract.broken.changes import with_envelope


class RunsTwice(WrappedAdapter):
    """Sends a call again, as a new one, when its answer was lost."""

    async def submit(self, io, ref, payload, options):
        try:
            return await self._inner.submit(io, ref, payload, options)
        except ProviderError as error:
            if error.accepted is not None:
                raise
        again = replace(options, idempotency_key=uuid.uuid4().hex)
        return await self._inner.submit(io, ref, payload, again)


class ReportsLostAnswersAsRefused(WrappedAdapter):
    """Says that a call certainly did not run when nobody knows."""

    async def submit(self, io, ref, payload, options):
        try:
            return await self._inner.submit(io, ref, payload, options)
        except ProviderError as error:
            error.accepted = False
            raise


class SwallowsTheTraceback(WrappedAdapter):
    """Keeps the message of a remote error and drops where it happened."""

    async def submit(self, io, ref, payload, options):
        state = await self._inner.submit(io, ref, payload, options)
        return with_envelope(state, _without_traceback)


class EatsFalsyResults(WrappedAdapter):
    """Takes a result that counts as false for none."""

    async def submit(self, io, ref, payload, options):
        state = await self._inner.submit(io, ref, payload, options)
        return with_envelope(state, _without_falsy)

    async def poll(self, io, call, wait_s):
        return with_envelope(await self._inner.poll(io, call, wait_s), _without_falsy)


class MixesResults(WrappedAdapter):
    """Gives each call the result of the one before."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self._last = None

    async def submit(self, io, ref, payload, options):
        state = await self._inner.submit(io, ref, payload, options)
        if state.output is None:
            return state
        given, self._last = self._last or state.output, state.output
        return replace(state, output=given)


class AnswersLate(WrappedAdapter):
    """Calls a call finished with the answer of whichever finished last."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self._newest = b""

    async def poll(self, io, call, wait_s):
        state = await self._inner.poll(io, call, wait_s)
        if state.output is None:
            return state
        self._newest = self._newest or state.output
        return replace(state, output=self._newest)


class ForgetsItsCalls(WrappedAdapter):
    """Names calls by numbers that only this object knows."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self._known = {}

    async def submit(self, io, ref, payload, options):
        state = await self._inner.submit(io, ref, payload, options)
        number = f"call-{len(self._known)}"
        self._known[number] = state.ref
        return replace(state, ref=CallRef(state.ref.provider, state.ref.deployment, number))

    async def poll(self, io, call, wait_s):
        known = self._known.get(call.id, call)
        return replace(await self._inner.poll(io, known, wait_s), ref=call)


class PretendsToCancel(WrappedAdapter):
    """Confirms the end of a call that goes on."""

    async def cancel(self, io, call):
        return CancelReceipt.CONFIRMED_TERMINAL


class CallsAnythingARefusal(WrappedAdapter):
    """Maps «slow down» to the wrong class."""

    async def submit(self, io, ref, payload, options):
        try:
            return await self._inner.submit(io, ref, payload, options)
        except RateLimited as error:
            raise BadRequest(error.message, provider="mock", status=429) from None


class ForgetsTheWait(WrappedAdapter):
    """Drops the seconds that the provider asked to wait."""

    async def submit(self, io, ref, payload, options):
        try:
            return await self._inner.submit(io, ref, payload, options)
        except RateLimited as error:
            error.retry_after = None
            raise


class NamesAnother(WrappedAdapter):
    """Raises errors that say they are somebody else's, as copied tables do."""

    async def submit(self, io, ref, payload, options):
        try:
            return await self._inner.submit(io, ref, payload, options)
        except ProviderError as error:
            error.provider = "another"
            raise


class BlocksTheLoop(WrappedAdapter):
    """Waits for the provider without awaiting."""

    async def submit(self, io, ref, payload, options):
        call = self._inner.cloud.calls.invoke(ref.address, payload, options.wait_s)
        return await self._inner.poll(io, CallRef("mock", ref.address, call.id), 0.0)


class AwaitsTheLoop(WrappedAdapter):
    """Awaits something that needs an event loop."""

    async def submit(self, io, ref, payload, options):
        await asyncio.sleep(0)
        return await self._inner.submit(io, ref, payload, options)


class TakesCutStreamsForWhole(WrappedAdapter):
    """Ends a broken stream as if it had been finished."""

    async def stream(self, io, ref, payload, options):
        count = 0
        try:
            async for chunk in self._inner.stream(io, ref, payload, options):
                count += 1
                yield chunk
        except ProviderError:
            yield json.dumps({"gpuhub_end": {"items": count, "wire": 1}}).encode()


class ShufflesStreams(WrappedAdapter):
    """Gives the items of a stream two by two in the wrong order."""

    async def stream(self, io, ref, payload, options):
        held = None
        async for chunk in self._inner.stream(io, ref, payload, options):
            if held is None and b"gpuhub_end" not in chunk:
                held = chunk
                continue
            yield chunk if held is None or b"gpuhub_end" not in chunk else held
            if held is not None:
                yield held if b"gpuhub_end" not in chunk else chunk
            held = None


class RepeatsStreams(WrappedAdapter):
    """Starts a stream again when it breaks."""

    async def stream(self, io, ref, payload, options):
        for _ in range(2):
            try:
                async for chunk in self._inner.stream(io, ref, payload, options):
                    yield chunk
            except ProviderError:
                options = replace(options, idempotency_key=uuid.uuid4().hex)
                continue
            return


class GivesUpPolling(WrappedAdapter):
    """Takes one failed look for the call's end."""

    async def poll(self, io, call, wait_s):
        try:
            return await self._inner.poll(io, call, wait_s)
        except ProviderUnavailable as error:
            return CallState(call, Phase.FAILED, error=error)


def _without_traceback(envelope):
    if "gpuhub_error" in envelope:
        envelope["gpuhub_error"]["traceback"] = ""
    return envelope


def _without_falsy(envelope):
    return envelope if envelope.get("result", True) else {"result": None}
