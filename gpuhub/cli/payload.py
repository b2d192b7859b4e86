"""Arguments of a call, from the command line, a file or standard input."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub._decorated import Decorated
    from gpuhub.cli.names import Deployment

__all__ = ["check_arguments", "check_way", "parameters_of", "read_arguments"]


def read_arguments(
    words: Sequence[str],
    data: str | None,
    file: Path | None,
    parameters: Mapping[str, inspect.Parameter] | None = None,
) -> dict[str, Any]:
    """Named arguments out of whatever was given.

    Args:
        words: ``key=value`` pairs, which win, and ``-`` for standard input.
        data: A JSON object.
        file: A file with a JSON object.
        parameters: The function's, where its code is known: those of text take values as they
            are, without reading them as JSON.

    Raises:
        SpecError: Two sources at once, no JSON, or no object.
    """
    given = {"--data": data, "--file": file, "-": "-" if "-" in words else None}
    sources = [name for name, value in given.items() if value is not None]
    if len(sources) > 1:
        raise SpecError(
            f"arguments come from {' and '.join(sources)}", next_step="give one of them"
        )
    arguments: dict[str, Any] = {}
    if data is not None:
        arguments = _object(data, "--data")
    elif file is not None:
        arguments = _object(file.read_text("utf-8"), str(file))
    elif "-" in words:
        arguments = _object(sys.stdin.read(), "standard input")
    for word in words:
        if word != "-":
            arguments |= _pair(word, parameters or {})
    return arguments


def _pair(word: str, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    name, mark, text = word.partition("=")
    if not mark or not name.isidentifier():
        raise SpecError(
            f"{word!r} is no argument: arguments are key=value",
            next_step='write it like texts=\'["a", "b"]\', or pass --data JSON',
        )
    known = parameters.get(name)
    if known is not None and known.annotation in (str, "str"):
        return {name: text}
    try:
        return {name: json.loads(text)}
    except ValueError:
        return {name: text}


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{place} is not JSON: {error}", next_step=_OBJECT) from None
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise SpecError(f"{place} must be a JSON object, not {kind}", next_step=_OBJECT)
    return value


_OBJECT = 'give an object of named arguments, such as {"texts": ["hi"]}'


def parameters_of(function: Decorated | None) -> Mapping[str, inspect.Parameter] | None:
    """The function's parameters by name, ``None`` when its code is not known."""
    if function is None:
        return None
    called: Any = function
    return inspect.signature(called).parameters


def check_arguments(
    arguments: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter] | None
) -> None:
    """Refuse arguments that do not fit, where the function's code is known.

    Raises:
        SpecError: One is missing or unknown.
    """
    if parameters is None:
        return
    signature = inspect.Signature(
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()]
    )
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise SpecError(str(error), next_step=f"it takes {signature}") from None


def check_way(deployment: Deployment, *, stream: bool = False, spawn: bool = False) -> None:
    """Refuse a way of calling that the kind of function does not have, where that is known.

    Raises:
        SpecError: Says which option to give or to drop.
    """
    if stream and spawn:
        raise SpecError("--stream and --spawn exclude each other", next_step="give one of them")
    name = deployment.ref.name
    if deployment.kind == "web":
        url = deployment.ref.url or "its address"
        raise SpecError(f"{name} is a web application", next_step=f"send HTTP requests to {url}")
    if deployment.kind == "generator" and not stream:
        raise SpecError(f"{name} is a generator: it has no single result", next_step="add --stream")
    if stream and deployment.kind not in ("", "generator"):
        raise SpecError(f"{name} is no generator: it has one result", next_step="drop --stream")
