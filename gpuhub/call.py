"""A call that was spawned: its state, result and cancel, from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar, override

from gpuhub._wire import AnyCodec, Wire
from gpuhub.adapter import CallRef, CallState, CancelReceipt, Phase
from gpuhub.workspace import Workspace, current_workspace

if TYPE_CHECKING:
    from gpuhub._session import Session

__all__ = ["Call"]

R = TypeVar("R", default=Any)


class Call(Generic[R]):
    """One call at a provider. Made by ``spawn``, or from its id by :meth:`from_id`."""

    def __init__(self, session: Session, ref: CallRef, wire: Wire) -> None:
        self._session = session
        self._wire = wire
        self.ref = ref

    @classmethod
    def from_id(cls, call_id: str, *, workspace: Workspace | None = None) -> Call[Any]:
        """The call of an id that :attr:`id` gave, in this process or another.

        Without the function's annotations the result comes as plain JSON values; use
        ``embed.call(id)`` to get it as the function returns it.

        Args:
            call_id: ``provider://deployment/call-id``.
            workspace: Whose credentials to use. Default: the current one.

        Raises:
            ConfigError: It is no such text, or the provider is unknown.
        """
        ref = CallRef.parse(call_id)
        workspace = workspace or current_workspace()
        return Call(workspace.session(ref.provider), ref, workspace.wire(AnyCodec()))

    @override
    def __repr__(self) -> str:
        """Show the id."""
        return f"Call({self.id!r})"

    @property
    def id(self) -> str:
        """Text form, ``provider://deployment/call-id``: survives a restart."""
        return str(self.ref)

    def state(self) -> CallState:
        """Ask the provider once. A forgotten call is :attr:`Phase.EXPIRED`.

        Raises:
            ProviderError: It could not be asked.
        """
        return self._session.run(lambda io: self._session.calls.state(io, self.ref))

    async def state_async(self) -> CallState:
        """Ask the provider once. See :meth:`state`."""
        return await self._session.run_async(lambda io: self._session.calls.state(io, self.ref))

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result.

        Args:
            timeout: Seconds to wait; the call goes on when they are over. Default: no limit.

        Raises:
            RemoteError: The function raised.
            CallFailed: The call ended without a result, or not in time.
        """
        state = self._session.run(lambda io: self._session.calls.wait(io, self.ref, timeout))
        return self._decode(state)

    async def result_async(self, timeout: float | None = None) -> R:  # noqa: ASYNC109
        """Wait for the result. See :meth:`result`."""
        state = await self._session.run_async(
            lambda io: self._session.calls.wait(io, self.ref, timeout)
        )
        return self._decode(state)

    def cancel(self) -> CancelReceipt:
        """Stop the call and say what that achieved."""
        return self._session.run(lambda io: self._session.calls.cancel(io, self.ref))

    async def cancel_async(self) -> CancelReceipt:
        """Stop the call and say what that achieved."""
        return await self._session.run_async(lambda io: self._session.calls.cancel(io, self.ref))

    def retry(self) -> CallState:
        """Let the provider run this call again, under the same id, after it failed.

        Only RunPod can, while it keeps the call: a call that failed or took too long.

        Raises:
            UnsupportedSetting: The provider cannot: submit the call again instead.
            ProviderError: It refused, for example because the call succeeded.
            OutcomeUnknown: The answer was lost: the call may run again or not.
        """
        return self._session.run(lambda io: self._session.calls.retry(io, self.ref))

    async def retry_async(self) -> CallState:
        """Let the provider run this call again. See :meth:`retry`."""
        return await self._session.run_async(lambda io: self._session.calls.retry(io, self.ref))

    @property
    def done(self) -> bool:
        """Whether the call has ended; asks the provider."""
        return self.state().phase not in (Phase.QUEUED, Phase.RUNNING)

    def _decode(self, state: CallState) -> R:
        value: R = self._wire.value(state)
        return value
