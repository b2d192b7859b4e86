"""Function calls: inputs, outputs, streams, cancelling."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import hold, wait_until
from gpuhub_modal.emulator.calls import Call, Input, State
from gpuhub_modal.emulator.problems import bad, missing
from gpuhub_modal.emulator.rpc import Asked, rpc
from gpuhub_modal.emulator.tokens import call_token, input_id_of, input_token

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.calling import Calling
    from gpuhub_modal.emulator.site import Site

__all__ = ["Calls"]

_OUTSTANDING = 1_000
_LONGEST_POLL_S = 60.0


class Calls:
    """RPCs about function calls.

    Args:
        site: What all parts share.
        workspace: All apps.
        calling: All calls.
    """

    def __init__(self, site: Site, workspace: Workspace, calling: Calling) -> None:
        self._site = site
        self._workspace = workspace
        self._calling = calling

    @rpc("FunctionMap", "submit", caller="anyone")
    async def begin(self, asked: Asked) -> Any:
        """Begin a call, with its first inputs or without any."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            function = self._workspace.function(message.function_id)
            if function.definition is None:
                raise missing(f"Function {message.function_id}")
            if function.definition.sent.webhook_config.type:
                raise bad("a web function is not called by inputs")
            call = self._calling.begin(
                function,
                message.function_call_invocation_type,
                is_map=message.function_call_type == pb.FUNCTION_CALL_TYPE_MAP,
                parent_input_id=message.parent_input_id,
            )
            entries = self._calling.put(call, message.pipelined_inputs, asked.fault)
            return pb.FunctionMapResponse(
                function_call_id=call.id,
                pipelined_inputs=[self._accepted(each) for each in entries],
                retry_policy=function.definition.sent.retry_policy,
                function_call_jwt=call_token(call),
                sync_client_retries_enabled=True,
                max_inputs_outstanding=_OUTSTANDING,
            )

    @rpc("FunctionPutInputs", "submit", caller="anyone")
    async def put(self, asked: Asked) -> Any:
        """Take further inputs of a call."""
        message = asked.message
        with self._site.change():
            call = self._calling.call(message.function_call_id)
            entries = self._calling.put(call, message.inputs, asked.fault)
            accepted = [self._accepted(each) for each in entries]
            return self._site.pb.FunctionPutInputsResponse(inputs=accepted)

    @rpc("FunctionRetryInputs", "submit", caller="anyone")
    async def repeat(self, asked: Asked) -> Any:
        """Run inputs again that failed: who waits for a call repeats its inputs itself."""
        tokens = []
        with self._site.change():
            for item in asked.message.inputs:
                input_id = input_id_of(item.input_jwt)
                entry = self._calling.entry(input_id)
                if entry is None:
                    raise missing(f"Input {input_id}")
                entry.call.function.desk.repeat(entry, item.retry_count or entry.retry_count + 1)
                tokens.append(input_token(entry))
        return self._site.pb.FunctionRetryInputsResponse(input_jwts=tokens)

    @rpc("FunctionFinishInputs", "submit", caller="anyone")
    async def finish(self, asked: Asked) -> Any:
        """Note that no more inputs follow."""
        with self._site.change():
            self._calling.call(asked.message.function_call_id)
        return self._site.wire.empty()

    @rpc("FunctionGetOutputs", "poll", caller="anyone")
    async def outputs(self, asked: Asked) -> Any:
        """Give outputs; may wait for some."""
        message = asked.message
        with self._site.change():
            call = self._calling.call(message.function_call_id)
        if message.timeout > 0:
            wait_s = min(message.timeout, _LONGEST_POLL_S)
            await wait_until(
                self._site, call.changed, lambda: bool(self._found(call, message)), wait_s
            )
        else:
            await hold(
                self._site,
                call.changed,
                lambda: 0.0 if self._found(call, message) else call.function.pending_s(),
            )
        with self._site.change():
            if message.clear_on_success and not message.HasField("start_idx"):
                call.outputs.clear()  # a map is done with them
            found = self._found(call, message)
            number = found[-1][0] if found else 0
            return self._site.pb.FunctionGetOutputsResponse(
                outputs=[output for _, output in found],
                idxs=[output.idx for _, output in found],
                last_entry_id=f"{number}-0" if found else message.last_entry_id,
                num_unfinished_inputs=call.unfinished,
            )

    @rpc("FunctionCallCancel", "cancel", caller="anyone")
    async def cancel(self, asked: Asked) -> Any:
        """End a call."""
        message = asked.message
        with self._site.change():
            call = self._calling.call(message.function_call_id)
            call.function.desk.cancel(call, kill=message.terminate_containers)
        return self._site.wire.empty()

    @rpc("FunctionCallFromId", "find", caller="anyone")
    async def from_id(self, asked: Asked) -> Any:
        """Find a call by its id."""
        pb = self._site.pb
        with self._site.change():
            call = self._calling.call(asked.message.function_call_id)
            return pb.FunctionCallFromIdResponse(
                function_call_id=call.id,
                num_inputs=len(call.inputs),
                metadata=pb.FunctionCallHandleMetadata(
                    app_id=call.function.app.id, function_id=call.function.id
                ),
            )

    @rpc("FunctionGetCallGraph", "poll", caller="anyone")
    async def graph(self, asked: Asked) -> Any:
        """Tell where the inputs of a call are."""
        pb = self._site.pb
        with self._site.change():
            call = self._calling.call(asked.message.function_call_id)
            sent = call.function.definition.sent if call.function.definition else None
            return pb.FunctionGetCallGraphResponse(
                inputs=[
                    pb.InputCallGraphInfo(
                        input_id=each.id,
                        status=each.output.result.status if each.output else 0,
                        function_call_id=call.id,
                        task_id=each.task_id,
                    )
                    for each in call.inputs.values()
                ],
                function_calls=[
                    pb.FunctionCallCallGraphInfo(
                        function_call_id=call.id,
                        parent_input_id=call.parent_input_id,
                        function_name=call.function.tag,
                        module_name=sent.module_name if sent else "",
                    )
                ],
            )

    @rpc("FunctionCallGetInfo", "poll")
    async def info(self, asked: Asked) -> Any:
        """Count the inputs of a call."""
        pb = self._site.pb
        with self._site.change():
            call = self._calling.call(asked.message.function_call_id)
            info = pb.FunctionCallInfo(
                function_call_id=call.id, created_at=call.created_at, total_inputs=len(call.inputs)
            )
            for entry in call.inputs.values():
                name = self._site.wire.category(entry.output)
                getattr(info, f"{name}_inputs").total += 1
            return pb.FunctionCallGetInfoResponse(info=info)

    @rpc("FunctionCallGetDataOut", "poll", caller="anyone")
    async def data_out(self, asked: Asked) -> AsyncIterator[Any]:
        """Give what a generator yields, as it comes; ends only when the client goes."""
        with self._site.change():
            call = self._calling.call(asked.message.function_call_id)
        sent = asked.message.last_index

        def is_more() -> bool:
            return len(call.chunks) > sent or call.is_over

        while True:
            await wait_until(self._site, call.changed, is_more, math.inf)
            for chunk in call.chunks[sent:]:
                yield chunk
            sent = len(call.chunks)
            if call.is_over:
                break
        await self._forever()

    async def _forever(self) -> None:
        """Wait until the client goes: Modal's own asks again at once when a stream ends."""
        while True:
            with self._site.timeline.lock:
                changed = self._site.changed.listen()
            await changed

    def _accepted(self, entry: Input) -> Any:
        return self._site.pb.FunctionPutInputsResponseItem(
            idx=entry.idx, input_id=entry.id, input_jwt=input_token(entry)
        )

    def _found(self, call: Call, message: Any) -> list[tuple[int, Any]]:
        """The outputs that a request asks for, each with its number."""
        if call.is_expired:
            return []
        if message.HasField("start_idx"):
            last = message.end_idx if message.HasField("end_idx") else message.start_idx
            entries = [call.inputs.get(idx) for idx in range(message.start_idx, last + 1)]
            return [
                (each.idx, each.output)
                for each in entries
                if each is not None and each.state is State.OVER
            ]
        after = int((message.last_entry_id or "0-0").partition("-")[0])
        found = [(number, output) for number, (_, output) in enumerate(call.outputs, 1)]
        return found[after : after + (message.max_values or _OUTSTANDING)]
