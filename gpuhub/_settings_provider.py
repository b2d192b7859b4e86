"""The settings of one provider, as its adapter receives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr
from typing_extensions import override

from gpuhub._settings_checks import (
    VARIABLES,
    check_key,
    check_provider_name,
    masked,
    nearest,
    read_text,
    unknown_key,
)
from gpuhub._settings_types import (
    Credential,
    Environment,
    Found,
    Origin,
    SettingKey,
    Unpicklable,
)
from gpuhub.errors import ConfigError, MissingCredentials

if TYPE_CHECKING:
    from gpuhub.settings import Settings

__all__ = ["ProviderSettings", "provider_settings"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProviderSettings(Unpicklable):
    """What an adapter is created with. Reading a credential that is not set is the only error.

    Attributes:
        provider: Name of the provider.
        values: Every key the adapter declares, set or default; secret ones as ``SecretStr``.
        app: Name of the project.
        on_unsupported: What happens to a setting the provider cannot honour.
        state_dir: Folder for what the adapter keeps; it may not exist yet.
        root: The project's folder.
        origins: Key, or name of a credential that is set -> where the value came from.
        keys: The adapter's declaration of its keys.
        credentials: The adapter's declaration of its credentials.
        secrets: Name of a credential -> its value, for those that are set.
    """

    provider: str
    values: Mapping[str, Any] = field(default_factory=dict)
    app: str = "app"
    on_unsupported: Literal["error", "warn"] = "error"
    state_dir: Path = Path(".gpuhub")
    root: Path = Path()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    keys: Mapping[str, SettingKey] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ()
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """Give the value of a declared key.

        Raises:
            KeyError: The adapter did not declare the key.
        """
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Give the value of a key, ``default`` when it is undeclared or ``None``."""
        value = self.values.get(key)
        return default if value is None else value

    def credential(self, name: str) -> SecretStr:
        """Give a credential.

        Raises:
            MissingCredentials: Its environment variable is not set.
            KeyError: The adapter did not declare it.
        """
        declared = self._declared(name)
        if (secret := self.secrets.get(name)) is not None:
            return secret
        raise MissingCredentials(
            f"{self.provider}: the credential {name!r} is missing: {declared.env} is not set",
            next_step=f"set {declared.env}" + (f"; {declared.help}" if declared.help else ""),
            provider=self.provider,
        )

    def find_credential(self, name: str) -> SecretStr | None:
        """Give a credential, ``None`` when it is not set.

        Raises:
            KeyError: The adapter did not declare it.
        """
        return self.secrets.get(self._declared(name).name)

    def missing_credentials(self) -> tuple[Credential, ...]:
        """Give the required credentials that are not set."""
        return tuple(
            declared
            for declared in self.credentials
            if declared.required and declared.name not in self.secrets
        )

    def _declared(self, name: str) -> Credential:
        for declared in self.credentials:
            if declared.name == name:
                return declared
        raise KeyError(f"{self.provider} declares no credential {name!r}")

    @override
    def __repr__(self) -> str:
        """Give names and masked values."""
        values = ", ".join(f"{key}={masked(value)!r}" for key, value in self.values.items())
        present = ", ".join(self.secrets) or "none"
        return f"ProviderSettings({self.provider!r}, {{{values}}}, credentials set: {present})"


def provider_settings(
    settings: Settings,
    name: str,
    allowed: Mapping[str, SettingKey],
    *,
    credentials: Sequence[Credential] = (),
    options: Mapping[str, Any] | None = None,
    known_providers: Iterable[str] = (),
) -> ProviderSettings:
    """Collect and check the settings of one provider.

    Args:
        settings: The project's settings.
        name: Name of the provider; not necessarily the selected one.
        allowed: Keys the adapter declares.
        credentials: Credentials the adapter declares.
        options: Keys given as arguments: they win; ``None`` means not given. A credential may be
            given here by its name.
        known_providers: Names of all registered adapters. Variables of a provider whose name
            begins with this one's are left to it, and a table nearly named like one of these is
            refused.

    Raises:
        ConfigError: An unknown key, a value of the wrong kind, or a credential in a file.
    """
    check_provider_name(name, "provider")
    known = {*known_providers}
    _check_table_names(settings, known)
    reader = _Reader(name, allowed, tuple(credentials))
    files, arguments = reader.tables(settings)
    variables = reader.variables(settings.environment, known | {*settings.providers})
    explicit = arguments | reader.arguments(options or {})
    found = reader.defaults() | files | variables | explicit
    secrets = reader.credentials_set(settings.environment)
    secrets |= {key: found.pop(key) for key in [*found] if key not in allowed}
    return ProviderSettings(
        provider=name,
        values=MappingProxyType({key: entry.value for key, entry in found.items()}),
        app=settings.app,
        on_unsupported=settings.on_unsupported,
        state_dir=settings.state_dir,
        root=settings.root,
        origins=MappingProxyType({key: each.origin for key, each in (found | secrets).items()}),
        keys=MappingProxyType(dict(allowed)),
        credentials=tuple(credentials),
        secrets=MappingProxyType({key: entry.value for key, entry in secrets.items()}),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one provider's keys out of each source; key or name of a credential -> value."""

    provider: str
    allowed: Mapping[str, SettingKey]
    credentials: tuple[Credential, ...]

    def defaults(self) -> dict[str, Found]:
        origin = Origin("default")
        return {
            key: Found(None if value is None else check_key(declared, value, place=place), origin)
            for key, declared in self.allowed.items()
            for value, place in [(declared.default, f"{self.provider}: the default of {key!r}")]
        }

    def tables(self, settings: Settings) -> tuple[dict[str, Found], dict[str, Found]]:
        """Give what the files set, and what arguments of ``load_settings`` set."""
        files: dict[str, Found] = {}
        arguments: dict[str, Found] = {}
        for key, value in settings.providers.get(self.provider, _EMPTY).items():
            origin = settings.origins[f"providers.{self.provider}.{key}"]
            target = arguments if origin.source == "argument" else files
            target[key] = self._checked(key, value, origin)
        return files, arguments

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Found]:
        return {
            key: self._checked(key, value, Origin("argument", "", f"argument: {key!r}"))
            for key, value in options.items()
            if value is not None
        }

    def variables(self, environment: Environment, providers: Iterable[str]) -> dict[str, Found]:
        """Give what ``GPUHUB_<PROVIDER>_<KEY>`` variables set."""
        prefix = _variable_prefix(self.provider)
        longer = {_variable_prefix(name) for name in providers} - {prefix}
        others = tuple(other for other in longer if other.startswith(prefix))
        keys = {_variable_part(key): key for key in self.allowed}
        found: dict[str, Found] = {}
        for variable in environment.names(prefix):
            if variable in VARIABLES or variable.startswith(others):
                continue
            part = variable.removeprefix(prefix)
            origin = Origin("environment", variable, f"environment: {variable!r}")
            if part not in keys:
                self._refuse_credential(part.lower(), origin)
                place = f"environment: unknown variable {variable!r}"
                raise unknown_key(place, part, keys, prefix=prefix)
            text = (environment.get(variable) or "").strip()
            value = read_text(self.allowed[keys[part]], text, place=origin.place)
            found[keys[part]] = Found(value, origin)
        return found

    def credentials_set(self, environment: Environment) -> dict[str, Found]:
        """Give the credentials whose vendor variable is set."""
        return {
            declared.name: Found(SecretStr(value.strip()), Origin("environment", declared.env))
            for declared in self.credentials
            if (value := environment.get(declared.env)) is not None
        }

    def _checked(self, key: str, value: Any, origin: Origin) -> Found:
        if key in self.allowed:
            return Found(check_key(self.allowed[key], value, place=origin.place), origin)
        if origin.source == "argument" and any(key == each.name for each in self.credentials):
            as_key = SettingKey(key, secret=True)
            return Found(check_key(as_key, value, place=origin.place), origin)
        self._refuse_credential(key, origin)
        source, _, dotted = origin.place.partition(": ")
        raise unknown_key(f"{source}: unknown key {dotted}", key, self.allowed)

    def _refuse_credential(self, key: str, origin: Origin) -> None:
        """Say where a credential belongs, without its value."""
        for declared in self.credentials:
            if key in {declared.name, declared.env, declared.env.lower()}:
                raise ConfigError(
                    f"{origin.place} is a credential, which is read from {declared.env} only",
                    next_step=f"set {declared.env} in the environment and remove this one",
                    provider=self.provider,
                )


def _variable_prefix(provider: str) -> str:
    return f"GPUHUB_{_variable_part(provider)}_"


def _variable_part(name: str) -> str:
    return re.sub("[^A-Z0-9]", "_", name.upper())


def _check_table_names(settings: Settings, known: set[str]) -> None:
    for name in settings.providers:
        if name not in known and nearest(name, known, cutoff=0.8):
            raise unknown_key(f"unknown table '[providers.{name}]'", name, known)
