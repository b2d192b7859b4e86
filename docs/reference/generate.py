"""Writes the reference pages from the docstrings: ``python docs/reference/generate.py``.

A test compares the pages with what this gives, so they cannot drift from the code.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import dataclasses
import inspect
import re
import tempfile
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_overloads

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import gpuhub
from gpuhub.adapter import Feature

HERE = Path(__file__).parent
WIDTH = 100
PROVIDERS = ("mock", "modal", "runpod", "beam", "baseten", "replicate")
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "functions": ("Decorators and functions", ("function", "Function", "web", "WebApp")),
    "endpoints": (
        "Endpoints and calls",
        (
            *("Endpoint", "EndpointStatus", "ScaleReport", "Version", "LogLine"),
            *("Call", "CallState", "Phase"),
        ),
    ),
    "settings-of-functions": (
        "What a function asks for",
        (
            *("FunctionSpec", "gpu", "Image", "Scaling", "WorkerMode", "Volume", "Bucket"),
            *("Secret", "Schedule", "Batching", "File"),
        ),
    ),
    "plans": ("Plans", ("Plan", "Row")),
    "workspaces": ("Workspaces", ("Workspace",)),
}
_SECTION = re.compile(
    r"^(Args|Attributes|Returns|Raises|Yields):\n((?:    .*\n|\n)+)", re.MULTILINE
)
_ENTRY = re.compile(r"^    (\S[^:]*): (.*(?:\n      .*)*)", re.MULTILINE)


def pages() -> dict[str, str]:
    """Give the text of each page by its file name."""
    written = {f"{name}.md": _page(title, names) for name, (title, names) in sorted(PAGES.items())}
    return {"index.md": _index(), "capabilities.md": _capabilities(), **written}


def _index() -> str:
    lines = ["# Reference", "", "Every public name of `gpuhub`, from its docstrings.", ""]
    for page, (title, names) in PAGES.items():
        links = ", ".join(f"[`{name}`]({page}.md#{_anchor(name)})" for name in names)
        lines += [f"* [{title}]({page}.md): {links}"]
    lines += ["* [What each provider can do](capabilities.md): the capability matrix"]
    errors = [name for name in gpuhub.__all__ if _is_error(name)]
    listed = ", ".join(f"`{name}`" for name in errors)
    return "\n".join([*lines, f"* [Errors](../errors.md): {listed}"]) + "\n"


def _capabilities() -> str:
    """The matrix of features and providers, and the words of the adapters."""
    with tempfile.TemporaryDirectory() as empty:  # so that no project's settings count
        workspace = gpuhub.Workspace(root=empty, environ={})
        adapters = {
            name: workspace.adapter_module(name).create(workspace.provider_settings(name))
            for name in PROVIDERS
        }
        workspace.close()
    titles = [adapter.info.title for adapter in adapters.values()]
    lines = [
        "# What each provider can do",
        "",
        "Declared by the adapters, and checked: gpuhub's contract suite runs what is declared and",
        "demands that the rest is refused. A feature named like a setting is that setting.",
        "",
        f"| Feature | {' | '.join(titles)} |",
        f"| --- |{' --- |' * len(titles)}",
    ]
    for feature in Feature:
        levels = [adapter.capabilities[feature].level.value for adapter in adapters.values()]
        lines.append(f"| `{feature.value}` | {' | '.join(levels)} |")
    lines += ["", "## How, and why not"]
    for feature in Feature:
        said = {
            adapter.info.title: adapter.capabilities[feature]
            for adapter in adapters.values()
            if adapter.capabilities[feature].how
        }
        if said:
            lines += ["", f"### `{feature.value}`", ""]
        lines += [f"* {title}: {each.level.value}: {each.how}" for title, each in said.items()]
    return "\n".join(lines) + "\n"


def _heading(name: str) -> str:
    """Tell ``gpuhub.function`` from ``Function``: anchors ignore case."""
    return name if isinstance(getattr(gpuhub, name), type) else f"gpuhub.{name}"


def _anchor(name: str) -> str:
    return _heading(name).replace(".", "").lower()


def _is_error(name: str) -> bool:
    value = getattr(gpuhub, name)
    return isinstance(value, type) and issubclass(value, Exception)


def _page(title: str, names: tuple[str, ...]) -> str:
    parts = [f"# {title}", *(part for name in names for part in _object(name))]
    return "\n\n".join(parts) + "\n"


def _object(name: str) -> Iterator[str]:
    value = getattr(gpuhub, name)
    yield f"## {_heading(name)}"
    if not isinstance(value, type):
        yield _signature(name, (get_overloads(value) or [value])[-1])
        yield from _docstring(value)
        return
    if not _fields(value):
        is_enum = issubclass(value, Enum)
        yield from (
            ()
            if is_enum or name in _MADE_BY_GPUHUB
            else [_signature(name, vars(value)["__init__"])]
        )
    yield from _docstring(value)
    if issubclass(value, Enum):
        yield "\n".join(f"* `{member.value!r}`" for member in value)
    twins = []
    for member, kind in _members(value):
        if member.endswith("_async"):
            twins.append(f"`{member}`")
            continue
        yield f"### {name}.{member}"
        yield from _member(member, kind)
    if twins:
        yield f"Asynchronous twins, with the same arguments: {', '.join(twins)}."


_MADE_BY_GPUHUB = ("Function", "WebApp", "Endpoint", "Call")


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """Give the methods and properties of a class in the order of their definition."""
    seen = set(_fields(owner))
    for base in owner.__mro__:
        if base.__module__.split(".")[0] != "gpuhub" or base.__name__ == "Model":
            continue
        for name, value in vars(base).items():
            is_member = isinstance(value, property | classmethod) or inspect.isfunction(value)
            if is_member and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, value


def _member(name: str, kind: Any) -> Iterator[str]:
    if isinstance(kind, property):
        gives = inspect.signature(kind.fget).return_annotation  # type: ignore[arg-type]
        yield f"Property, `{gives}`."
        yield from _docstring(kind)
        return
    function = kind.__func__ if isinstance(kind, classmethod) else kind
    yield _signature(name, function)
    yield from _docstring(function)


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    shown = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        shown.append(_parameter(parameter))
    returns = "" if name == "__init__" else f" -> {signature.return_annotation}"
    returns = "" if signature.return_annotation in (None, "None", "_Decorator") else returns
    returns = "" if signature.return_annotation == "_WebDecorator" else returns
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) > WIDTH:
        inner = "".join(f"    {each},\n" for each in shown)
        line = f"{name}(\n{inner}){returns}"
    return f"```text\n{line}\n```"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    annotation = parameter.annotation
    text = f"{stars}{parameter.name}: {annotation}"
    if parameter.default is parameter.empty:
        return text
    default = "…" if parameter.default is ... else repr(parameter.default)
    return f"{text} = {default}"


def _docstring(value: Any) -> Iterator[str]:
    text = inspect.cleandoc(value.__doc__ or "") + "\n"
    yield _markdown(_SECTION.sub("", text).strip())
    for title, body in _SECTION.findall(text):
        entries = _ENTRY.findall(body)
        if title in ("Returns", "Yields"):
            yield f"{title} {_markdown(textwrap.dedent(body).strip())}".replace("\n", " ")
        elif title == "Raises":
            errors = [f"* `{name}`: {_one_line(said)}" for name, said in entries]
            yield "\n".join(["Raises:", "", *errors])
        else:
            yield "\n".join(_table(entries, _fields(value)))


def _table(entries: list[tuple[str, str]], defaults: dict[str, str]) -> Iterator[str]:
    yield "| Name | Default | Meaning |" if defaults else "| Name | Meaning |"
    yield "| --- | --- | --- |" if defaults else "| --- | --- |"
    for name, said in entries:
        default = f" {defaults.get(name, '')} |" if defaults else ""
        yield f"| `{name}` |{default} {_one_line(said)} |"


def _fields(value: Any) -> dict[str, str]:
    """Give the defaults of a model or dataclass, as they are shown."""
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {name: _model_default(field) for name, field in value.model_fields.items()}
    if isinstance(value, type) and dataclasses.is_dataclass(value):
        return {field.name: _field_default(field) for field in dataclasses.fields(value)}
    return {}


def _model_default(field: FieldInfo) -> str:
    if field.default is not PydanticUndefined:
        return _shown(field.default)
    return "" if field.default_factory else "required"


def _field_default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _shown(field.default)
    return "required" if field.default_factory is dataclasses.MISSING else ""


def _shown(default: Any) -> str:
    if isinstance(default, Enum):
        return f"`{default.value!r}`"
    is_plain = default is None or isinstance(default, str | int | float | tuple | bool)
    return f"`{default!r}`" if is_plain else ""


def _one_line(text: str) -> str:
    return " ".join(_markdown(text).split()).replace("|", "\\|")


def _markdown(text: str) -> str:
    text = re.sub(r":[a-z]+:`~?([^`]+)`", lambda found: f"`{found[1].split('.')[-1]}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"::\n\n((?:    .*\n|\n)+)", _code, text + "\n").strip()


def _code(found: re.Match[str]) -> str:
    return f":\n\n```text\n{textwrap.dedent(found[1]).strip()}\n```\n\n"


def main() -> None:
    """Write all pages."""
    for name, text in pages().items():
        (HERE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
