"""Begins function calls, whoever asks for them: clients, schedules, web requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.signals import Signal
from gpuhub_modal.emulator.calls import Call, Input
from gpuhub_modal.emulator.problems import Refused, missing

if TYPE_CHECKING:
    from gpuhub.testing.emulator import Fault
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.site import Site

__all__ = ["Calling"]

_ALWAYS = 1_000_000


class Calling:
    """All calls of a workspace. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.calls: dict[str, Call] = {}
        self._inputs: dict[str, Input] = {}

    def call(self, call_id: str) -> Call:
        """Give a call.

        Raises:
            Refused: There is none.
        """
        if call_id not in self.calls:
            raise missing(f"Function call {call_id}")
        return self.calls[call_id]

    def entry(self, input_id: str) -> Input | None:
        """Find an input."""
        return self._inputs.get(input_id)

    def begin(
        self, function: Function, kind: int, *, is_map: bool = False, parent_input_id: str = ""
    ) -> Call:
        """Make a call that has no input yet.

        Args:
            function: What is called; must be published.
            kind: Modal's ``FunctionCallInvocationType``.
            is_map: Whether inputs may follow.
            parent_input_id: Input of the call that makes this one.
        """
        call = Call(
            id=self._site.new_id("fc"),
            function=function,
            kind=kind,
            is_map=is_map,
            parent_input_id=parent_input_id,
            created_at=self._site.wall,
            changed=Signal(self._site.waker),
        )
        self.calls[call.id] = function.calls[call.id] = call
        return call

    def put(self, call: Call, items: Sequence[Any], fault: Fault | None = None) -> list[Input]:
        """Take inputs of a call.

        Args:
            call: Whose they are.
            items: Modal's ``FunctionPutInputsItem``, each.
            fault: What is to happen to them.

        Raises:
            Refused: Too many wait already, or one is too large.
        """
        for item in items:
            self._check(call, item.input)
        self._check_queue(call, len(items))
        return [self._put_one(call, item.idx, item.input, fault) for item in items]

    def run_scheduled(self, function: Function) -> None:
        """Run a function without arguments."""
        pb = self._site.pb
        call = self.begin(function, pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC)
        self._put_one(call, 0, pb.FunctionInput(data_format=pb.DATA_FORMAT_PICKLE), None)

    def _put_one(self, call: Call, idx: int, sent: Any, fault: Fault | None) -> Input:
        entry = Input(self._site.new_id("in"), call, idx, sent)
        kind = None if fault is None else fault.kind
        entry.hangs = kind == "timeout"
        if fault is not None and kind == "crash":
            entry.crashes = 1 if fault.code == "once" else _ALWAYS
        self._inputs[entry.id] = entry
        call.function.desk.submit(entry)
        return entry

    def _check(self, call: Call, sent: Any) -> None:
        options = self._site.options
        most = options.input_bytes
        if call.kind == self._site.pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC:
            most = min(most, options.spawn_bytes)
        if len(sent.args) > most:
            raise Refused(
                "INVALID_ARGUMENT",
                f"an input of {len(sent.args)} bytes does not fit into the request (at most {most}"
                "): upload it as a blob",
            )

    def _check_queue(self, call: Call, more: int) -> None:
        """Refuse what would make a function's queue longer than Modal documents."""
        pb, options, function = self._site.pb, self._site.options, call.function
        is_spawned = call.kind == pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC
        most = options.async_queue if is_spawned else options.sync_queue
        waiting = sum(
            (each.call.kind == pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC) == is_spawned
            for each in function.queue
        )
        if waiting + more > most:
            raise Refused(
                "RESOURCE_EXHAUSTED",
                f"Function {function.tag} has {waiting} pending inputs; the limit is {most}",
                pb.RPCRetryPolicy(retry_after_secs=1.0),
            )
