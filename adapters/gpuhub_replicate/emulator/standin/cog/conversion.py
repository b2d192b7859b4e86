"""Inputs and outputs of predictions as a worker of Cog's converts them."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import mimetypes
import os
import pathlib
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import cog


def arguments(method: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a call: unknown names are dropped, missing ones have their default."""
    try:
        hints = get_type_hints(method)
    except Exception:  # noqa: BLE001 - annotations that cannot be resolved say nothing
        hints = {}
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if name in inputs:
            found[name] = _decoded(inputs[name], hints.get(name))
        elif isinstance(parameter.default, cog.FieldInfo):
            found[name] = parameter.default.default
        elif parameter.default is inspect.Parameter.empty:
            found[name] = None
    return found


def encoded(value: Any) -> Any:
    """Give an output as JSON; files become data URLs."""
    if isinstance(value, pathlib.PurePath):
        kind = mimetypes.guess_type(str(value))[0] or "application/octet-stream"
        content = base64.b64encode(pathlib.Path(value).read_bytes()).decode()
        return f"data:{kind};base64,{content}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: encoded(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: encoded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(each) for each in value]
    return value


def _decoded(value: Any, hint: Any) -> Any:
    if hint is cog.Path and isinstance(value, str):
        return _downloaded(value)
    if hint is cog.Secret and isinstance(value, str):
        return cog.Secret(value)
    if isinstance(value, list) and getattr(hint, "__args__", (None,))[0] is cog.Path:
        return [_downloaded(each) for each in value]
    return value


def _downloaded(url: str) -> cog.Path:
    """Put what a URL gives into a file of this machine."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - of the emulator, or data:
        content = answer.read()
        kind = answer.headers.get_content_type()
    suffix = pathlib.PurePosixPath(url.partition("?")[0]).suffix if ":" in url[:6] else ""
    suffix = suffix if len(suffix) < 8 else mimetypes.guess_extension(kind) or ""
    handle, path = tempfile.mkstemp(suffix=suffix)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return cog.Path(path)
