"""How one target is called: which arguments it takes, by name, and what comes out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from gpuhub.worker.annotations import call_hints, item_hint
from gpuhub.worker.conversion import ConversionError, Converter
from gpuhub.worker.convert import Converters, guarded
from gpuhub.worker.target import Target

__all__ = ["CallShape", "SignatureProblem"]

_NOT_BY_NAME: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.POSITIONAL_ONLY: "positional-only ",
}


class SignatureProblem(TypeError):  # noqa: N818  (says what happened)
    """A parameter that cannot travel by name.

    Attributes:
        parameter: As written, such as ``*texts``.
    """

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class CallShape:
    """Parameters and results of one target, with their converters.

    Args:
        target_object: The raw function, generator function or class.
        target: Its description.

    Attributes:
        name: For messages, such as ``embed``.
        signature: Of what is called, without ``self``.
        parameters: Converters by parameter name, in order.
        result: Converter of the whole result; of a generator, the list of its items.
        item: Converter of one item of a stream.
        required: Names of the parameters without a default.
        streams: Whether it is a generator function, sync or async.

    Raises:
        SignatureProblem: A parameter cannot travel by name.
    """

    def __init__(self, target_object: Any, target: Target) -> None:
        function = target_object.__call__ if target.kind == "class" else target_object
        self.name = target.qualname
        self.signature = _signature(function, is_method=target.kind == "class")
        self.streams = target.kind == "generator" or _is_generator(function)
        converters = Converters()
        hints = call_hints(function)
        self.parameters: dict[str, Converter] = {
            name: converters.get_or_refuse(hints.get(name, Any))
            for name in self.signature.parameters
        }
        returns = hints.get("return", Any)
        self.item = converters.get_or_refuse(item_hint(returns) if self.streams else returns)
        self.result = _list_of(self.item) if self.streams else self.item
        self.required = [
            name
            for name, parameter in self.signature.parameters.items()
            if parameter.default is inspect.Parameter.empty
        ]

    def check(self) -> None:
        """Refuse now what could only fail later: annotations of values that must travel.

        Raises:
            UnsupportedAnnotation: No JSON form is known for one.
        """
        for name in self.required:
            _check_supported(name, self.parameters[name])
        _check_supported("result", self.item)

    def decode_arguments(self, arguments: Any) -> dict[str, Any]:
        """Give the keyword arguments of a call.

        Raises:
            TypeError: One is missing, unknown, or does not fit its annotation.
        """
        if not isinstance(arguments, Mapping):
            kind = type(arguments).__name__
            raise TypeError(f"{self.name}() takes a JSON object of named arguments, got {kind}")
        values: dict[str, Any] = {}
        for name, wire in arguments.items():
            converter = self.parameters.get(name)
            if converter is None:
                known = ", ".join(self.parameters) or "none"
                raise TypeError(
                    f"{self.name}() got an unexpected argument {name!r}; known: {known}"
                )
            values[name] = convert_at(name, converter.decode, wire)
        missing = [name for name in self.required if name not in values]
        if missing:
            names = ", ".join(map(repr, missing))
            raise TypeError(f"{self.name}() is missing the argument {names}")
        return values

    def encode_result(self, value: Any) -> Any:
        """Give the JSON value of the result."""
        return convert_at("result", self.result.encode, value)

    def encode_item(self, value: Any) -> Any:
        """Give the JSON value of one item of a stream."""
        return convert_at("item", self.item.encode, value)


def convert_at(place: str, convert: Any, value: Any) -> Any:
    """Convert; an error begins its path with the place."""
    try:
        return guarded(convert, value)
    except ConversionError as error:
        raise error.inside(place) from None


def _check_supported(place: str, converter: Converter) -> None:
    if not converter.kinds:
        convert_at(place, converter.encode, None)


def _signature(function: Any, *, is_method: bool) -> inspect.Signature:
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[1 if is_method else 0 :]
    for parameter in parameters:
        mark = _NOT_BY_NAME.get(parameter.kind)
        if mark is not None:
            written = f"{mark}{parameter.name}"
            raise SignatureProblem(
                f"the parameter {written} cannot be used: every argument travels by name", written
            )
    return found.replace(parameters=parameters)


def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _list_of(item: Converter) -> Converter:
    from gpuhub.worker._containers import sequence_converter

    return sequence_converter(list, item)
