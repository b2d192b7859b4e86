"""Values out of a worker's chunks, and the proof that the stream reached its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from gpuhub.errors import OutcomeUnknown, RemoteError

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef
    from gpuhub.codec import WireCodec


async def stream_values(
    codec: WireCodec, ref: DeploymentRef, chunks: AsyncIterator[bytes]
) -> AsyncIterator[Any]:
    """Decode chunks; gpuhub's own workers say how many items there were.

    Raises:
        RemoteError: The generator raised.
        OutcomeUnknown: The stream ended before the worker said so, or items are missing.
    """
    seen = 0
    async with aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            kind, value = _decoded(codec, ref, chunk)
            if kind == "end":
                if value != seen:
                    raise _cut(ref, seen, f"the worker sent {value}")
                return
            seen += 1
            yield value
    if ref.made_by_gpuhub:
        raise _cut(ref, seen, "the worker had not finished")


def _decoded(codec: WireCodec, ref: DeploymentRef, chunk: bytes) -> tuple[str, Any]:
    try:
        return codec.decode_chunk(chunk)
    except RemoteError as error:
        error.provider = error.provider or ref.provider
        raise


def _cut(ref: DeploymentRef, seen: int, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"the stream from {ref.name!r} was cut after {seen} items: {why}",
        provider=ref.provider,
        next_step="use the items received, or call again if running twice does no harm",
    )
