"""One gRPC call: Beam makes schedules in no other way.

grpcio carries it, and is needed for functions with a schedule only: the extra ``beam`` brings it.
The message has three texts and the answer a number and a text: they are read and written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gpuhub.errors import AdapterNotInstalled, AuthFailed, ConfigError, ProviderUnavailable

if TYPE_CHECKING:
    from gpuhub.errors import ProviderError

__all__ = ["call", "fields_of", "message", "require_grpc"]

_TIMEOUT_S = 30.0
_PORTS = {"http": 1993, "https": 443}


def require_grpc() -> Any:
    """Import grpcio.

    Raises:
        AdapterNotInstalled: It is not installed.
    """
    try:
        import grpc
    except ImportError as error:
        raise AdapterNotInstalled(
            f"schedule: Beam takes schedules over gRPC only, which needs grpcio: {error}",
            next_step='pip install "gpuhub-sdk[beam]"',
            provider="beam",
        ) from error
    return grpc


def call(url: str, route: str, body: bytes, token: str) -> bytes:
    """Call a method and give its answer's message. Blocks; sent once.

    Args:
        url: ``http://host:1993`` or ``https://host:443``.
        route: ``/package.Service/Method``.
        body: The message.
        token: Bearer token.

    Raises:
        AdapterNotInstalled: grpcio is not installed.
        AuthFailed: The token is refused.
        ConfigError: The address is none.
        ProviderUnavailable: There was no answer.
    """
    grpc = require_grpc()
    place, is_secure = _place(url)
    made = (
        grpc.secure_channel(place, grpc.ssl_channel_credentials())
        if is_secure
        else grpc.insecure_channel(place)
    )
    with made as channel:
        method = channel.unary_unary(route)
        try:
            answer: bytes = method(
                body, timeout=_TIMEOUT_S, metadata=(("authorization", f"Bearer {token}"),)
            )
        except grpc.RpcError as error:
            raise _failed(grpc, error, place, route) from None
    return answer


def _place(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(
            f"providers.beam.grpc_url: {url!r} is no address like http://host:1993",
            next_step="correct it in gpuhub.toml or GPUHUB_BEAM_GRPC_URL",
            provider="beam",
        )
    port = parts.port or _PORTS[parts.scheme]
    return f"{parts.hostname}:{port}", parts.scheme == "https"


def _failed(grpc: Any, error: Any, place: str, route: str) -> ProviderError:
    code = error.code()
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return AuthFailed(
            f"Beam's gateway at {place} refuses the token: {error.details()}",
            provider="beam",
            code=code.name,
            next_step="set BEAM_TOKEN to a token of that gateway",
        )
    return ProviderUnavailable(
        f"Beam's gateway did not answer {route} at {place}: {code.name}: {error.details()}",
        provider="beam",
        code=code.name,
        accepted=None,
        next_step="check grpc_url in [providers.beam]; the gateway's log says more",
    )


# --------------------------------------------------------------------------------- protobuf


def message(texts: Iterable[str]) -> bytes:
    """Write a message whose fields are texts, numbered from 1."""
    found = b""
    for number, text in enumerate(texts, 1):
        raw = text.encode()
        found += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return found


def _varint(number: int) -> bytes:
    found = []
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def fields_of(body: bytes) -> dict[int, int | bytes]:
    """Read the numbers and texts of a message, by field.

    Raises:
        ValueError: It holds something else, or ends too early.
    """
    found: dict[int, int | bytes] = {}
    rest = iter(body)
    while (tag := _read(rest)) is not None:
        value = _read(rest)
        if value is None or tag % 8 not in (0, 2):
            raise ValueError("not a message of numbers and texts")
        if tag % 8 == 0:
            found[tag >> 3] = value
            continue
        text = bytes(byte for _, byte in zip(range(value), rest, strict=False))
        if len(text) < value:
            raise ValueError("the message ends too early")
        found[tag >> 3] = text
    return found


def _read(rest: Iterator[int]) -> int | None:
    number, shift = 0, 0
    for byte in rest:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 128:
            return number
    return None
