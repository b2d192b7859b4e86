"""Checks of single settings, and how values look in messages."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gpuhub._settings_types import SettingKey
from gpuhub.errors import ConfigError

__all__ = [
    "TOP_LEVEL",
    "VARIABLES",
    "check_key",
    "check_provider_name",
    "masked",
    "nearest",
    "read_text",
    "safe_app_name",
    "top_level",
    "unknown_key",
    "wrong_type",
]

TOP_LEVEL = (
    *("app", "provider", "profile", "on_unsupported", "payload_store"),
    *("state_dir", "journal", "include", "exclude"),
)
"""Keys of the project file beside the tables."""

VARIABLES = {f"GPUHUB_{key.upper()}": key for key in TOP_LEVEL if key not in {"include", "exclude"}}
"""Environment variable -> the key it sets."""

_KIND_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of strings",
    tuple: "a list",
    dict: "a table",
    type(None): "nothing",
}
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_READERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda text: _BOOLEANS[text.lower()],
    list: lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
}


def top_level(key: str, value: Any, *, place: str, base: Path) -> Any:
    """Check one top-level value.

    Args:
        key: One of ``TOP_LEVEL``.
        value: As the source gave it.
        place: Its full name, for the error.
        base: Folder that a relative path starts from.

    Returns:
        The value as ``Settings`` holds it: text, a tuple of texts, or an absolute path.
    """
    if key in {"include", "exclude"}:
        return check_key(SettingKey(key, list), value, place=place)
    if key in {"state_dir", "journal"} and isinstance(value, os.PathLike):
        value = os.fspath(value)
    text = check_key(SettingKey(key), value, place=place)
    if key in {"state_dir", "journal"}:
        return _path(text, place, base)
    _RULES[key](text, place)
    return text


def check_key(key: SettingKey, value: Any, *, place: str) -> Any:
    """Check that a value has the kind of its key.

    Returns:
        The value: a whole number becomes a float, a list a tuple, a secret a ``SecretStr``.

    Raises:
        ConfigError: It is of another kind.
    """
    if key.secret and isinstance(value, SecretStr):
        return value
    if key.kind is list:
        fits = isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    elif key.kind is float:
        fits = type(value) in {int, float} and math.isfinite(value)
    else:
        fits = type(value) is key.kind
    if not fits:
        raise wrong_type(place, _KIND_NAMES[key.kind], value, hidden=key.secret)
    converted = {float: float, list: tuple}.get(key.kind, key.kind)(value)
    return SecretStr(converted) if key.secret else converted


def read_text(key: SettingKey, text: str, *, place: str) -> Any:
    """Read a value from an environment variable.

    Raises:
        ConfigError: The text is not of the key's kind.
    """
    try:
        return check_key(key, _READERS[key.kind](text), place=place)
    except (ValueError, KeyError):
        raise wrong_type(place, _KIND_NAMES[key.kind], text, hidden=False) from None


def check_provider_name(name: str, place: str) -> None:
    """Refuse what cannot be the name of a provider."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ConfigError(
            f"{place}: {name!r} is not a provider name: a-z, 0-9, - and _, starting with a letter",
            next_step="list the names with `gpuhub providers`",
        )


def safe_app_name(text: str) -> str:
    """Make an app name of any text, such as a folder's name: ``"My App"`` -> ``"my-app"``."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if slug and not slug[0].isalpha():
        slug = f"app-{slug}"
    return slug[:50].rstrip("-") or "app"


def masked(value: Any) -> str:
    """Give a value for people: a secret as its length, a URL without user, password and query."""
    if isinstance(value, SecretStr):
        return f"set, {len(value.get_secret_value())} characters"
    if value is None:
        return "not set"
    if isinstance(value, tuple | list):
        return ", ".join(map(masked, value)) or "none"
    # Up to the last @: a password may hold a slash, and hiding too much harms nobody.
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    text = re.sub(r"(?<=://)\S*@", "***@", shown)
    return re.sub(r"(?<=://)([^\s?]*)\?\S*", r"\1?***", text)


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Give the known word most like this one, ``None`` when none is like it."""
    import difflib

    return next(iter(difflib.get_close_matches(word, [*known], n=1, cutoff=cutoff)), None)


def unknown_key(place: str, key: str, known: Iterable[str], *, prefix: str = "") -> ConfigError:
    """Build the error for a key nobody declared.

    Args:
        place: Source and full name, such as ``"gpuhub.toml: unknown key 'provder'"``.
        key: The last part of the name, compared with ``known``.
        known: What could stand there.
        prefix: What precedes a known key in full; not compared, since all share it.
    """
    near = nearest(key, known := sorted(known))
    hint = f"; did you mean {prefix + near!r}?" if near else ""
    names = ", ".join(prefix + name for name in known)
    listed = f"known here: {names}" if names else "nothing can be set here"
    return ConfigError(f"{place}{hint}", next_step=f"correct or remove the key; {listed}")


def wrong_type(place: str, expected: str, value: Any, *, hidden: bool) -> ConfigError:
    """Build the error for a value of the wrong kind; a hidden value is not shown."""
    kind = _KIND_NAMES.get(type(value), f"a {type(value).__name__}")
    is_scalar = isinstance(value, str | int | float)
    shown = f" ({masked(value)})" if is_scalar and not hidden else ""
    return ConfigError(
        f"{place} must be {expected}, not {kind}{shown}",
        next_step=f"give {expected}",
    )


def _path(text: str, place: str, base: Path) -> Path:
    if not text:
        raise ConfigError(f"{place} must not be empty", next_step="give a path, or remove the key")
    return (base / Path(text).expanduser()).resolve()


def _check_app(app: str, place: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,49}", app):
        raise ConfigError(
            f"{place}: {app!r} must be 1 to 50 of a-z, 0-9 and -, starting with a letter",
            next_step=f'name it "{safe_app_name(app)}"',
        )


def _check_on_unsupported(value: str, place: str) -> None:
    if value not in {"error", "warn"}:
        raise ConfigError(
            f"{place}: {value!r} must be 'error' or 'warn'",
            next_step="use 'error' to stop on a setting the provider lacks, 'warn' to go on",
        )


def _check_payload_store(url: str, place: str) -> None:
    if not re.match(r"[a-z][a-z0-9+.-]*://.", url):
        raise ConfigError(
            f"{place}: {masked(url)!r} must be a URL with a scheme",
            next_step='write it like "s3://bucket/prefix"',
        )


def _check_profile(name: str, place: str) -> None:
    if not name:
        raise ConfigError(f"{place} must not be empty", next_step="name a profile or remove it")


_RULES: dict[str, Callable[[str, str], None]] = {
    "app": _check_app,
    "provider": check_provider_name,
    "profile": _check_profile,
    "on_unsupported": _check_on_unsupported,
    "payload_store": _check_payload_store,
}
