"""Arguments and results between Python values and the wire form: the client's side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn, Protocol

from gpuhub.errors import MalformedResponse, RemoteError, SpecError
from gpuhub.worker.conversion import ConversionError
from gpuhub.worker.convert import Converters, guarded
from gpuhub.worker.file import File
from gpuhub.worker.signature import CallShape, SignatureProblem
from gpuhub.worker.target import Target
from gpuhub.worker.wire import END, ERROR, RESULT, dumps, loads

__all__ = ["BareCodec", "Codec", "TaggedCodec", "WireCodec", "codec_for"]

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
            or the result's annotation has no JSON form.
    """

    def __init__(self, function: Callable[..., Any] | type, target: Target) -> None:
        try:
            self._shape = CallShape(function, target)
            self._shape.check()
        except SignatureProblem as problem:
            raise SpecError(
                f"{target.qualname}: {problem}",
                next_step="give the function named parameters; take a list or a dict for many",
            ) from None
        except ConversionError as problem:
            raise SpecError(
                f"{target.qualname}: {problem}", next_step="change the annotation"
            ) from None
        self._positions = tuple(
            name
            for name, parameter in self._shape.signature.parameters.items()
            if parameter.kind is not parameter.KEYWORD_ONLY
        )
        self._encoders = {name: c.encode for name, c in self._shape.parameters.items()}
        self._required = frozenset(self._shape.required)

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Bind as Python would and encode; defaults stay with the function.

        Raises:
            TypeError: The arguments do not fit the signature, in Python's own words.
            SpecError: A value does not fit its annotation; names the parameter.
        """
        named = {**dict(zip(self._positions, args, strict=False)), **kwargs}
        if len(named) != len(args) + len(kwargs) or not self._required <= named.keys():
            self._refuse(args, kwargs)
        name = ""
        try:
            encoders = self._encoders
            wire = {}
            for name, value in named.items():
                wire[name] = encoders[name](value)
            return dumps(wire)
        except ConversionError as error:
            self._misfit(error.inside(name))
        except KeyError:
            self._refuse(args, kwargs)
        except (ValueError, RecursionError) as error:
            problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise SpecError(f"{self._shape.name}({name}=…) has no JSON form: {problem}") from error

    def decode_result(self, payload: bytes) -> Any:
        """Give the function's result.

        Raises:
            RemoteError: The function raised.
            MalformedResponse: The payload is no envelope, or its value does not fit.
        """
        return _decoded(self._shape.result.decode, _value(_envelope(payload), payload), payload)

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give ``("item", value)`` or ``("end", number of items)``; raises as above."""
        envelope = _envelope(payload)
        if END in envelope:
            return "end", _item_count(envelope[END], payload)
        return "item", _decoded(self._shape.item.decode, _value(envelope, payload), payload)

    def _refuse(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NoReturn:
        try:
            self._shape.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._shape.name}() {error}") from None
        raise TypeError(f"{self._shape.name}() takes {self._shape.signature}")

    def _misfit(self, error: ConversionError) -> NoReturn:
        raise SpecError(
            f"{self._shape.name}({error.path}=…): expected {error.expected}, got {error.got}",
            next_step="pass a value that fits the annotation, or change the annotation",
        ) from None


class TaggedCodec:
    """For gpuhub's own endpoints without their function at hand: named, tagged values."""

    def __init__(self) -> None:
        self._any = Converters().get(Any)

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Encode keyword arguments as one JSON object.

        Raises:
            TypeError: There are positional arguments: their names are not known.
            SpecError: A value has no JSON form.
        """
        _refuse_positional(args)
        wire = {}
        for name, value in kwargs.items():
            try:
                wire[name] = guarded(self._any.encode, value)
            except ConversionError as error:
                raise SpecError(f"the argument {error.inside(name)}") from None
        return dumps(wire)

    def decode_result(self, payload: bytes) -> Any:
        """Give the result; raises as :meth:`Codec.decode_result`."""
        return _decoded(self._any.decode, _value(_envelope(payload), payload), payload)

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give one item or the end; raises as :meth:`Codec.decode_result`."""
        envelope = _envelope(payload)
        if END in envelope:
            return "end", _item_count(envelope[END], payload)
        return "item", _decoded(self._any.decode, _value(envelope, payload), payload)


class BareCodec:
    """For endpoints gpuhub did not make: named arguments and plain JSON both ways."""

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        """Encode keyword arguments as one JSON object; a :class:`~gpuhub.File` is an object in it.

        Raises:
            TypeError: There are positional arguments: their names are not known.
            SpecError: A value is no JSON.
        """
        _refuse_positional(args)
        try:
            return dumps({name: _with_files(value) for name, value in kwargs.items()})
        except (TypeError, ValueError, RecursionError) as error:
            raise SpecError(
                f"the arguments are not plain JSON: {error}",
                next_step="this endpoint was not made by gpuhub: pass JSON values",
            ) from None

    def decode_result(self, payload: bytes) -> Any:
        """Parse JSON; an empty payload is ``None``.

        Raises:
            MalformedResponse: It is not JSON.
        """
        return _json(payload) if payload else None

    def decode_chunk(self, payload: bytes) -> tuple[ChunkKind, Any]:
        """Give ``("item", value)``; a chunk that is no JSON is an item of text."""
        try:
            return "item", loads(payload)
        except ValueError:
            return "item", payload.decode("utf-8", "replace")


def codec_for(
    function: Callable[..., Any] | type | None,
    target: Target | None,
    *,
    made_by_gpuhub: bool = True,
) -> WireCodec:
    """Give the codec of an endpoint.

    Args:
        function: The raw function or class, where the caller has it.
        target: Its description.
        made_by_gpuhub: Whether the endpoint answers in envelopes.
    """
    if function is not None and target is not None:
        return Codec(function, target)
    return TaggedCodec() if made_by_gpuhub else BareCodec()


def _with_files(value: Any) -> Any:
    """Give JSON's values with files in their wire form, for adapters that know what to do."""
    if isinstance(value, File):
        data = b64encode(value.data).decode("ascii")
        return {"name": value.name, "media_type": value.media_type, "data": data}
    if isinstance(value, list | tuple):
        return [_with_files(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_files(each) for name, each in value.items()}
    return value


def _refuse_positional(args: Sequence[Any]) -> None:
    if args:
        raise TypeError(
            "this endpoint's parameters are not known here: pass arguments by name, "
            "as in invoke(prompt=…)"
        )


def _json(payload: bytes) -> Any:
    try:
        return loads(payload)
    except ValueError as error:
        # The start shows a proxy's error page for what it is; of JSON it might be private.
        start = payload[:60].decode("utf-8", "replace")
        raise _malformed(f"the answer is not JSON: {error}; it begins {start!r}", payload) from None


def _envelope(payload: bytes) -> dict[str, Any]:
    envelope = _json(payload)
    if type(envelope) is dict and len(envelope) == 1:
        return envelope
    raise _malformed("the answer is no gpuhub envelope", payload)


def _value(envelope: dict[str, Any], payload: bytes) -> Any:
    if RESULT in envelope:
        return envelope[RESULT]
    if ERROR in envelope:
        raise _remote_error(envelope[ERROR], payload)
    raise _malformed("the answer is no gpuhub envelope", payload)


def _decoded(decode: Callable[[Any], Any], wire: Any, payload: bytes) -> Any:
    try:
        return guarded(decode, wire)
    except ConversionError as error:
        problem = error.inside("result")
        raise _malformed(f"the result does not fit its annotation: {problem}", payload) from None


def _remote_error(report: Any, payload: bytes) -> RemoteError | MalformedResponse:
    texts = report if isinstance(report, dict) else {}
    kind, message, trace = (texts.get(key) for key in ("type", "message", "traceback"))
    if not (isinstance(kind, str) and isinstance(message, str)):
        return _malformed("the error report lacks its type or message", payload)
    return RemoteError(
        f"{kind}: {message}" if message else kind,
        error_type=kind,
        error_message=message,
        remote_traceback=trace if isinstance(trace, str) else "",
    )


def _item_count(report: Any, payload: bytes) -> int:
    items = report.get("items") if isinstance(report, dict) else None
    if type(items) is not int:
        raise _malformed("the end of the stream lacks its number of items", payload)
    return items


def _malformed(message: str, payload: bytes) -> MalformedResponse:
    return MalformedResponse(
        f"{message} ({len(payload)} bytes)",
        next_step="check that the endpoint runs what gpuhub deployed: `gpuhub logs`",
        accepted=None,
    )
