"""Pure translation of a spec: the plan with its requests.

The stub's body is ``GetOrCreateStubRequest`` of gateway.proto in its JSON form (camelCase, 64-bit
numbers as text), as beta9 0.1.291 sends it over gRPC; each group of members has its module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError
from gpuhub.plan import Plan, Request, Retry, ShipMode
from gpuhub_beam import wire
from gpuhub_beam.archive import pack
from gpuhub_beam.container import (
    LIMITS,
    PARTS,
    SCHEDULE,
    check_user_env,
    local_secret_name,
    mounts,
    secret_name,
    variables,
    volume_names,
)
from gpuhub_beam.gpus import select
from gpuhub_beam.image import credentials, image_body
from gpuhub_beam.kinds import HANDLERS, REQUEST_LIMIT_S, choose, task_seconds
from gpuhub_beam.limits import limits_body, stub_fields
from gpuhub_beam.options import read_options
from gpuhub_beam.prices import estimate
from gpuhub_beam.rows import make_rows
from gpuhub_beam.schedule import when

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub_beam.archive import Archive
    from gpuhub_beam.defaults import Defaults
    from gpuhub_beam.gpus import Selection
    from gpuhub_beam.kinds import Kind, Kinds
    from gpuhub_beam.options import Options

__all__ = ["PROVIDER", "make_plan"]

PROVIDER = "beam"

_CORES = (0.1, 64.0)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spec with all that was made of it on the way."""

    spec: FunctionSpec
    own: Options
    defaults: Defaults
    kinds: Kinds
    selection: Selection | None
    archive: Archive


def make_plan(spec: FunctionSpec, bundle: Bundle, defaults: Defaults) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: It cannot run on Beam; see its subclasses.
    """
    own = read_options(spec.options.get(PROVIDER, {}))
    check_user_env((*spec.env, *(secret.env for secret in spec.secrets)))
    selection = select(spec.gpu_choices) if spec.gpu_choices else None
    archive = pack(bundle)
    wanted = _Wanted(spec, own, defaults, choose(spec, own), selection, archive)
    bodies = {kind: _stub(wanted, kind) for kind in wanted.kinds.parts}
    main = bodies[wanted.kinds.main]
    why = f"a zip of {len(bundle.files)} files and Beam's worker entry; unpacked at /mnt/code"
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=make_rows(spec, main, kinds=wanted.kinds, selection=selection, defaults=defaults),
        requests=_requests(wanted, bodies),
        ship=ShipMode("archive", why, len(archive.content)),
        cost=estimate(selection, main, is_hosted=defaults.is_hosted),
    )


def _requests(wanted: _Wanted, bodies: Mapping[Kind, dict[str, Any]]) -> tuple[Request, ...]:
    """What a deploy of code that Beam does not have sends, in order.

    The part that takes waiting calls comes last: with it the new version is complete.
    """
    spec, name = wanted.spec, wanted.spec.deployment_name
    image = image_body(spec)
    build = {**image, "existingImageCreds": credentials(spec.image)}
    steps = [
        wire.verify_image({**image, "forceRebuild": False}),
        wire.build_image(build),
        wire.head_object(wanted.archive.hash),
        wire.create_object(wanted.archive.hash, len(wanted.archive.content)),
        wire.put_object(wanted.archive.content),
    ]
    steps += [
        wire.make_volume(each, f"volume{number}") for number, each in enumerate(volume_names(spec))
    ]
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    if local:
        steps.append(wire.get_workspace())
    steps += [wire.create_secret(local_secret_name(name, each), each) for each in local]
    parts = list(reversed(wanted.kinds.parts))
    steps += [_stub_request(kind, bodies[kind]) for kind in parts]
    for kind in parts:
        steps.append(wire.deploy_stub(kind, name))
        if kind == "schedule" and spec.schedule is not None:
            steps.append(wire.follow_schedule(when(spec.schedule)))
    return tuple(steps)


def _stub_request(kind: Kind, body: dict[str, Any]) -> Request:
    return Request(
        "POST", f"{wire.GATEWAY}/stubs", step=f"stub-{kind}", json=body, retry=Retry.SAFE
    )


def _stub(wanted: _Wanted, kind: Kind) -> dict[str, Any]:
    spec, own, kinds = wanted.spec, wanted.own, wanted.kinds
    is_main = kind == kinds.main
    limits = limits_body(
        spec.scaling, kind, is_main=is_main, max_replicas=wanted.defaults.max_replicas
    )
    told = {LIMITS: stub_fields(limits), PARTS: ",".join(kinds.parts)}
    if kind == "schedule" and spec.schedule is not None:
        told[SCHEDULE] = when(spec.schedule)
    body: dict[str, Any] = {
        "objectId": "{{object.objectId}}",
        "imageId": "{{image.imageId}}",
        "stubType": f"{kind}/deployment",
        "name": f"{kind}/deployment/{HANDLERS[kind]}",
        "appName": spec.deployment_name,
        "pythonVersion": "{{image.pythonVersion}}",
        **_compute(wanted),
        "handler": HANDLERS[kind],
        "onStart": "",
        "callbackUrl": own.callback_url or "",
        **limits,
        "maxPendingTasks": own.max_pending_tasks or wanted.defaults.max_pending_tasks,
        "volumes": mounts(spec),
        "secrets": [{"name": secret_name(spec, secret)} for secret in spec.secrets],
        "env": variables(spec, told),
        "forceCreate": True,
        "authorized": not (spec.public and is_main),
        "taskPolicy": _policy(wanted, kind),
        "checkpointEnabled": spec.snapshot != "off",
        "extra": "{}",
    }
    if own.pool:
        body["pool"] = {"name": own.pool, "selector": own.pool}
    return body


def _policy(wanted: _Wanted, kind: Kind) -> dict[str, Any]:
    """Give the limits of a call, cut as the gateway would cut them.

    Beam itself runs nothing twice: gpuhub's worker does, where it is asked for.
    """
    seconds = task_seconds(wanted.spec)
    if kind in ("endpoint", "asgi"):
        seconds = min(seconds, REQUEST_LIMIT_S)
        return {"timeout": str(seconds), "maxRetries": 0, "ttl": REQUEST_LIMIT_S}
    return {"timeout": str(seconds), "maxRetries": 0, "ttl": wanted.own.ttl}


def _compute(wanted: _Wanted) -> dict[str, Any]:
    """Give CPU, memory and GPUs; both GPU members are left out for CPU, where Beam reads any."""
    spec, defaults, selection = wanted.spec, wanted.defaults, wanted.selection
    cores = spec.cpu or defaults.cpu
    if not _CORES[0] <= cores <= _CORES[1]:
        raise SpecError(
            f"cpu: Beam gives {_CORES[0]:g} to {_CORES[1]:g} cores (got {cores:g})",
            next_step="ask for as many",
            provider=PROVIDER,
        )
    memory = spec.memory or (defaults.memory if selection is None else defaults.gpu_memory)
    body: dict[str, Any] = {"cpu": str(math.ceil(cores * 1000)), "memory": str(memory)}
    if selection is not None:
        body |= {"gpu": selection.native, "gpuCount": selection.count}
    return body
