"""Facts about an adapter: origins, limits, error table. Known without settings or network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub.errors import ProviderError

if TYPE_CHECKING:
    from gpuhub.plan import Response
    from gpuhub.settings import Credential, SettingKey


@dataclass(frozen=True, slots=True)
class Limits:
    """A provider's limits, checked before anything is sent. ``None``: no limit known.

    Attributes:
        payload_bytes: Largest body of a call that is waited for.
        spawn_payload_bytes: Largest body of a spawned call; ``None`` takes ``payload_bytes``.
        result_bytes: Largest result.
        timeout_s: Longest run of one call.
        max_workers: Most workers of one deployment.
        name_length: Longest deployment name.
    """

    payload_bytes: int | None = None
    spawn_payload_bytes: int | None = None
    result_bytes: int | None = None
    timeout_s: float | None = None
    max_workers: int | None = None
    name_length: int = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """One base URL of a provider and the credential it takes.

    Attributes:
        name: What requests name, such as ``"api"``.
        setting: Key of the provider's settings that replaces the default, such as ``"api_url"``.
        default: Default base URL; may hold ``{key}`` places filled from the settings. Other
            places, of providers with a host for each deployment, are filled by the request: its
            path is a whole URL then.
        headers: Header templates; ``{NAME}`` is the credential of that name.
    """

    name: str
    setting: str
    default: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One line of an adapter's error table.

    Attributes:
        status: HTTP status.
        error: Class to raise.
        code: The provider's error code this line is about; ``None`` matches any.
        next_step: What the user can do.
        accepted: Whether the request may have had an effect: ``False`` no, ``None`` unknown.
    """

    status: int
    error: type[ProviderError]
    code: str | None = None
    next_step: str = ""
    accepted: bool | None = False


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What an adapter reads out of an error answer.

    Attributes:
        message: The provider's own words.
        code: The provider's own code.
        request_id: Its id of the exchange.
        retry_after: Seconds it asks to wait, where it says so otherwise than by ``Retry-After``.
    """

    message: str = ""
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """Facts about an adapter, known without settings or network.

    Attributes:
        name: Registered name, as in ``provider = "…"``.
        title: Name for people.
        docs_url: Where the provider documents itself.
        credentials: What it needs, from the vendor's own environment variables.
        settings: Keys of ``[providers.<name>]``.
        origins: Base URLs.
        limits: Checked before sending.
        schemes: URL schemes of ``Endpoint.connect``; the first is the one call ids print with.
        errors: Error table; the first matching line wins. Statuses it lacks map by default.
        read_error: Reads the provider's error bodies.
        web_origin: Origin whose credential requests to a web function take; empty: they take none.
        extra: The extra to install for an SDK, such as ``"modal"``; empty when none is needed.
        long_poll_s: Longest wait of one ``submit`` or ``poll``.
    """

    name: str
    title: str
    docs_url: str
    credentials: tuple[Credential, ...] = ()
    settings: Mapping[str, SettingKey] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    limits: Limits = Limits()
    schemes: tuple[str, ...] = ()
    errors: tuple[ErrorRule, ...] = ()
    read_error: Callable[[Response], ErrorFacts] | None = None
    web_origin: str = ""
    extra: str = ""
    long_poll_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.schemes:
            object.__setattr__(self, "schemes", (self.name,))
