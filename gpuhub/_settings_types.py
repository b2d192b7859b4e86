"""The small types of the settings: where a value came from, and what an adapter declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from typing_extensions import override

__all__ = ["Credential", "Environment", "Found", "Origin", "SettingKey", "SettingOrigin"]

Source = Literal["argument", "environment", "profile", "file", "default"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        source: Kind of source, strongest first: argument, environment, profile, file, default.
        detail: Variable, or file and table, or profile and file; empty for the other two.
        place: The value's full name there, as errors print it.
    """

    source: Source
    detail: str = ""
    place: str = field(default="", compare=False, repr=False)

    @override
    def __str__(self) -> str:
        """Give it for people, such as ``"environment GPUHUB_PROVIDER"`` or ``"gpuhub.toml"``."""
        if self.source == "file":
            return self.detail
        return f"{self.source} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its origin."""

    value: Any = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class SettingKey:
    """One key of ``[providers.<name>]``, as its adapter declares it.

    Attributes:
        name: The key, such as ``"api_url"``.
        kind: ``str``, ``int``, ``float``, ``bool``, or ``list`` for a list of strings, which comes
            out as a tuple and is comma-separated in the environment.
        default: Value when nothing sets it.
        secret: The value is wrapped in ``SecretStr`` and never shown; only with ``str``.
        help: One line for people.
    """

    name: str
    kind: type = str
    default: Any = None
    secret: bool = False
    help: str = ""

    def __post_init__(self) -> None:
        """Refuse a declaration that could not be kept."""
        if self.kind not in {str, int, float, bool, list}:
            raise TypeError(f"{self.name}: kind {self.kind!r} is not str, int, float, bool or list")
        if self.secret and self.kind is not str:
            raise TypeError(f"{self.name}: only a str can be secret")


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential of a provider, read from the vendor's own environment variable.

    Attributes:
        name: Name within gpuhub, such as ``"api_key"``.
        env: The vendor's variable, such as ``"RUNPOD_API_KEY"``.
        required: Whether the provider cannot be used without it.
        help: Where to get it, as one imperative sentence.
    """

    name: str
    env: str
    required: bool = True
    help: str = ""


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One line of ``gpuhub doctor``.

    Attributes:
        key: Dotted key, such as ``"providers.runpod.api_url"``, or a credential's variable.
        value_masked: The value for people; of a secret only whether it is set.
        origin: Where it came from, such as ``"environment GPUHUB_PROVIDER"``.
    """

    key: str
    value_masked: str
    origin: str


class Unpicklable:
    """Mixin of what holds secrets: it is not pickled, and a copy is itself."""

    __slots__ = ()

    @override
    def __reduce__(self) -> NoReturn:
        """Refuse: the bytes would carry secrets in the clear."""
        raise TypeError(f"{type(self).__name__} holds secrets and cannot be pickled")

    def __copy__(self) -> Unpicklable:
        """Give the same object: it is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Unpicklable:
        """Give the same object: it is immutable."""
        return self


class Environment(Unpicklable):
    """A copy of the environment variables that shows none of them.

    Args:
        variables: Name -> value; a blank value counts as not set, as CI systems have it.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {name: value for name, value in variables.items() if value.strip()}

    def get(self, name: str) -> str | None:
        """Give the value unchanged, ``None`` when unset or blank."""
        return self._variables.get(name)

    def names(self, prefix: str) -> Iterator[str]:
        """Give the set variables whose name starts with a prefix, sorted."""
        return iter(sorted(name for name in self._variables if name.startswith(prefix)))

    @override
    def __repr__(self) -> str:
        """Give the number of variables only."""
        return f"Environment({len(self._variables)} variables)"
