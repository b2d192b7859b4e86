"""Values to payloads and back: the codec, the payload store, and errors that know their call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub._closing import closing
from gpuhub.codec import BareCodec, TaggedCodec, WireCodec
from gpuhub.errors import CallFailed, GpuHubError, MalformedResponse, OutcomeUnknown

if TYPE_CHECKING:
    from gpuhub._payload_store import PayloadStore
    from gpuhub.adapter import CallRef, CallState, DeploymentRef
    from gpuhub.codec import ChunkKind


@dataclass(frozen=True, slots=True)
class Wire:
    """How one endpoint's arguments and results travel.

    Attributes:
        codec: Between Python values and JSON.
        store: Where large ones travel by reference; ``None``: all travel inline.
    """

    codec: WireCodec
    store: PayloadStore | None = None

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """The JSON object of named arguments.

        Raises:
            SpecError: A value does not fit its annotation; names the parameter.
        """
        payload = self.codec.encode_call(args, kwargs)
        return payload if self.store is None else self.store.pack(payload)

    def value(self, state: CallState) -> Any:
        """The result of an ended call.

        Raises:
            RemoteError: The function raised.
            MalformedResponse: The answer is no envelope, or does not fit the annotation.
        """
        try:
            return self.codec.decode_result(self._unpacked(state.output or b""))
        except GpuHubError as error:
            raise _about(error, state.ref) from error.__cause__

    async def items(self, ref: DeploymentRef, chunks: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The items of a stream. gpuhub's own workers say how many there were.

        Raises:
            RemoteError: The generator raised.
            OutcomeUnknown: The stream ended before the worker said so, or items are missing.
        """
        seen = 0
        async with closing(chunks):
            async for chunk in chunks:
                kind, value = self._chunk(ref, chunk)
                if kind == "end":
                    if value != seen:
                        raise _cut(ref, seen, f"the worker sent {value}")
                    return
                seen += 1
                yield value
        if ref.made_by_gpuhub:
            raise _cut(ref, seen, "the worker had not finished")

    def _chunk(self, ref: DeploymentRef, chunk: bytes) -> tuple[ChunkKind, Any]:
        try:
            return self.codec.decode_chunk(self._unpacked(chunk))
        except GpuHubError as error:
            error.provider = error.provider or ref.provider
            raise

    def _unpacked(self, payload: bytes) -> bytes:
        return payload if self.store is None else self.store.unpack(payload)


class AnyCodec:
    """For calls of which only the id is known: an envelope if it is one, else plain JSON."""

    def __init__(self) -> None:
        self._tagged, self._bare = TaggedCodec(), BareCodec()

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Encode keyword arguments as one JSON object."""
        return self._tagged.encode_call(args, kwargs)

    def decode_result(self, payload: bytes) -> Any:
        """The envelope's value, or the JSON value itself."""
        try:
            return self._tagged.decode_result(payload)
        except MalformedResponse:
            return self._bare.decode_result(payload)

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """The envelope's value, or the JSON value itself."""
        try:
            return self._tagged.decode_chunk(payload)
        except MalformedResponse:
            return self._bare.decode_chunk(payload)


def _about(error: GpuHubError, call: CallRef) -> GpuHubError:
    """Tell an error which call it is about."""
    error.provider = error.provider or call.provider
    if isinstance(error, CallFailed):
        error.call_id = error.call_id or str(call)
    return error


def _cut(ref: DeploymentRef, seen: int, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"the stream from {ref.name!r} was cut after {seen} items: {why}",
        provider=ref.provider,
        next_step="use the items received, or call again if running twice does no harm",
    )
