"""A plan: what a deploy would send, and the translation report that says what became of each field.

``gpuhub plan --json`` prints :meth:`Plan.to_dict`. Its shape is stable; ``schema`` counts up with
every incompatible change.
"""

from __future__ import annotations

import json as _json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gpuhub.errors import MalformedResponse

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec

__all__ = [
    "CostEstimate",
    "Fidelity",
    "Plan",
    "Request",
    "Response",
    "Retry",
    "Row",
    "Rows",
    "ShipMode",
    "fill",
]

SCHEMA = 1


class Fidelity(StrEnum):
    """How faithfully a provider carries one field."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    EMULATED = "emulated"
    PINNED_DEFAULT = "pinned-default"
    """Not set by the user; gpuhub's own default is sent explicitly."""
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one field of the spec.

    Attributes:
        field: Path in the spec, such as ``"scaling.idle_timeout"``.
        set: Whether the user set it.
        native: The provider's field, such as ``"scaledown_window"``; ``None`` when there is none.
        value: What is sent, in the provider's units; JSON-able.
        fidelity: How faithful that is.
        reason: Why it is not exact, or what the provider does instead.
        cost: What it does to the bill, where it does.
    """

    field: str
    set: bool
    native: str | None
    value: Any
    fidelity: Fidelity
    reason: str = ""
    cost: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-able values, in the documented order."""
        return {name: getattr(self, name) for name in self.__slots__}


class Rows:
    """Collects the rows of one plan; knows from the spec which fields the user set.

    Each method adds one row and returns nothing; a field answered twice is an error in the
    adapter, a field not answered at all is found by the engine.
    """

    def __init__(self, spec: FunctionSpec) -> None:
        self._spec = spec
        self._rows: dict[str, Row] = {}

    def exact(self, field: str, native: str, value: Any, reason: str = "", cost: str = "") -> None:
        """The provider has the same setting; unset fields become ``pinned-default``."""
        fidelity = Fidelity.EXACT if self._spec.is_set(field) else Fidelity.PINNED_DEFAULT
        self._add(field, native, value, fidelity, reason, cost)

    def approximate(self, field: str, native: str, value: Any, reason: str, cost: str = "") -> None:
        """The provider has something near it; ``reason`` says how it differs."""
        self._add(field, native, value, Fidelity.APPROXIMATE, reason, cost)

    def emulated(
        self, field: str, native: str | None, value: Any, reason: str, cost: str = ""
    ) -> None:
        """The library or the worker does what the provider does not."""
        self._add(field, native, value, Fidelity.EMULATED, reason, cost)

    def unsupported(self, field: str, reason: str, cost: str = "") -> None:
        """The provider cannot; ``reason`` says what it does instead."""
        self._add(field, None, None, Fidelity.UNSUPPORTED, reason, cost)

    def unset(self, field: str, reason: str = "", native: str | None = None) -> None:
        """Nothing is asked and nothing is sent: ``reason`` says what the provider then does."""
        self._add(field, native, None, Fidelity.PINNED_DEFAULT, reason, "")

    def done(self) -> tuple[Row, ...]:
        """All rows, in the order they were added."""
        return tuple(self._rows.values())

    def _add(
        self,
        field: str,
        native: str | None,
        value: Any,
        fidelity: Fidelity,
        reason: str,
        cost: str,
    ) -> None:
        if field in self._rows:
            msg = f"the adapter answers for {field!r} twice"
            raise ValueError(msg)
        is_set = self._spec.is_set(field)
        self._rows[field] = Row(field, is_set, native, value, fidelity, reason, cost)


class Retry(StrEnum):
    """When a request may be sent again by itself."""

    SAFE = "safe"
    """Repeating does no harm (GET, PUT of the same content, DELETE): any transient failure."""
    REFUSED_ONLY = "refused-only"
    """Only when it certainly had no effect: never sent, 429, or 503 with a refusal."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a provider. In a plan it is a template, see :func:`fill`.

    Attributes:
        method: HTTP method, or ``"rpc"`` for a step that an SDK sends.
        path: Path below the origin's base URL, or a whole URL when ``origin`` is empty.
        origin: Which base URL and credential of the adapter to use, such as ``"api"``.
        step: Name other requests use for this one's response: ``{{create.id}}``.
        json: JSON body.
        body: Raw body: bytes, or a file that is streamed.
        query: Query parameters.
        headers: Further headers. The credential is added by ``Io``.
        timeout: Seconds to wait for the answer after the request is sent; ``None``: the default.
        retry: When it may be sent again.
        accept: Statuses that are an answer, not an error. Empty: every 2xx status.
    """

    method: str
    path: str
    origin: str = "api"
    step: str = ""
    # Filled in, these may hold secrets: no repr shows them.
    json: Any = field(default=None, repr=False)
    body: bytes | Path | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float | None = None
    retry: Retry = Retry.REFUSED_ONLY
    accept: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The request as a reviewer reads it; a raw body is shown by its size."""
        shown: dict[str, Any] = {"step": self.step, "method": self.method, "origin": self.origin}
        shown["path"] = self.path
        if self.query:
            shown["query"] = dict(self.query)
        if self.headers:
            shown["headers"] = dict(self.headers)
        if self.json is not None:
            shown["json"] = self.json
        if self.body is not None:
            size = len(self.body) if isinstance(self.body, bytes) else self.body.stat().st_size
            shown["body"] = f"<{size} bytes>"
        return shown


@dataclass(frozen=True, slots=True)
class Response:
    """A provider's answer.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            MalformedResponse: It is not JSON.
        """
        try:
            return _json.loads(self.body)
        except ValueError as error:
            start = self.body[:80].decode("utf-8", "replace")
            msg = f"the answer is not JSON: {error}; it starts with {start!r}"
            raise MalformedResponse(
                msg,
                status=self.status,
                accepted=None,
                next_step="look whether it took effect; a proxy on the way may have answered",
            ) from None


_PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)([.:])([^{}]+?)\s*\}\}")


def fill(request: Request, steps: Mapping[str, Any], secrets: Mapping[str, Any]) -> Request:
    """Replace ``{{step.field}}`` and ``{{secret:NAME}}`` in path, query, headers and JSON body.

    Args:
        request: The template.
        steps: Decoded JSON answers by step name; ``field`` is a dotted path into one.
        secrets: ``SecretStr`` by name.

    Raises:
        MalformedResponse: An earlier answer lacks the field.
    """
    return replace(
        request,
        path=_fill(request.path, steps, secrets),
        query=_fill(dict(request.query), steps, secrets),
        headers=_fill(dict(request.headers), steps, secrets),
        json=_fill(request.json, steps, secrets),
    )


def _fill(value: Any, steps: Mapping[str, Any], secrets: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(inner, steps, secrets) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(inner, steps, secrets) for inner in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = _PLACE.fullmatch(value)
    if whole:  # keep the type of what an earlier step returned
        return _lookup(whole, steps, secrets)
    return _PLACE.sub(lambda match: str(_lookup(match, steps, secrets)), value)


def _lookup(match: re.Match[str], steps: Mapping[str, Any], secrets: Mapping[str, Any]) -> Any:
    head, mark, rest = match.groups()
    if mark == ":":
        known = head == "secret" and rest in secrets
        return secrets[rest].get_secret_value() if known else match[0]
    if head not in steps:  # the user's own text, such as RunPod's {{ RUNPOD_SECRET_x }}
        return match[0]
    value = steps[head]
    for part in rest.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            msg = f"the answer to step {head!r} has no field {rest!r}"
            raise MalformedResponse(
                msg, next_step="report it: the provider's API changed"
            ) from None
    return value


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What workers of this plan cost, as far as prices are known.

    Attributes:
        worker_usd_per_hour: One busy or warm worker, USD per hour; ``None``: unknown.
        idle_usd_per_hour: All ``min_workers`` kept warm with no traffic, USD per hour; ``None``:
            unknown.
        source: Where the price is from, and of which date.
    """

    worker_usd_per_hour: float | None = None
    idle_usd_per_hour: float | None = None
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ShipMode:
    """How the code travels to the provider.

    Attributes:
        mode: Name of the way, such as ``"image"`` or ``"inline"``.
        reason: Why this one.
        size: Bytes that travel.
    """

    mode: str
    reason: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        """The ship mode as JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a deploy would do.

    Attributes:
        provider: Name of the adapter.
        deployment: Name at the provider.
        spec: What was asked for.
        bundle: What goes into the container.
        rows: The translation report, one row per field of the spec.
        requests: Templates of what is sent, in order.
        ship: How the code travels.
        cost: What a worker costs.
        warnings: What the reader should know before deploying.
        fingerprint: Equal for two plans that would make the same deployment; set by the engine.
        secret_values: Local secrets by name; never shown, never written.
    """

    provider: str
    deployment: str
    spec: FunctionSpec
    bundle: Bundle
    rows: tuple[Row, ...]
    requests: tuple[Request, ...]
    ship: ShipMode
    cost: CostEstimate = CostEstimate()
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""
    secret_values: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def row(self, field: str) -> Row:
        """The row of one field.

        Raises:
            KeyError: The plan has no such row.
        """
        for row in self.rows:
            if row.field == field:
                return row
        raise KeyError(field)

    def with_facts(self, **facts: Any) -> Self:
        """A copy with some attributes replaced."""
        return replace(self, **facts)

    def request(self, step: str, steps: Mapping[str, Any] | None = None) -> Request:
        """The request of one step, filled with earlier answers and local secrets.

        Raises:
            KeyError: The plan has no such step.
        """
        for request in self.requests:
            if request.step == step:
                return fill(request, steps or {}, self.secret_values)
        raise KeyError(step)

    def to_dict(self) -> dict[str, Any]:
        """The stable JSON form of ``gpuhub plan --json``. Holds no secret value."""
        return {
            "schema": SCHEMA,
            "provider": self.provider,
            "deployment": self.deployment,
            "fingerprint": self.fingerprint,
            "ship": self.ship.to_dict(),
            "cost": self.cost.to_dict(),
            "warnings": list(self.warnings),
            "rows": [row.to_dict() for row in self.rows],
            "requests": [request.to_dict() for request in self.requests],
            "bundle": {"digest": self.bundle.digest, "size": self.bundle.size},
            "spec": self.spec.model_dump(mode="json"),
        }


def unsupported_rows(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of fields that the user set and the provider cannot honour."""
    return tuple(row for row in rows if row.set and row.fidelity is Fidelity.UNSUPPORTED)
