"""What containers ask: inputs, outputs, heartbeats, streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.calls import Call, Input
from gpuhub_modal.emulator.containers import Container, Taker
from gpuhub_modal.emulator.problems import Refused, missing
from gpuhub_modal.emulator.rpc import Asked, rpc

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.calling import Calling
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.site import Site

__all__ = ["Containers"]

_HEARTBEAT_S = 14.0
"""Real seconds that a heartbeat is held; containers send one every 15."""


class Containers:
    """RPCs of containers.

    Args:
        site: What all parts share.
        workspace: All apps.
        calling: All calls.
    """

    def __init__(self, site: Site, workspace: Workspace, calling: Calling) -> None:
        self._site = site
        self._workspace = workspace
        self._calling = calling

    @rpc("ContainerHello", "hello", caller="container")
    async def hello(self, _asked: Asked) -> Any:
        """Note that a container's code runs."""
        return self._site.wire.empty()

    @rpc("FunctionGetInputs", "take", caller="container")
    async def take(self, asked: Asked) -> Any:
        """Give inputs, as soon as there are some; or tell that there will be none."""
        container, message = _asker(asked), asked.message
        future: asyncio.Future[list[Input]] = asyncio.get_running_loop().create_future()
        size = max(1, message.batch_max_size)
        taker = Taker(future, size, message.batch_linger_ms / 1000)
        with self._site.change():
            if not container.is_stopped:
                container.taker = taker
                self._function(container).desk.asked(container)
        if container.is_stopped and not future.done():
            future.set_result([])
        try:
            entries = await future
        finally:
            with self._site.timeline.lock:
                if container.taker is taker:
                    container.taker = None
        return self._site.pb.FunctionGetInputsResponse(
            inputs=[self._item(each) for each in entries]
            or [self._site.pb.FunctionGetInputsItem(kill_switch=True)]
        )

    @rpc("FunctionPutOutputs", "give", caller="container")
    async def give(self, asked: Asked) -> Any:
        """Take outputs."""
        container = _asker(asked)
        with self._site.change():
            for item in asked.message.outputs:
                entry = self._calling.entry(item.input_id)
                if entry is not None and not container.is_stopped:
                    self._function(container).desk.accept_output(container, entry, item)
        return self._site.wire.empty()

    @rpc("ContainerHeartbeat", "heartbeat", caller="container")
    async def heartbeat(self, asked: Asked) -> Any:
        """Hold the line, and tell of inputs that are to be cancelled."""
        container = _asker(asked)
        ends = asyncio.get_running_loop().time() + _HEARTBEAT_S
        while True:
            with self._site.timeline.lock:
                changed = container.cancelled.listen()
                cancelled, container.to_cancel = container.to_cancel, []
            left = ends - asyncio.get_running_loop().time()
            if cancelled or left <= 0:
                return self._site.wire.heartbeat(cancelled)
            await asyncio.wait([changed], timeout=left)

    @rpc("FunctionGetDynamicConcurrency", "limits", caller="container")
    async def concurrency(self, asked: Asked) -> Any:
        """Let a container run more inputs than it aims at, when there are that many."""
        with self._site.change():
            function = self._function(_asker(asked))
            wanted = function.limits.most if function.queue else function.limits.target
        return self._site.pb.FunctionGetDynamicConcurrencyResponse(concurrency=wanted)

    @rpc("TaskResult", "result", caller="container")
    async def result(self, asked: Asked) -> Any:
        """Note why a container did not start."""
        with self._site.change():
            _asker(asked).failure = asked.message.result
        return self._site.wire.empty()

    @rpc("ContainerStop", "stop", caller="anyone")
    async def stop(self, asked: Asked) -> Any:
        """Stop a container: at once, or after its inputs."""
        message = asked.message
        with self._site.change():
            for function in self._workspace.functions.values():
                container = function.containers.get(message.task_id)
                if container is None:
                    continue
                if message.graceful:
                    function.desk.fleet.retire(container)
                else:
                    function.desk.lose(container)
        return self._site.pb.ContainerStopResponse()

    @rpc("TaskList", "status")
    async def tasks(self, asked: Asked) -> Any:
        """List containers."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            wall, now = self._site.wall, self._site.now
            found = [
                pb.TaskStats(
                    task_id=container.id,
                    app_id=function.app.id,
                    app_description=function.app.name,
                    started_at=wall - (now - container.started_at),
                    enqueued_at=wall - (now - container.started_at),
                )
                for function in self._workspace.functions.values()
                for container in function.containers.values()
                if message.app_id in ("", function.app.id)
            ]
        return pb.TaskListResponse(tasks=found)

    @rpc("FunctionCallPutDataOut", "stream item", caller="container")
    async def put_data_out(self, asked: Asked) -> Any:
        """Take what a generator yielded."""
        message = asked.message
        with self._site.change():
            call = self._called(message)
            known = len(call.chunks)
            fresh = [each for each in message.data_chunks if each.index > known]
            fault = self._site.faults.take("stream item")
            is_crash = fault is not None and fault.kind == "crash"
            call.chunks += fresh[:1] if is_crash else fresh  # several may come together
            call.changed.fire()
            if is_crash:
                container = _asker(asked)
                for entry in call.inputs.values():
                    entry.losses = self._site.options.crash_limit
                self._function(container).desk.died(container, 137)
        return self._site.wire.empty()

    @rpc("FunctionCallGetDataIn", "data in", caller="container")
    async def data_in(self, asked: Asked) -> AsyncIterator[Any]:
        """Give what a web request sends, as it comes."""
        call = self._called(asked.message)
        sent = asked.message.last_index
        while True:
            with self._site.timeline.lock:
                changed = call.changed.listen()
                chunks = call.data_in[sent:]
                sent += len(chunks)
                is_over = call.is_over
            for chunk in chunks:
                yield chunk
            if is_over:
                return
            if not chunks:
                await changed

    def _called(self, message: Any) -> Call:
        with self._site.timeline.lock:
            return self._calling.call(message.function_call_id or message.attempt_token)

    def _function(self, container: Container) -> Function:
        function = self._workspace.functions.get(container.function_id)
        if function is None:
            raise missing(f"Function {container.function_id}")
        return function

    def _item(self, entry: Input) -> Any:
        return self._site.pb.FunctionGetInputsItem(
            input_id=entry.id,
            input=entry.sent,
            function_call_id=entry.call.id,
            function_call_invocation_type=entry.call.kind,
            retry_count=entry.retry_count,
            function_map_idx=entry.idx,
        )


def _asker(asked: Asked) -> Container:
    if asked.container is None:
        raise Refused("PERMISSION_DENIED", "only containers ask this")
    return asked.container
