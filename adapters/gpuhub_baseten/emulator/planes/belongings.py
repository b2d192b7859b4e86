"""Secrets, API keys, teams, users, instance types, logs, start-ups and the bill."""

from __future__ import annotations

import math
import re
import secrets
from typing import TYPE_CHECKING, Any

from gpuhub_baseten.emulator import bodies
from gpuhub_baseten.emulator.bodies import read_body, read_values
from gpuhub_baseten.emulator.catalog import INSTANCE_TYPES
from gpuhub_baseten.emulator.logs import Line
from gpuhub_baseten.emulator.problems import invalid, missing
from gpuhub_baseten.emulator.state import Deployment, Startup
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Belongings"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_WEEK_MS = 7 * 86_400_000
_HALF_HOUR_MS = 30 * 60_000
_PHASES = ("SCHEDULING", "IMAGE_PULL", "CONTAINER_CREATE", "CONTAINER_START", "READINESS")
_TEAM_ID = "team0001"


class Belongings:
    """The rest of the management API.

    Args:
        site: What all parts share.
        account: Whose they are.
    """

    def __init__(self, site: Site, account: Account) -> None:
        self._site = site
        self._account = account

    # Secrets and keys

    async def secrets(self, _request: Request) -> Answer:
        """``GET /v1/secrets``: names, never values."""
        with self._site.change():
            return Answer.of({"secrets": list(self._account.secret_rows.values())})

    async def upsert_secret(self, request: Request) -> Answer:
        """``POST /v1/secrets``."""
        sent = read_body(bodies.UpsertSecret, request.body)
        with self._site.change():
            self._site.secrets[sent.name] = sent.value
            row = self._account.secret_rows.setdefault(
                sent.name,
                {
                    "id": self._site.new_id(),
                    "created_at": self._site.stamp(),
                    "name": sent.name,
                    "team_name": self._site.team,
                },
            )
        return Answer.of(row)

    async def delete_secret(self, _request: Request, name: str) -> Answer:
        """``DELETE /v1/secrets/{name}``."""
        with self._site.change():
            if self._account.secret_rows.pop(name, None) is None:
                raise missing(f"Secret {name}")
            self._site.secrets.pop(name, None)
        return Answer.of({"name": name})

    async def create_key(self, request: Request) -> Answer:
        """``POST /v1/api_keys``: the whole key is told once."""
        sent = read_body(bodies.CreateApiKey, request.body)
        prefix = secrets.token_hex(4)
        with self._site.change():
            row = {"prefix": prefix, "type": sent.type, "name": sent.name}
            self._account.api_keys[prefix] = row
        return Answer.of({"api_key": f"{prefix}.{secrets.token_urlsafe(24)}"})

    async def delete_key(self, _request: Request, prefix: str) -> Answer:
        """``DELETE /v1/api_keys/{prefix}``."""
        with self._site.change():
            if self._account.api_keys.pop(prefix, None) is None:
                raise missing(f"API key {prefix}")
        return Answer.of({"prefix": prefix})

    async def teams(self, _request: Request) -> Answer:
        """``GET /v1/teams``."""
        return Answer.of({"teams": [self.team()]})

    def team(self) -> dict[str, Any]:
        """The only team."""
        name, moment = self._site.team, "2026-01-01T00:00:00Z"
        return {"id": _TEAM_ID, "name": name, "default": True, "created_at": moment}

    async def me(self, _request: Request) -> Answer:
        """``GET /v1/users/me``."""
        facts = {"email": "emulated@localhost", "name": "Emulated", "workspace_name": "Emulated"}
        return Answer.of({"user_id": "user0001", **facts})

    # What there is to rent

    async def instance_types(self, _request: Request) -> Answer:
        """``GET /v1/instance_types``."""
        return Answer.of({"instance_types": [each.shown() for each in INSTANCE_TYPES]})

    async def prices(self, _request: Request) -> Answer:
        """``GET /v1/instance_type_prices``."""
        shown = [each.shown(with_price=True) for each in INSTANCE_TYPES]
        return Answer.of({"instance_types": shown})

    async def regions(self, _request: Request) -> Answer:
        """``GET /v1/regions``: none can be chosen."""
        return Answer.of({"regions": []})

    async def bill(self, request: Request) -> Answer:
        """``GET /v1/billing/usage_summary``: all of a deployment, whatever the dates."""
        if not {"start_date", "end_date"} <= set(request.query):
            raise invalid("start_date and end_date are needed")
        with self._site.change():
            billed = self._site.meter.billed_seconds(self._site.now())
            items = [
                self._billed(deployment, model.name, billed)
                for model in self._account.models.values()
                for deployment in model.deployments.values()
            ]
        total = sum(each["subtotal"] for each in items)
        dedicated = {
            "subtotal": total,
            "credits_used": 0,
            "total": total,
            "minutes": sum(each["minutes"] for each in items),
            "breakdown": items,
        }
        return Answer.of({"dedicated_usage": dedicated})

    # Logs and starts

    async def logs(self, request: Request, model_id: str, key: str) -> Answer:
        """``POST …/logs``, or ``GET`` with the same in the query."""
        query = _logs_query(request)
        with self._site.change():
            lines = self._found(model_id, key).log.lines()
            now = int(self._site.timeline.wall() * 1000) + 1
        return Answer.of({"logs": [each.shown() for each in _selected(lines, query, now)]})

    async def environment_logs(self, request: Request, model_id: str, name: str) -> Answer:
        """``GET …/environments/{name}/logs``: of what it points at."""
        with self._site.change():
            environment = self._account.environment(self._account.model(model_id), name)
            current = environment.current
        if current is None:
            return Answer.of({"logs": []})
        return await self.logs(request, model_id, current.id)

    async def startups(self, request: Request, model_id: str, key: str) -> Answer:
        """``GET …/startups``."""
        start, end = _window(request)
        with self._site.change():
            deployment = self._found(model_id, key)
            items = [
                _attempt(deployment, each)
                for each in deployment.startups
                if start <= each.started_at * 1000 <= end
            ]
        pagination = {"has_more": False, "cursor": None}
        return Answer.of({"items": items, "pagination": pagination, "total_count": len(items)})

    async def startups_summary(self, request: Request, model_id: str, key: str) -> Answer:
        """``GET …/startups/summary``."""
        start, end = _window(request)
        with self._site.change():
            starts = list(self._found(model_id, key).startups)
        times = [
            (each.ready_at - each.started_at) * 1000
            for each in starts
            if each.ready_at is not None and start <= each.started_at * 1000 <= end
        ]
        phases = [
            {"phase": name, "duration_ms": _percentiles([t / len(_PHASES) for t in times])}
            for name in _PHASES
        ]
        return Answer.of(
            {
                "start_epoch_millis": start,
                "end_epoch_millis": end,
                "total_duration_ms": _percentiles(times),
                "phase_duration_ms": phases,
            }
        )

    def _found(self, model_id: str, key: str) -> Deployment:
        return self._account.deployment(self._account.model(model_id), key)

    def _billed(
        self, deployment: Deployment, model: str, billed: dict[str, float]
    ) -> dict[str, Any]:
        seconds = sum(billed.get(each.replica, 0.0) for each in deployment.startups)
        minutes = math.ceil(seconds / 60)
        cost = minutes * deployment.instance.price
        resource = {
            "id": deployment.id,
            "kind": "MODEL_DEPLOYMENT",
            "name": deployment.name,
            "model_name": model,
            "is_deleted": False,
            "instance_type": deployment.instance.id,
        }
        return {
            "billable_resource": resource,
            "subtotal": cost,
            "compute_cost": cost,
            "surcharge_cost": 0,
            "minutes": minutes,
            "inference_requests": deployment.predictions,
        }


def _logs_query(request: Request) -> bodies.LogsQuery:
    if request.method == "POST":
        return read_body(bodies.LogsQuery, request.body)
    numbers = ("start_epoch_millis", "end_epoch_millis", "limit")
    given: dict[str, Any] = dict(request.query)
    for name in numbers:
        if name in given:
            given[name] = _integer(given[name], name)
    return read_values(bodies.LogsQuery, given)


def _selected(lines: list[Line], query: bodies.LogsQuery, now_ms: int) -> list[Line]:
    end = query.end_epoch_millis if query.end_epoch_millis is not None else now_ms
    start = query.start_epoch_millis
    start = end - _HALF_HOUR_MS if start is None else start
    if not 0 <= end - start <= _WEEK_MS:
        raise invalid("the window from start to end must be within 0 and 7 days")
    found = [
        each
        for each in lines
        if start <= each.nanoseconds // 1_000_000 <= end and _fits(each, query)
    ]
    if (query.direction or "desc") == "desc":
        found.reverse()
    return found[: query.limit or 500]


def _fits(line: Line, query: bodies.LogsQuery) -> bool:
    if query.replica is not None and line.replica != query.replica:
        return False
    if query.request_id is not None and line.request_id != query.request_id:
        return False
    if query.min_level is not None and (
        line.level is None or _LEVELS.index(line.level) < _LEVELS.index(query.min_level)
    ):
        return False
    if query.search_pattern is not None and re.search(query.search_pattern, line.message) is None:
        return False
    has_all = all(part in line.message for part in query.includes)
    return has_all and not any(part in line.message for part in query.excludes)


def _window(request: Request) -> tuple[int, int]:
    names = ("start_epoch_millis", "end_epoch_millis")
    if not set(names) <= set(request.query):
        raise invalid(f"{' and '.join(names)} are needed")
    start, end = (_integer(request.query[name], name) for name in names)
    return start, end


def _integer(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid(f"{name} must be an integer (got {text!r})") from None


def _attempt(deployment: Deployment, startup: Startup) -> dict[str, Any]:
    ready = startup.ready_at
    total = 0 if ready is None else round((ready - startup.started_at) * 1000)
    part = total // len(_PHASES)
    return {
        "model_id": deployment.model_id,
        "deployment_id": deployment.id,
        "deployment_name": deployment.name,
        "environment_name": deployment.environment.name if deployment.environment else None,
        "replica_id": startup.replica,
        "started_at_epoch_millis": round(startup.started_at * 1000),
        "ready_at_epoch_millis": None if ready is None else round(ready * 1000),
        "duration_ms": total,
        "outcome": "FAILED" if ready is None else "SUCCESS",
        "phase_summary": [
            {"phase": name, "status": "COMPLETED", "offset_ms": at * part, "duration_ms": part}
            for at, name in enumerate(_PHASES)
        ],
    }


def _percentiles(times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)

    def at(share: float) -> int | None:
        if not ordered:
            return None
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))])

    mean = round(sum(ordered) / len(ordered)) if ordered else None
    ranks = {f"p{round(100 * share)}_ms": at(share) for share in (0.5, 0.9, 0.95, 0.99)}
    return {"sample_count": len(ordered), "mean_ms": mean, **ranks}
