"""A request made ready for the wire: address, headers, body, time limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from typing_extensions import override

from gpuhub._http.files import FileBody, size_of
from gpuhub._http.origins import Origins, own_headers
from gpuhub._http.redaction import address, redacted
from gpuhub.errors import ProviderUnavailable, SpecError
from gpuhub.plan import Request

__all__ = ["ConnectionLimits", "Outgoing", "prepared"]

SHORTEST_TIMEOUT_S = 0.001
"""0 would mean non-blocking to a socket."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections, and how long each phase of a request may take.

    Attributes:
        max_connections: At a time, to all origins together; at least the concurrency of ``map``
            and some, since each call in flight holds one.
        connect_s: Seconds to reach the host, TLS included.
        write_s: Seconds for each piece of the body to be taken.
        read_s: Seconds to wait for the answer, where the request does not say.
        pool_s: Seconds to wait for a free connection.
        keepalive_s: Seconds an idle connection is kept. Below the 5 s after which common servers
            close theirs: a request that meets a closing connection has an unknown outcome.
    """

    max_connections: int = 288
    connect_s: float = 10.0
    write_s: float = 60.0
    read_s: float = 60.0
    pool_s: float = 60.0
    keepalive_s: float = 4.0


class Timeouts(dict[str, float]):
    """Seconds by phase, each cut to what is left of a budget when the phase begins.

    HTTP clients ask with ``get`` at the start of each phase.
    """

    def __init__(
        self, phases: Mapping[str, float], deadline: float | None, now: Callable[[], float]
    ) -> None:
        super().__init__(phases)
        self._deadline = deadline
        self._now = now

    @override
    def get(self, phase: str, default: Any = None) -> Any:
        """The limit of a phase that begins now."""
        limit = super().get(phase, default)
        if self._deadline is None or limit is None:
            return limit
        return max(SHORTEST_TIMEOUT_S, min(limit, self._deadline - self._now()))

    @property
    def used_up(self) -> bool:
        """Whether the budget has ended."""
        return self._deadline is not None and self._now() >= self._deadline


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A request as it is sent, every try alike. Holds credentials: it has no telling repr.

    Attributes:
        request: What the adapter asked for.
        origins: The provider.
        url: With the query.
        headers: Names in lower case.
        content: The body in memory.
        file: The body as a file, opened anew for each try.
        timeouts: By phase: ``connect``, ``pool``, ``write``, ``read``.
    """

    request: Request
    origins: Origins
    url: str
    headers: dict[str, str]
    content: bytes | None
    file: Path | None
    timeouts: Timeouts

    @override
    def __repr__(self) -> str:
        """Show where it goes."""
        return f"<Outgoing {self.label}>"

    @property
    def label(self) -> str:
        """``METHOD scheme://host:port/path`` for errors."""
        return f"{self.request.method} {self.told(address(self.url))}"

    def told(self, text: str) -> str:
        """A text without the provider's secrets and without this request's query."""
        if query := urlsplit(self.url).query:
            text = text.replace(f"?{query}", "")
        return redacted(text, self.origins.settings)

    def opened(self) -> FileBody | None:
        """The body's file for one try."""
        if self.file is None:
            return None
        return FileBody(self.file, int(self.headers["content-length"]))

    def require_time(self) -> None:
        """Refuse to start when the budget has ended.

        Raises:
            ProviderUnavailable: It has; nothing was sent.
        """
        if self.timeouts.used_up:
            raise ProviderUnavailable(
                f"{self.label} was not sent: the time given is used up",
                next_step="give the call a longer timeout",
                provider=self.origins.info.name,
                accepted=False,
            )

    def require_time_to_read(self, received: int) -> None:
        """Stop reading an answer when the budget has ended.

        Raises:
            ProviderUnavailable: It has, after ``received`` bytes.
        """
        if self.timeouts.used_up:
            raise ProviderUnavailable(
                f"{self.label}: the time given was used up after {received} bytes of the answer",
                next_step="give the call a longer timeout",
                provider=self.origins.info.name,
                accepted=None,
            )


def prepared(
    request: Request,
    origins: Origins,
    limits: ConnectionLimits,
    deadline: float | None,
    now: Callable[[], float],
) -> Outgoing:
    """Make a request ready.

    Raises:
        ConfigError: The address or a credential cannot be used; see its subclasses.
        SpecError: The body cannot be sent.
    """
    url = _with_query(origins.url(request.origin, request.path), request.query)
    headers = own_headers(request.headers)
    content, file = _body(request, headers)
    if request.origin:
        headers |= origins.credential_headers(request.origin)
    phases = {
        "connect": limits.connect_s,
        "pool": limits.pool_s,
        "write": limits.write_s,
        "read": limits.read_s if request.timeout is None else request.timeout,
    }
    timeouts = Timeouts(phases, deadline, now)
    return Outgoing(request, origins, url, headers, content, file, timeouts)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"


def _body(request: Request, headers: dict[str, str]) -> tuple[bytes | None, Path | None]:
    if isinstance(request.body, Path):
        # Said explicitly, so that a file streams without chunked encoding, which registries and
        # presigned URLs refuse.
        headers["content-length"] = str(size_of(request.body))
        return None, request.body
    if request.body is not None or request.json is None:
        return request.body, None
    headers.setdefault("content-type", "application/json")
    return _json(request), None


def _json(request: Request) -> bytes:
    try:
        text = json.dumps(request.json, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = "a lone surrogate" if isinstance(error, UnicodeError) else str(error)
        raise SpecError(
            f"the JSON body of {request.method} {request.path.partition('?')[0]} cannot be"
            f" written: {reason}",
            next_step="pass values that JSON can carry: no NaN or infinity",
        ) from None
