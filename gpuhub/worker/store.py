"""Large values by reference: ``{"$gpuhub_ref": {"url", "sha256", "size"}}`` into a store."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Mapping
from typing import Any

from gpuhub.worker.conversion import TAG
from gpuhub.worker.wire import dumps, loads

__all__ = [
    "REFERENCE",
    "StoreProblem",
    "fetch_references",
    "has_references",
    "is_reference",
    "read_reference",
    "store_large",
    "write_reference",
]

REFERENCE = f"{TAG}_ref"
STORE_VARIABLE = "GPUHUB_PAYLOAD_STORE"
"""Where this worker may read and write, such as ``s3://bucket/prefix``; no other place."""
THRESHOLD_VARIABLE = "GPUHUB_PAYLOAD_THRESHOLD"
"""Bytes of JSON above which a result goes to the store. Unset: results never do."""

_FIELDS = {"url", "sha256", "size"}
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class StoreProblem(RuntimeError):  # noqa: N818  (says what happened)
    """A reference that cannot or must not be followed, or a store that does not answer."""


def is_reference(wire: Any) -> bool:
    """Whether a JSON value stands for one in a store."""
    return type(wire) is dict and len(wire) == 1 and REFERENCE in wire


def has_references(arguments: Any) -> bool:
    """Whether any argument stands for a value in a store."""
    return isinstance(arguments, Mapping) and any(map(is_reference, arguments.values()))


def fetch_references(arguments: Any) -> Any:
    """Put the stored values in the place of their references."""
    if not has_references(arguments):
        return arguments
    prefix = os.environ.get(STORE_VARIABLE, "")
    return {
        name: read_reference(wire, prefix) if is_reference(wire) else wire
        for name, wire in arguments.items()
    }


def store_large(wire: Any) -> Any:
    """Give a reference in the place of a result that is too large to be answered directly."""
    prefix = os.environ.get(STORE_VARIABLE, "")
    threshold = os.environ.get(THRESHOLD_VARIABLE, "")
    if not (prefix and threshold):
        return wire
    content = dumps(wire)
    return wire if len(content) <= int(threshold) else write_reference(content, prefix)


def write_reference(content: bytes, prefix: str) -> dict[str, Any]:
    """Store the JSON text of a value under its digest and give the reference to it."""
    digest = hashlib.sha256(content).hexdigest()
    url = f"{prefix.rstrip('/')}/{digest}.json"
    try:
        with _open(url, "wb") as file:
            file.write(content)
    except OSError as error:
        raise StoreProblem(f"cannot write {url}: {error}") from error
    return {REFERENCE: {"url": url, "sha256": digest, "size": len(content)}}


def read_reference(wire: dict[str, Any], prefix: str) -> Any:
    """Give the value a reference stands for.

    Args:
        wire: The reference.
        prefix: The only place it may point into. Empty: nowhere.

    Raises:
        StoreProblem: It points elsewhere, or the content is missing or not what was stored.
    """
    url, digest, size = _parts(wire[REFERENCE])
    if not prefix:
        raise StoreProblem(f"a value came by reference, but {STORE_VARIABLE} is not set here")
    # A caller must not make the worker read addresses of the caller's choice.
    if url != f"{prefix.rstrip('/')}/{digest}.json":
        raise StoreProblem(f"a reference points outside of the payload store {prefix}")
    try:
        with _open(url, "rb") as file:
            content = file.read(size + 1)
    except OSError as error:
        raise StoreProblem(f"cannot read {url}: {error}") from error
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise StoreProblem(f"{url} is not what was stored: size or checksum differ")
    return loads(content)


def _parts(reference: Any) -> tuple[str, str, int]:
    if type(reference) is dict and set(reference) == _FIELDS:
        url, digest, size = reference["url"], reference["sha256"], reference["size"]
        is_typed = type(url) is str and type(digest) is str and type(size) is int
        if is_typed and size >= 0 and _DIGEST.match(digest):
            return url, digest, size
    raise StoreProblem(f"a {REFERENCE} has url, sha256 (64 hex digits) and size (bytes)")


def _open(url: str, mode: str) -> Any:
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise StoreProblem(
            'the payload store needs fsspec: add "fsspec" (and "s3fs" for s3://) to the image'
        ) from None
    try:
        return fsspec.open(url, mode).open()
    except (ImportError, ValueError) as error:
        raise StoreProblem(f"cannot open {url}: {error}") from error
