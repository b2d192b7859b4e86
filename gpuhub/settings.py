"""Which provider, which app, and everything else that is configured rather than written.

Each value comes from the first source that has it: an argument, an environment variable, the
selected profile, the project file, the default. Nothing is read from the process again after
:func:`load_settings`, so two workspaces in one process do not mix.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from typing_extensions import override

from gpuhub._settings_checks import (
    TOP_LEVEL,
    VARIABLES,
    masked,
    nearest,
    safe_app_name,
    top_level,
    unknown_key,
)
from gpuhub._settings_file import Layer, ProjectFile, find_project_file
from gpuhub._settings_provider import ProviderSettings, provider_settings
from gpuhub._settings_types import (
    Credential,
    Environment,
    Found,
    Origin,
    SettingKey,
    SettingOrigin,
    Unpicklable,
)

__all__ = [
    "Credential",
    "Origin",
    "ProviderSettings",
    "SettingKey",
    "SettingOrigin",
    "Settings",
    "explain",
    "load_settings",
    "provider_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(Unpicklable):
    """The resolved settings of one workspace.

    Attributes:
        app: Name of the project: 1 to 50 of ``a-z``, ``0-9`` and ``-``, starting with a letter.
            Default: the folder's name, made so.
        provider: Name of the selected provider. Default ``"mock"``.
        profile: Name of the selected profile.
        on_unsupported: ``"error"`` (default) or ``"warn"``, for a setting that was asked for and
            that the provider cannot honour.
        payload_store: URL of the store for large arguments and results.
        state_dir: Folder of gpuhub's own files; it may not exist yet. Default: ``.gpuhub`` beside
            the project file, or a folder of the user's state directory where there is none.
        journal: The journal's file. Default: ``journal.db`` in ``state_dir``.
        root: Folder of the project file, or the start folder where there is none.
        file: The project file.
        include: Patterns of files to bundle beside the Python files.
        exclude: Patterns of files to leave out.
        providers: Provider -> key -> value, as files and arguments set them: not yet checked, and
            without the environment. See :func:`provider_settings`.
        origins: Dotted key -> where its value came from.
        environment: The environment variables, as they were.
    """

    app: str
    provider: str
    profile: str | None
    on_unsupported: Literal["error", "warn"]
    payload_store: str | None
    state_dir: Path
    journal: Path
    root: Path
    file: Path | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    providers: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, Origin]
    environment: Environment = field(compare=False)

    @override
    def __repr__(self) -> str:
        """Give what is selected; provider tables and variables may hold secrets."""
        return (
            f"Settings(app={self.app!r}, provider={self.provider!r}, profile={self.profile!r},"
            f" root={str(self.root)!r})"
        )


def load_settings(
    start: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    provider_options: Mapping[str, Any] | None = None,
    **explicit: Any,
) -> Settings:
    """Resolve the settings of a workspace.

    Args:
        start: Folder, or a file in it, where the search for the project file starts, upwards.
            Default: the working directory.
        environ: Environment variables. Default: the process's. Copied.
        provider_options: Keys of the selected provider; they win over every other source.
        **explicit: Top-level keys of :class:`Settings` that a project file may hold, such as
            ``provider="mock"``. ``None`` means not given. Relative paths, here and in variables,
            start from ``start``; those in the project file from its folder.

    Raises:
        ConfigError: A malformed project file, an unknown key or profile, or a wrong value.
    """
    here = _folder(start)
    environment = Environment(os.environ if environ is None else environ)
    file = find_project_file(here)
    above = _variables(environment, here) | _arguments(explicit, here)
    layers = (file.settings if file else {}) | _profile(file, above) | above
    found = _defaults(file.path.parent if file else here, file) | layers
    selected = found["provider"].value
    found |= {
        f"providers.{selected}.{key}": Found(value, Origin("argument", "", f"argument: {key!r}"))
        for key, value in (provider_options or {}).items()
        if value is not None
    }
    return _settings(found, file, here, environment)


def explain(settings: Settings, *providers: ProviderSettings) -> list[SettingOrigin]:
    """List every value with where it came from, without showing a secret.

    Args:
        settings: The project's settings.
        providers: Settings of the providers to list as well. Tables of other providers are
            listed without their values, since only the adapter knows which are secret.
    """
    rows = [
        SettingOrigin(key, masked(getattr(settings, key)), str(settings.origins[key]))
        for key in TOP_LEVEL
    ]
    for provider in providers:
        rows += _explain_provider(provider)
    checked = {provider.provider for provider in providers}
    for name, table in settings.providers.items():
        if name not in checked:
            keys = [f"providers.{name}.{key}" for key in table]
            rows += [
                SettingOrigin(key, "set, not shown", str(settings.origins[key])) for key in keys
            ]
    return rows


def _explain_provider(provider: ProviderSettings) -> list[SettingOrigin]:
    default = Origin("default")
    rows = [
        SettingOrigin(
            f"providers.{provider.provider}.{key}",
            masked(value),
            str(provider.origins.get(key, default)),
        )
        for key, value in provider.values.items()
    ]
    for declared in provider.credentials:
        secret = provider.secrets.get(declared.name)
        origin = provider.origins.get(declared.name) or Origin("environment", declared.env)
        rows.append(SettingOrigin(declared.env, masked(secret), str(origin)))
    return rows


def _folder(start: Path | None) -> Path:
    here = (start or Path.cwd()).resolve()
    return here.parent if here.is_file() else here


def _arguments(explicit: Mapping[str, Any], here: Path) -> Layer:
    found: Layer = {}
    for key, value in explicit.items():
        if key not in TOP_LEVEL:
            raise unknown_key(f"argument: unknown key {key!r}", key, TOP_LEVEL)
        if value is not None:
            origin = Origin("argument", "", f"argument: {key!r}")
            found[key] = Found(top_level(key, value, place=origin.place, base=here), origin)
    return found


def _variables(environment: Environment, here: Path) -> Layer:
    found: Layer = {}
    for variable in environment.names("GPUHUB_"):
        if variable not in VARIABLES:
            _refuse_misspelt(variable)
            continue
        key = VARIABLES[variable]
        text = (environment.get(variable) or "").strip()
        origin = Origin("environment", variable, f"environment: {variable!r}")
        value = top_level(key, text, place=origin.place, base=here)
        found[key] = Found(value, origin)
    return found


def _refuse_misspelt(variable: str) -> None:
    """Refuse ``GPUHUB_PROVDER``; others may belong to an adapter, which checks its own."""
    known = {name.removeprefix("GPUHUB_") for name in VARIABLES}
    part = variable.removeprefix("GPUHUB_")
    if nearest(part, known, cutoff=0.85):
        place = f"environment: unknown variable {variable!r}"
        raise unknown_key(place, part, known, prefix="GPUHUB_")


def _profile(file: ProjectFile | None, above: Layer) -> Layer:
    """Give what the selected profile sets; nothing when none is selected."""
    selected = above.get("profile") or (file.settings.get("profile") if file else None)
    if selected is None:
        return {}
    profiles = file.profiles if file else {}
    if selected.value not in profiles:
        place = f"{selected.origin.place}: unknown profile {selected.value!r}"
        raise unknown_key(place, selected.value, profiles)
    return profiles[selected.value]


def _defaults(root: Path, file: ProjectFile | None) -> Layer:
    state_dir = root / ".gpuhub" if file else _user_state_dir(root)
    values = {
        "app": safe_app_name(root.name),
        "provider": "mock",
        "profile": None,
        "on_unsupported": "error",
        "payload_store": None,
        "state_dir": state_dir,
        "journal": None,
        "include": (),
        "exclude": (),
    }
    return {key: Found(value, Origin("default")) for key, value in values.items()}


def _user_state_dir(root: Path) -> Path:
    import platformdirs

    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return Path(platformdirs.user_state_dir("gpuhub", appauthor=False)) / digest


def _settings(
    found: Layer, file: ProjectFile | None, here: Path, environment: Environment
) -> Settings:
    values = {key: found[key].value for key in TOP_LEVEL}
    values["journal"] = values["journal"] or values["state_dir"] / "journal.db"
    providers: dict[str, dict[str, Any]] = {}
    for dotted, entry in found.items():
        if dotted not in TOP_LEVEL:
            _, name, key = dotted.split(".", 2)
            providers.setdefault(name, {})[key] = entry.value
    return Settings(
        **values,
        root=file.path.parent if file else here,
        file=file.path if file else None,
        providers=MappingProxyType(
            {name: MappingProxyType(table) for name, table in providers.items()}
        ),
        origins=MappingProxyType({key: entry.origin for key, entry in found.items()}),
        environment=environment,
    )
