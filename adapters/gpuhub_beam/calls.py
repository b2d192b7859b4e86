"""Calls: requests that are answered, and tasks that are followed. None is sent twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallOptions, CallRef, CallState, CancelReceipt, Phase
from gpuhub.adapter.events import EventReader
from gpuhub.errors import (
    CallFailed,
    CallTimedOut,
    MalformedResponse,
    NoCapacity,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
    UnsupportedSetting,
)
from gpuhub_beam import wire
from gpuhub_beam.errors import GONE, NO_CONTAINER, document, member, read_error
from gpuhub_beam.following import Following
from gpuhub_beam.states import TIMED_OUT, answered, remote_error

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub.plan import Request, Response
    from gpuhub_beam.gateway import Gateway

__all__ = ["QUEUE_LIMIT", "Calls"]

QUEUE_LIMIT = 7_000_000
"""Bytes of arguments that fit into a message of 16 MiB on the way to the runner, quoted as text."""

_TASKS = ("taskqueue", "function", "schedule")
_LATE = 0.98
"""A request that is lost after this part of its time was ended for it."""
_ROUTE = "Backend route unavailable"
END = "gpuhub_end"
RESULT = "result"


class Calls:
    """The calls of one workspace.

    Args:
        gateway: Where they are sent.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._following = Following(gateway)

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call. A request is answered with its end; a task is accepted."""
        if options.wait_s and ref.data.get("kind") not in _TASKS:
            return await self._request(io, ref, payload, options)
        return await self._task(io, ref, payload, options)

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a task; after its first seconds, wait for its next state."""
        return await self._following.poll(io, call, wait_s)

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a task, and see whether it has ended."""
        workspace = await self._gateway.workspace(io)
        await io.send(wire.stop_tasks(workspace, [call.id]))
        state = await self._following.ask(io, call)
        if state.phase.is_terminal:
            return CancelReceipt.CONFIRMED_TERMINAL
        return CancelReceipt.PROVIDER_ACK

    # Tasks

    async def _task(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        if "queue" not in ref.data:
            raise _no_queue(ref)
        if len(payload) > QUEUE_LIMIT:
            raise _too_large(len(payload))

        def request(ref: DeploymentRef) -> Request:
            sent = wire.call(ref.data["queue"], payload, options, 0.0, wrap=ref.made_by_gpuhub)
            return replace(sent, timeout=60.0, accept=())

        answer = document(await self._send(io, ref, request))
        call = CallRef("beam", ref.address, member(answer, "task_id", str))
        self._following.note(call, io.now())
        return CallState(call, Phase.QUEUED)

    # Requests

    async def _request(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        started = io.now()
        seconds = _timeout(ref)

        def request(ref: DeploymentRef) -> Request:
            path = ref.data["path"]
            return wire.call(path, payload, options, seconds, wrap=ref.made_by_gpuhub)

        response = await self._send(io, ref, request)
        call = CallRef("beam", ref.address, response.headers.get("x-task-id") or "request")
        if response.status == 200:
            _check_answer(ref, response)
            return answered(call, response.body)
        return self._lost(call, response, took=io.now() - started, limit=seconds)

    def _lost(self, call: CallRef, response: Response, *, took: float, limit: float) -> CallState:
        """Give the state of a request that has no answer of the function's."""
        message = read_error(response).message if _is_json(response) else ""
        body = response.json() if _is_json(response) else {}
        if response.status == 409:
            return CallState(call, Phase.CANCELLED, detail=message)
        if response.status == 500 and "error" in body and "Traceback" in message:
            return CallState(call, Phase.FAILED, error=remote_error(call, message))
        if response.status == 502 and message == _ROUTE:
            if took >= limit * _LATE:
                return CallState(call, Phase.TIMED_OUT, detail=f"after {limit:g} s")
            return CallState(call, Phase.FAILED, error=_died(call))
        words = message or "no words of Beam's"
        raise ProviderUnavailable(
            f"Beam answered the call with {response.status}: {words}",
            provider="beam",
            status=response.status,
            request_id=response.headers.get("x-task-id"),
            accepted=None,
            next_step="look at `gpuhub logs` for what became of it",
        )

    async def _send(self, io: Io, ref: DeploymentRef, make: Any) -> Response:
        """Send a call; to the version that serves now when the known one was stopped meanwhile.

        For five minutes the gateway may still take calls for a stopped version, and then drops them
        when no container came: these have not run either.
        """
        try:
            return await io.send(make(ref))
        except (NotFound, NoCapacity) as error:
            if error.code not in (GONE, NO_CONTAINER) or not ref.made_by_gpuhub:
                raise
            serving = (await self._gateway.look(io, ref.name)).serving()
            if serving is None or serving.id == ref.version:
                raise
            return await io.send(make(serving.ref(self._gateway.base_url)))

    # Streams

    async def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield what its worker yields. Leaving early ends it."""
        if ref.data.get("kind") in _TASKS:
            async for chunk in self._whole_task(io, ref, payload, options):
                yield chunk
            return
        seconds = _timeout(ref)
        sent = wire.call(ref.data["path"], payload, options, seconds, wrap=ref.made_by_gpuhub)
        headers = {**sent.headers, "Accept": "text/event-stream"}
        reader, plain, streamed = EventReader(), b"", False
        chunks = io.stream(replace(sent, headers=headers, accept=()))
        try:
            async for chunk in chunks:
                if not streamed and not (plain + chunk).startswith((b"data:", b"event:")):
                    plain += chunk
                    continue
                streamed = True
                for event in reader.feed(plain + chunk):
                    yield _item(ref, event.data)
                plain = b""
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]
        if plain.strip():
            for envelope in _single(ref, plain):
                yield envelope

    async def _whole_task(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Give a queue's result as a stream of one item."""
        state = await self._task(io, ref, payload, options)
        try:
            while not state.phase.is_terminal:
                await io.sleep(_PAUSE_S)
                state = await self.poll(io, state.ref, 1.0)
        finally:
            if not state.phase.is_terminal:
                await self.cancel(io, state.ref)
        if state.output is None:
            raise state.error or CallFailed(
                f"the task ended as {state.phase.value}",
                call_id=str(state.ref),
                provider="beam",
                next_step="look at `gpuhub logs`",
            )
        for envelope in _single(ref, state.output):
            yield envelope


_PAUSE_S = 0.05


def _timeout(ref: DeploymentRef) -> float:
    return float(ref.data.get("timeout") or 0) or 600.0


def _is_json(response: Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except MalformedResponse:
        return False


def _check_answer(ref: DeploymentRef, response: Response) -> None:
    """Refuse a page of a proxy in the place of the worker's answer."""
    try:
        response.json()
    except MalformedResponse as error:
        error.provider, error.accepted = "beam", None
        raise
    del ref


def _died(call: CallRef) -> CallFailed:
    return CallFailed(
        "the container of the call died, or could not be reached any more; it may have had an"
        " effect",
        call_id=str(call),
        provider="beam",
        status=502,
        next_step="look at `gpuhub logs`: out of memory is the usual reason",
    )


def _no_queue(ref: DeploymentRef) -> UnsupportedSetting:
    return UnsupportedSetting(
        f"{ref.name!r} has no task queue at Beam: its calls are requests only",
        fields=("spawn",),
        provider="beam",
        next_step="deploy it without options.beam.kind = 'endpoint', or wait for the result:"
        " invoke()",
    )


def _too_large(size: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the arguments are {size:,} bytes; Beam's queue takes at most {QUEUE_LIMIT:,}",
        provider="beam",
        next_step='pass a reference instead, or set payload_store = "s3://…" in gpuhub.toml',
    )


def _item(ref: DeploymentRef, data: str) -> bytes:
    """Give one item of a stream; Beam's runner puts ``{"data": …}`` around what is no object."""
    found = json.loads(data)
    if isinstance(found, dict) and TIMED_OUT in found:
        seconds = found[TIMED_OUT].get("seconds", 0)
        raise CallTimedOut(
            f"the worker ended the stream: it ran longer than its timeout of {seconds:g} s",
            provider="beam",
            next_step="raise `timeout` in the decorator and deploy again",
        )
    if not ref.made_by_gpuhub and isinstance(found, dict) and set(found) == {"data"}:
        return json.dumps(found["data"], ensure_ascii=False).encode()
    return data.encode()


def _single(ref: DeploymentRef, body: bytes) -> list[bytes]:
    """Give the chunks of a call that streamed nothing: its result, then the end."""
    _ = json.loads(body)
    if not ref.made_by_gpuhub:
        return [body]
    end = json.dumps({END: {"items": 1, "wire": 1}}).encode()
    return [body, end] if set(_) == {RESULT} else [body]
