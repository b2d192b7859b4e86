"""Arguments and results between Python values and the wire form: the client's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from gpuhub.worker.target import Target

__all__ = ["BareCodec", "Codec", "WireCodec", "codec_for"]

ChunkKind = Literal["item", "end"]


class WireCodec(Protocol):
    """What the engine needs of a codec."""

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Give the JSON object of named arguments."""
        ...

    def decode_result(self, payload: bytes) -> Any:
        """Give the value of an answer, or raise what it reports."""
        ...

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give ``("item", value)`` or ``("end", number of items)`` for one chunk of a stream."""
        ...


class Codec:
    """The wire form of one decorated function, driven by its annotations.

    Args:
        function: The raw function, generator function or class.
        target: Its description.

    Raises:
        SpecError: A parameter cannot travel by name (``*args``, ``**kwargs``, positional-only),
            or an annotation cannot travel.
    """

    def __init__(self, function: Callable[..., Any] | type, target: Target) -> None:
        raise NotImplementedError

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Bind as Python would and encode; defaults stay with the function.

        Raises:
            TypeError: The arguments do not fit the signature.
            SpecError: A value does not fit its annotation; names the parameter.
        """
        raise NotImplementedError

    def decode_result(self, payload: bytes) -> Any:
        """Give the function's result.

        Raises:
            RemoteError: The function raised.
            MalformedResponse: The payload is no envelope, or its value does not fit.
        """
        raise NotImplementedError

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give ``("item", value)`` or ``("end", number of items)``; raises as above."""
        raise NotImplementedError


class BareCodec:
    """For endpoints gpuhub did not make: named arguments and plain JSON both ways."""

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Encode keyword arguments as one JSON object."""
        raise NotImplementedError

    def decode_result(self, payload: bytes) -> Any:
        """Parse JSON; an empty payload is ``None``."""
        raise NotImplementedError

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give ``("item", value)``."""
        raise NotImplementedError


def codec_for(function: Callable[..., Any] | type | None, target: Target | None) -> WireCodec:
    """Give a codec: by annotations for a function, tagged for gpuhub's own, else bare."""
    raise NotImplementedError
