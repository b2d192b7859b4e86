"""The project file: ``gpuhub.toml``, or ``[tool.gpuhub]`` of ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuhub._settings_checks import (
    TOP_LEVEL,
    check_provider_name,
    top_level,
    unknown_key,
    wrong_type,
)
from gpuhub._settings_types import Found, Origin
from gpuhub.errors import ConfigError

__all__ = ["Layer", "ProjectFile", "find_project_file"]

Layer = dict[str, Found]
"""Dotted key -> value, of one source: ``"app"``, ``"providers.runpod.api_url"``."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project file, read and checked.

    Attributes:
        path: The file.
        settings: What it sets outside profiles.
        profiles: What each profile sets.
    """

    path: Path
    settings: Layer = field(repr=False)
    profiles: Mapping[str, Layer] = field(repr=False)


def find_project_file(start: Path) -> ProjectFile | None:
    """Find and read the nearest project file in a folder or above it.

    In one folder ``gpuhub.toml`` wins. A ``pyproject.toml`` without ``[tool.gpuhub]`` is passed by.

    Raises:
        ConfigError: The file cannot be read, is malformed, or holds an unknown or wrong key.
    """
    for folder in (start, *start.parents):
        if (path := folder / "gpuhub.toml").is_file():
            return _checked(path, _parse(path, path.read_bytes()), "")
        path = folder / "pyproject.toml"
        # Another project's broken pyproject further up is none of our business.
        if path.is_file() and b"gpuhub" in (content := path.read_bytes()):
            tool = _parse(path, content).get("tool")
            if isinstance(tool, dict) and "gpuhub" in tool:
                return _checked(path, tool["gpuhub"], "tool.gpuhub.")
    return None


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8 (at line {line})"
    except tomllib.TOMLDecodeError as error:
        last = f"at line {text.count(chr(10)) + 1}, the end of the file"
        reason = f"not valid TOML: {error}".replace("at end of document", last)
    raise ConfigError(f"{path.name}: {reason}", next_step=f"correct {path}")


def _checked(path: Path, table: Any, prefix: str) -> ProjectFile:
    reader = _Reader(path, prefix)
    table = reader.table(table, "")
    profiles = reader.table(table.get("profiles", {}), "profiles")
    known = {*TOP_LEVEL, "providers", "profiles"}
    return ProjectFile(
        path,
        reader.layer(table, "", known),
        {
            name: reader.layer(reader.table(inner, f"profiles.{name}"), name, known - _ONCE)
            for name, inner in profiles.items()
        },
    )


_ONCE = {"profile", "profiles"}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Flattens tables of one file; ``prefix`` leads to gpuhub's table within it."""

    path: Path
    prefix: str

    def table(self, value: Any, dotted: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong_type(self.place(dotted), "a table", value, hidden=True)
        return value

    def place(self, dotted: str) -> str:
        return f"{self.path.name}: {(self.prefix + dotted).rstrip('.')!r}"

    def layer(self, table: dict[str, Any], profile: str, known: set[str]) -> Layer:
        """Give the settings of the whole file, or of one profile, checked."""
        lead = f"profiles.{profile}." if profile else ""
        found: Layer = {}
        for key, value in table.items():
            if key not in known:
                name = f"{self.prefix}{lead}{key}"
                raise unknown_key(f"{self.path.name}: unknown key {name!r}", key, known)
            if key == "providers":
                found |= self._providers(value, lead, profile)
            elif key != "profiles":
                origin = self._origin(lead + key, profile, "")
                checked = top_level(key, value, place=origin.place, base=self.path.parent)
                found[key] = Found(checked, origin)
        return found

    def _providers(self, value: Any, lead: str, profile: str) -> Layer:
        return {
            f"providers.{name}.{key}": Found(
                setting, self._origin(f"{lead}providers.{name}.{key}", profile, name)
            )
            for name, table in self._named_tables(value, f"{lead}providers")
            for key, setting in table.items()
        }

    def _named_tables(self, value: Any, dotted: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, table in self.table(value, dotted).items():
            check_provider_name(name, self.place(dotted))
            yield name, self.table(table, f"{dotted}.{name}")

    def _origin(self, dotted: str, profile: str, provider: str) -> Origin:
        place = self.place(dotted)
        if profile:
            return Origin("profile", f"{profile} in {self.path.name}", place)
        inner = self.prefix + (f"providers.{provider}" if provider else "")
        header = f" [{inner.rstrip('.')}]" if inner else ""
        return Origin("file", self.path.name + header, place)
