"""Calls over the SDK's connection: one try at a time, with gpuhub's key, nothing unpickled.

``Function.remote`` and ``.spawn`` send the same messages (``_Invocation`` of modal 1.6.4), but look
the function up before, wait for a throttle as long as the server says, and run what a pickle tells.
"""

# ruff: noqa: SLF001 - the SDK has no public way to its messages
from __future__ import annotations

import asyncio  # noqa: TID251 - on the SDK's loop, not the engine's
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from gpuhub_modal.errors import error_of, malformed
from gpuhub_modal.facts import CallRequest, Output
from gpuhub_modal.loop import following
from gpuhub_modal.sdk import downloaded, protobuf, uploaded

__all__ = ["build_log", "cancel", "has_begun", "items", "output", "start"]

_INLINE = {"sync": 2 * 1024 * 1024, "stream": 2 * 1024 * 1024, "async": 8 * 1024}
"""Bytes of arguments that fit into the message; larger ones are stored first (``blob_utils``)."""
_KINDS = {"sync": "SYNC", "async": "ASYNC", "stream": "SYNC_LEGACY"}
_SUBMIT_S, _GRACE_S, _LONG_POLL_S = 120.0, 10.0, 30.0
_REOPENED = 3


async def start(client: Any, request: CallRequest) -> str:
    """Send one call and give its id.

    Raises:
        ProviderError: With ``accepted`` false if its input could not be stored.
    """
    proto, stub = protobuf(), client._stub
    try:
        item = await _input(request, stub)
    except Exception as error:
        if (known := error_of(error)) is not None:
            known.accepted = False  # nothing can have run
            raise known from error
        raise
    kind = getattr(proto, f"FUNCTION_CALL_INVOCATION_TYPE_{_KINDS[request.kind]}")
    message = proto.FunctionMapRequest(
        function_id=request.function_id,
        function_call_type=proto.FUNCTION_CALL_TYPE_UNARY,
        pipelined_inputs=[item],
        function_call_invocation_type=kind,
    )
    key = [("x-idempotency-key", request.key)] if request.key else []
    answer = await stub.FunctionMap(message, retry=None, timeout=_SUBMIT_S, metadata=key)
    if not answer.function_call_id:
        raise malformed("the answer to FunctionMap has no id of the call")
    if not answer.pipelined_inputs:
        raise malformed("the call was made, but its input was not taken")
    return str(answer.function_call_id)


async def _input(request: CallRequest, stub: Any) -> Any:
    proto = protobuf()
    item = proto.FunctionPutInputsItem(idx=0)
    item.input.data_format = proto.DATA_FORMAT_PICKLE
    if len(request.arguments) <= _INLINE[request.kind]:
        item.input.args = request.arguments
        return item
    blob_id, results = await uploaded(request.arguments, stub)
    item.input.args_blob_id = blob_id
    item.blob_upload_results.extend(results)
    return item


async def output(client: Any, call_id: str, wait_s: float) -> Output:
    """Ask for a call's end once, waiting for it up to so many seconds."""
    request = protobuf().FunctionGetOutputsRequest(
        function_call_id=call_id,
        timeout=wait_s,
        last_entry_id="0-0",
        clear_on_success=False,
        start_idx=0,
        end_idx=0,
    )
    answer = await client._stub.FunctionGetOutputs(request, retry=None, timeout=wait_s + _GRACE_S)
    if not answer.outputs:
        return Output(is_known=answer.num_unfinished_inputs > 0)
    return await _ended(answer.outputs[0], client._stub)


async def _ended(item: Any, stub: Any) -> Output:
    proto, result = protobuf(), item.result
    status = proto.GenericResult.GenericStatus.Name(result.status)
    data_format = proto.DataFormat.Name(item.data_format).removeprefix("DATA_FORMAT_")
    data = await _data(result, stub)
    total = None
    if data_format == "GENERATOR_DONE":
        total = proto.GeneratorDone.FromString(data).items_total
    return Output(
        status=status.removeprefix("GENERIC_STATUS_"),
        data=data,
        format=data_format,
        exception=result.exception,
        traceback=result.traceback,
        items=total,
    )


async def _data(holder: Any, stub: Any) -> bytes:
    if holder.data_blob_id:
        return await downloaded(holder.data_blob_id, stub)
    return bytes(holder.data)


async def has_begun(client: Any, call_id: str) -> bool:
    """Whether a container has the call."""
    request = protobuf().FunctionGetCallGraphRequest(function_call_id=call_id)
    answer = await client._stub.FunctionGetCallGraph(request, retry=None, timeout=_GRACE_S)
    mine = [each for each in answer.inputs if each.function_call_id in ("", call_id)]
    return any(each.task_id for each in mine)


async def cancel(client: Any, call_id: str) -> None:
    """Cancel a call."""
    request = protobuf().FunctionCallCancelRequest(function_call_id=call_id)
    await client._stub.FunctionCallCancel(request, retry=None, timeout=_GRACE_S)


async def build_log(client: Any, image_id: str) -> str:
    """Read what an image's build printed."""
    request = protobuf().ImageJoinStreamingRequest(
        image_id=image_id, timeout=_GRACE_S, include_logs_for_finished=True
    )
    text = ""
    async for answer in client._stub.ImageJoinStreaming.unary_stream(request):
        text += "".join(each.data for each in answer.task_logs)
        if answer.result.status:
            break
    return text


# Streams


async def items(client: Any, call_id: str) -> AsyncIterator[bytes | Output]:
    """Yield a stream's pickled items; last an :class:`Output`, unless all items have come."""
    end = asyncio.ensure_future(_end(client, call_id))
    stream = _data_out(client, call_id)
    step: asyncio.Future[bytes | None] | None = None
    received, total = 0, None
    try:
        while total is None or received < total:
            step = step or asyncio.ensure_future(following(stream))
            waiting: set[asyncio.Future[Any]] = {step} if total is not None else {step, end}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                item, step = step.result(), None
                if item is not None:
                    received += 1
                    yield item
            elif (ended := end.result()).items is None:
                yield ended
                return
            else:
                total = ended.items
    finally:
        await _dropped(end, step)
        await stream.aclose()  # type: ignore[attr-defined]


async def _dropped(*tasks: asyncio.Future[Any] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await task


async def _end(client: Any, call_id: str) -> Output:
    while True:
        found = await output(client, call_id, _LONG_POLL_S)
        if found.status or not found.is_known:
            return found


async def _data_out(client: Any, call_id: str) -> AsyncIterator[bytes]:
    """Read the items, from where the connection broke off; a few times."""
    last, broken = 0, 0
    while True:
        request = protobuf().FunctionCallGetDataRequest(function_call_id=call_id, last_index=last)
        try:
            async for chunk in client._stub.FunctionCallGetDataOut.unary_stream(request):
                if chunk.index > last:
                    last, broken = chunk.index, 0
                    yield await _data(chunk, client._stub)
        except Exception:
            broken += 1
            if broken > _REOPENED:
                raise
            await asyncio.sleep(0.01 * 10**broken)
