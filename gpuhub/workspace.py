"""A workspace: one project's settings, journal and connections. Two of them share nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from gpuhub import registry
from gpuhub.settings import load_settings, provider_settings

if TYPE_CHECKING:
    from types import TracebackType

    from gpuhub._payload_store import PayloadStore
    from gpuhub._session import Session
    from gpuhub._wire import Wire
    from gpuhub.adapter import AdapterModule, Clock
    from gpuhub.codec import WireCodec
    from gpuhub.journal import Journal
    from gpuhub.settings import ProviderSettings, Settings

__all__ = ["Workspace", "current_workspace"]

_current: ContextVar[Workspace | None] = ContextVar("gpuhub_workspace", default=None)


class Workspace:
    """Settings, journal and provider connections of one project.

    Most programs never make one: functions use the workspace of the nearest ``gpuhub.toml``.
    Make your own to use two providers, accounts or projects in one process::

        with gpuhub.Workspace(provider="runpod", app="search") as workspace:
            embed.deploy()                       # inside the block it is the current one
        other = embed.in_workspace(workspace2)   # or bind a function to one

    Args:
        provider: Overrides the configured provider.
        app: Overrides the app's name.
        profile: Overrides the profile.
        on_unsupported: Overrides ``"error"`` or ``"warn"``.
        root: Folder to start looking for the project file in. Default: the working directory.
        provider_options: Overrides keys of ``[providers.<provider>]``, credentials included.
        adapters: Adapter modules by name, beside the installed ones.
        environ: Environment to read. Default: the process's, as it is now.
        clock: Time for polling and time-outs. Default: the adapter's own, or the system's.

    Raises:
        ConfigError: The settings are wrong.
    """

    def __init__(
        self,
        provider: str | None = None,
        *,
        app: str | None = None,
        profile: str | None = None,
        on_unsupported: str | None = None,
        root: Path | str | None = None,
        provider_options: Mapping[str, Any] | None = None,
        adapters: Mapping[str, AdapterModule] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._adapters = dict(adapters or {})
        self._clock = clock
        self._lock = RLock()
        self._sessions: dict[str, Session] = {}
        self._journal: Journal | None = None
        self.settings: Settings = load_settings(
            None if root is None else Path(root),
            environ=environ,
            provider_options=provider_options,
            provider=provider,
            app=app,
            profile=profile,
            on_unsupported=on_unsupported,
        )

    @override
    def __repr__(self) -> str:
        """Show the app and provider; nothing secret."""
        return f"Workspace(app={self.settings.app!r}, provider={self.settings.provider!r})"

    @property
    def journal(self) -> Journal:
        """The project's journal."""
        with self._lock:
            if self._journal is None:
                from gpuhub.journal import Journal

                self._journal = Journal(self.settings.journal)
            return self._journal

    def session(self, provider: str | None = None) -> Session:
        """The engine of one provider, the configured one by default.

        Raises:
            ConfigError: No such provider, or its settings are wrong.
        """
        name = provider or self.settings.provider
        with self._lock:
            if name not in self._sessions:
                from gpuhub._session import Session

                module = self.adapter_module(name)
                settings = self.provider_settings(name)
                self._sessions[name] = Session(
                    module, settings, self.journal, self._salt, self._clock
                )
            return self._sessions[name]

    def provider_settings(self, name: str) -> ProviderSettings:
        """The settings of one provider, needing no credentials.

        Raises:
            ConfigError: No such provider, an unknown key or a wrong value.
        """
        info = self.adapter_module(name).INFO
        return provider_settings(
            self.settings,
            name,
            info.settings,
            credentials=info.credentials,
            known_providers=(*registry.available(), *self._adapters),
        )

    def adapter_module(self, name: str) -> AdapterModule:
        """The adapter of a provider, given to this workspace or installed."""
        return self._adapters.get(name) or registry.load(name)

    @property
    def payload_store(self) -> PayloadStore | None:
        """Where large values travel by reference, if configured.

        Raises:
            AdapterNotInstalled: The extra ``store`` is missing.
        """
        if self.settings.payload_store is None:
            return None
        from gpuhub._payload_store import PayloadStore

        return PayloadStore(self.settings.payload_store)

    def wire(self, codec: WireCodec) -> Wire:
        """How values travel in this workspace."""
        from gpuhub._wire import Wire

        return Wire(codec, self.payload_store)

    def _salt(self) -> bytes:
        """A random key of this machine and project, made at first use."""
        path = self.settings.state_dir / "salt"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32))
        return path.read_bytes()

    @contextmanager
    def use(self) -> Iterator[Workspace]:
        """Make this the current workspace inside the block, without closing it."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Close connections and journal. The workspace can be used again: it reopens them."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
            journal, self._journal = self._journal, None
        for session in sessions.values():
            session.close()
        if journal is not None:
            journal.close()

    async def close_async(self) -> None:
        """Close, from inside an event loop."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
            journal, self._journal = self._journal, None
        for session in sessions.values():
            await session.aclose()
        if journal is not None:
            journal.close()

    def __enter__(self) -> Self:
        """Make it current; the end of the block closes it."""
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        _current.reset(self._token)
        self.close()

    async def __aenter__(self) -> Self:
        """Make it current; the end of the block closes it."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        _current.reset(self._token)
        await self.close_async()


class _Defaults:
    """The workspaces made for functions that name none, one for each project."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._made: dict[Path | None, Workspace] = {}

    def of(self, start: Path | None) -> Workspace:
        with self._lock:
            if start not in self._made:
                workspace = Workspace(root=start)
                # Functions of one project share a workspace, whichever folder they live in.
                root = workspace.settings.root
                self._made[start] = self._made.setdefault(root, workspace)
            return self._made[start]

    def clear(self) -> None:
        with self._lock:
            made, self._made = self._made, {}
        for workspace in set(made.values()):
            workspace.close()


defaults = _Defaults()


def current_workspace(start: Path | None = None) -> Workspace:
    """The workspace of the enclosing ``with`` block, or the project's own.

    Args:
        start: Folder of the code that asks; its project file is the nearest one above. Without
            one there, the working directory's.
    """
    return _current.get() or defaults.of(start)
