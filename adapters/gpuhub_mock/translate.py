"""Pure translation: a spec to rows and requests, the mock provider's state to the seam's types.

The mock's own API is fictional: ``PUT /v1/bundles/{digest}`` and ``PUT /v1/deployments/{name}``.
A real adapter names here, for each wire field, the provider's page and the date it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import (
    CallRef,
    CallState,
    DeploymentRef,
    EndpointStatus,
    Phase,
    Rollout,
    Version,
    WorkerCounts,
)
from gpuhub.adapter.prices import cost_of, read_prices
from gpuhub.gpus import resolve
from gpuhub.plan import Plan, Request, Retry, Row, ShipMode
from gpuhub_mock.errors import call_problem
from gpuhub_mock.rows import PROVIDER, SCALING, make_rows

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.gpus import Resolution
    from gpuhub.plan import CostEstimate
    from gpuhub.spec import FunctionSpec
    from gpuhub_mock.emulator.answers import DeploymentAnswer, StatusAnswer, VersionAnswer
    from gpuhub_mock.emulator.calls import Call

__all__ = [
    "call_state",
    "deployment_ref",
    "make_plan",
    "status",
    "versions",
]

FAMILIES = {"A100": "A100-80GB", "H100": "H100", "V100": "V100-32GB"}

# ------------------------------------------------------------------ a spec to rows and requests


def make_plan(spec: FunctionSpec, bundle: Bundle) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: An option of the mock's own is unknown or out of range.
        UnknownGpu: A GPU is not offered.
    """
    prices = read_prices(__file__)
    gpus = resolve(spec.gpu_choices, prices["gpu"], provider=PROVIDER, families=FAMILIES)
    rows = make_rows(spec, gpus)
    cost = _cost(spec, gpus, prices)
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=rows,
        requests=_requests(spec, bundle, rows),
        ship=ShipMode("upload", "the mock takes the bundle as it is", bundle.size),
        cost=cost,
    )


def _requests(spec: FunctionSpec, bundle: Bundle, rows: tuple[Row, ...]) -> tuple[Request, ...]:
    """Give the templates: the body of the second is the rows, each at its native place."""
    body: dict[str, Any] = {"fingerprint": "{{plan.fingerprint}}"}
    for row in rows:
        if row.native is not None and row.value is not None:
            _place(body, row.native, row.value)
    body["code"]["bundle"] = "{{upload.digest}}"
    upload = f"/v1/bundles/{bundle.digest}"
    deploy = f"/v1/deployments/{spec.deployment_name}"
    return (
        Request("PUT", upload, step="upload", retry=Retry.SAFE),
        Request("PUT", deploy, step="deploy", json=body),
    )


def _place(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        body = body.setdefault(part, {})
    body[last] = value


def _cost(
    spec: FunctionSpec, gpus: list[Resolution[float]], prices: Mapping[str, Any]
) -> CostEstimate:
    per_hour: float = prices["worker"]["base_usd_per_hour"]
    per_hour += (spec.cpu or 0) * prices["worker"]["cpu_core_usd_per_hour"]
    per_hour += (spec.memory or 0) / 1024 * prices["worker"]["memory_gib_usd_per_hour"]
    if gpus:
        per_hour += gpus[0].native * gpus[0].count
    return cost_of(per_hour, spec.scaling.min_workers, prices["source"])


# ------------------------------------------------------------------ state to the seam's types


def deployment_ref(answer: DeploymentAnswer) -> DeploymentRef:
    """Give a deployment's identity."""
    return DeploymentRef(
        provider=PROVIDER,
        name=answer.name,
        address=answer.name,
        version=answer.version,
        fingerprint=answer.fingerprint,
        url=answer.url,
    )


def call_state(call: Call) -> CallState:
    """Give where a call is."""
    ref = CallRef(PROVIDER, call.deployment, call.id)
    started, ended = call.started_at, call.ended_at
    problem = call.problem if call.phase is Phase.FAILED else None
    return CallState(
        ref,
        call.phase,
        call.output,
        None if problem is None else call_problem(problem, str(ref)),
        detail=problem.message if problem is not None else "",
        worker=call.worker.id if call.worker is not None else None,
        queued_s=None if started is None else started - call.queued_at,
        run_s=None if started is None or ended is None else ended - started,
    )


def status(answer: StatusAnswer) -> EndpointStatus:
    """Give a deployment's status."""
    return EndpointStatus(
        rollout=answer.rollout,
        version=answer.version,
        workers=WorkerCounts(
            starting=answer.workers.get("starting", 0),
            idle=answer.workers.get("idle", 0),
            running=answer.workers.get("running", 0),
        ),
        queue_depth=answer.queue,
        in_flight=answer.running,
        scaling=_limits(answer),
        detail=_diagnosis(answer),
        log_tail=answer.log_tail,
    )


def _limits(answer: StatusAnswer) -> dict[str, float]:
    values = answer.limits.model_dump()
    named = {field: values[native] for field, native in SCALING.items() if field != "mode"}
    return {field: value for field, value in named.items() if value is not None}


def _diagnosis(answer: StatusAnswer) -> str:
    if answer.rollout is Rollout.FAILED:
        serving = f"version {answer.version} goes on serving" if answer.version else "none serves"
        return f"the version failed; {serving}"
    if answer.workers.get("starting"):
        return "a worker is starting"
    return "" if answer.workers else "scaled to zero: the next call starts a worker"


def versions(answers: list[VersionAnswer]) -> list[Version]:
    """Give all versions, newest first."""
    return [
        Version(
            answer.id,
            created_at=answer.created_at,
            current=answer.is_current,
            fingerprint=answer.fingerprint,
            detail="" if answer.rollout is Rollout.READY else answer.rollout.value,
        )
        for answer in answers
    ]
