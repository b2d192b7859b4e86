"""Large arguments and results by reference, through an object store that both sides can reach."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from gpuhub.errors import AdapterNotInstalled, ConfigError, MalformedResponse, PayloadTooLarge
from gpuhub.worker.store import (
    REFERENCE,
    STORE_VARIABLE,
    THRESHOLD_VARIABLE,
    StoreProblem,
    is_reference,
    read_reference,
    write_reference,
)
from gpuhub.worker.wire import RESULT, dumps, loads

__all__ = ["THRESHOLD", "PayloadStore"]

THRESHOLD = 1_000_000
"""Bytes of JSON above which a value goes to the store, unless told otherwise."""

_MARK = f'"{REFERENCE}"'.encode()


@dataclass(frozen=True, slots=True)
class PayloadStore:
    """Moves values above a size to a store and back, checked by size and SHA-256.

    Objects are named after their content and stay there: give the prefix a lifecycle rule.

    Attributes:
        url: Prefix of all objects: ``s3://bucket/prefix``, ``file:///…`` or what fsspec knows.
        threshold: Bytes of a value's JSON above which it goes to the store.

    Raises:
        AdapterNotInstalled: fsspec is missing.
        ConfigError: The URL has no scheme.
    """

    url: str
    threshold: int = THRESHOLD

    def __post_init__(self) -> None:
        if "://" not in self.url:
            msg = f"payload_store is a URL such as 's3://bucket/prefix' (got {self.url!r})"
            raise ConfigError(msg, next_step="correct payload_store in gpuhub.toml")
        if find_spec("fsspec") is None:
            msg = "payload_store needs fsspec, which is not installed"
            raise AdapterNotInstalled(msg, next_step='pip install "gpuhub-sdk[store]"')

    @property
    def worker_environment(self) -> dict[str, str]:
        """Variables the worker needs to follow references and to make them for large results."""
        return {STORE_VARIABLE: self.url, THRESHOLD_VARIABLE: str(self.threshold)}

    @property
    def worker_packages(self) -> tuple[str, ...]:
        """Requirements of the worker's image for it."""
        return ("fsspec", "s3fs") if self.url.startswith("s3://") else ("fsspec",)

    def pack(self, payload: bytes) -> bytes:
        """Give an encoded call with its large arguments in the store.

        Raises:
            PayloadTooLarge: The store does not take them; nothing was sent to the provider.
        """
        if len(payload) <= self.threshold:
            return payload
        return dumps({name: self._stored(name, wire) for name, wire in loads(payload).items()})

    def _stored(self, name: str, wire: Any) -> Any:
        content = dumps(wire)
        if len(content) <= self.threshold:
            return wire
        try:
            return write_reference(content, self.url)
        except StoreProblem as problem:
            raise PayloadTooLarge(
                f"the argument {name} has {len(content)} bytes and the payload store failed: "
                f"{problem}",
                next_step="check payload_store and its credentials",
            ) from problem

    def unpack(self, payload: bytes) -> bytes:
        """Give an answer with the value in the place of a reference to it.

        Raises:
            MalformedResponse: The reference points out of the store, or its content is missing
                or not what was stored.
        """
        if _MARK not in payload:
            return payload
        try:
            envelope = loads(payload)
            if type(envelope) is dict and is_reference(envelope.get(RESULT)):
                return dumps({RESULT: read_reference(envelope[RESULT], self.url)})
        except StoreProblem as problem:
            raise MalformedResponse(
                f"the result is in the payload store, and cannot be read: {problem}",
                next_step="check payload_store and its credentials",
                accepted=None,
            ) from problem
        except ValueError:
            pass  # no JSON: the codec says so better
        return payload
