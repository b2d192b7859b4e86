"""Pure translation of a spec: the plan with its requests.

The requests are what the SDK's RPCs carry, in the words of Modal's protobuf (``modal_proto`` of
1.6.4), as JSON: a deploy builds the SDK's objects from them, and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError, UnsupportedSetting
from gpuhub.plan import Plan, Request, Retry, ShipMode
from gpuhub_modal.container import (
    buckets,
    check_user_env,
    named_secrets,
    volume_mounts,
    volume_names,
)
from gpuhub_modal.gpus import select
from gpuhub_modal.image import image_steps
from gpuhub_modal.limits import LONGEST_S, autoscaler_settings, concurrency_fields
from gpuhub_modal.options import read_options
from gpuhub_modal.prices import estimate
from gpuhub_modal.rows import make_rows

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub_modal.gpus import Selection
    from gpuhub_modal.options import Options

__all__ = ["ENTRY", "PROVIDER", "REMOTE_FOLDER", "make_plan"]

PROVIDER = "modal"
ENTRY = "gpuhub_modal.entry"
"""Module that the container imports."""
REMOTE_FOLDER = "/root/gpuhub_modal"
"""Where its folder is mounted: ``/root`` is on the path of Modal's containers."""

_CLOUDS = ("aws", "gcp", "oci", "auto")
_BATCH, _BATCH_WAIT_MS = 1000, 600_000
_DISK_MIB = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spec with what was made of it on the way."""

    spec: FunctionSpec
    own: Options
    selection: Selection | None


def make_plan(spec: FunctionSpec, bundle: Bundle) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: It cannot run on Modal; see its subclasses.
    """
    own = read_options(spec.options.get(PROVIDER, {}))
    check_user_env((*spec.env, *(secret.env for secret in spec.secrets)))
    _check(spec)
    wanted = _Wanted(spec, own, select(spec.gpu_choices) if spec.gpu_choices else None)
    function = _function(wanted)
    why = "files that are mounted into the container; Modal takes those it does not have yet"
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=make_rows(spec, function, own=own, selection=wanted.selection),
        requests=_requests(wanted, function, bundle),
        ship=ShipMode("mount", why, bundle.size),
        cost=estimate(wanted.selection, spec.scaling.min_workers),
    )


def _check(spec: FunctionSpec) -> None:
    """Check what only Modal's server would, or the SDK without naming the field."""
    if spec.startup_timeout is not None and spec.startup_timeout > LONGEST_S:
        raise _beyond("startup_timeout", spec.startup_timeout, f"up to {LONGEST_S} s")
    if spec.cloud is not None and spec.cloud not in _CLOUDS:
        raise _beyond("cloud", spec.cloud, f"one of {', '.join(_CLOUDS)}")
    if spec.disk is not None and spec.disk * 1024 > _DISK_MIB:
        raise _beyond("disk", f"{spec.disk} GiB", f"up to {_DISK_MIB // 1024} GiB")
    batching = spec.batching
    if batching is None:
        return
    if batching.max_size > _BATCH:
        raise _beyond("batching.max_size", batching.max_size, f"up to {_BATCH}")
    if batching.wait * 1000 > _BATCH_WAIT_MS:
        raise _beyond("batching.wait", f"{batching.wait:g} s", f"up to {_BATCH_WAIT_MS // 1000} s")
    if spec.schedule is not None:
        raise UnsupportedSetting(
            "schedule: Modal gives a batched function its arguments, and a schedule has none",
            fields=("schedule",),
            provider=PROVIDER,
            next_step="schedule another function that calls this one",
        )


def _beyond(field: str, value: Any, rule: str) -> SpecError:
    return SpecError(
        f"{field}: Modal takes {rule} (got {value})",
        next_step=f"correct {field} in the decorator",
        provider=PROVIDER,
    )


def _requests(wanted: _Wanted, function: dict[str, Any], bundle: Bundle) -> tuple[Request, ...]:
    """What a deploy sends that Modal knows nothing of yet, in order."""
    spec, name = wanted.spec, wanted.spec.deployment_name
    steps = [
        _step("app", "AppCreate", {"description": name, "tags": _tags(spec)}),
        _step("image", "ImageGetOrCreate", {"steps": image_steps(spec)}),
        _step("mount", "MountGetOrCreate", _mount(spec, bundle)),
    ]
    if spec.env:
        steps.append(_step("secret-env", "SecretGetOrCreate", {"env_dict": dict(spec.env)}))
    if local := [secret for secret in spec.secrets if secret.source == "local"]:
        values = {secret.env: f"{{{{secret:{secret.name}}}}}" for secret in local}
        steps.append(_step("secret-local", "SecretGetOrCreate", {"env_dict": values}))
    for number, (secret_name, keys) in enumerate(named_secrets(spec).items()):
        body = {"deployment_name": secret_name, "required_keys": keys}
        steps.append(_step(f"secret-{number}", "SecretGetOrCreate", body))
    for number, volume in enumerate(volume_names(spec)):
        body = {"deployment_name": volume, "object_creation_type": "CREATE_IF_MISSING"}
        steps.append(_step(f"volume-{number}", "VolumeGetOrCreate", body))
    publish = {
        "name": name,
        "deployment_tag": "g.{{gpuhub.fingerprint}}",
        "strategy": wanted.own.strategy,
    }
    steps.append(_step("function", "FunctionCreate", function))
    steps.append(_step("publish", "AppPublish", publish))
    return tuple(steps)


def _step(step: str, path: str, body: dict[str, Any]) -> Request:
    return Request("rpc", path, step=step, json=body, retry=Retry.NEVER)


def _tags(spec: FunctionSpec) -> dict[str, str]:
    """Tags of the app, from which any machine learns what is deployed."""
    kind = spec.target.kind
    return {
        "gpuhub": "1",
        "gpuhub-fingerprint": "{{gpuhub.fingerprint}}",
        "gpuhub-version": "{{gpuhub.version}}",
        "gpuhub-kind": kind if kind in ("generator", "web") else "function",
        "gpuhub-retries": str(spec.retries),
        "gpuhub-concurrency": str(spec.scaling.concurrency),
    }


def _mount(spec: FunctionSpec, bundle: Bundle) -> dict[str, Any]:
    """What is mounted: the entry module, the bundle, and what the entry is told."""
    return {
        "remote_path": REMOTE_FOLDER,
        "bundle": {"digest": bundle.digest, "files": len(bundle.files), "size": bundle.size},
        "deployment": {"prepare": _prepares_early(spec), "retries": spec.retries},
    }


def _prepares_early(spec: FunctionSpec) -> bool:
    """Whether ``setup()`` runs before a snapshot is taken: without GPU memory it must not."""
    return not (spec.snapshot == "cpu" and spec.gpu_choices)


def _function(wanted: _Wanted) -> dict[str, Any]:
    """Give ``FunctionCreate.function``, without what is at its default in Modal's protobuf."""
    spec, own = wanted.spec, wanted.own
    is_generator = spec.target.kind == "generator"
    body: dict[str, Any] = {
        "module_name": ENTRY,
        "function_name": spec.name,
        "implementation_name": _implementation(spec),
        "definition_type": "DEFINITION_TYPE_FILE",
        "function_type": "FUNCTION_TYPE_GENERATOR" if is_generator else "FUNCTION_TYPE_FUNCTION",
        "resources": _resources(wanted),
        "autoscaler_settings": autoscaler_settings(spec.scaling),
        **concurrency_fields(spec.scaling),
        "timeout_secs": max(1, math.ceil(spec.timeout)),
        "checkpointing_enabled": spec.snapshot != "off",
        "single_use_containers": own.single_use_containers,
        "block_network": own.block_network,
    }
    if spec.startup_timeout is not None:
        body["startup_timeout_secs"] = max(1, math.ceil(spec.startup_timeout))
    if spec.target.kind not in ("generator", "web"):
        body["retry_policy"] = {"retries": spec.retries, "initial_delay_ms": 1000}
    body |= _placement(spec, own) | _triggers(spec, own)
    if spec.snapshot == "gpu":
        body["experimental_options"] = {"enable_gpu_snapshot": "True"}
    if mounts := volume_mounts(spec):
        body["volume_mounts"] = mounts
    if found := buckets(spec):
        body["cloud_bucket_mounts"] = found
    return body


def _implementation(spec: FunctionSpec) -> str:
    """Name of the function of :mod:`gpuhub_modal.entry` that the container calls."""
    kind = spec.target.kind
    if kind == "web":
        return "web"
    name = "stream" if kind == "generator" else "batch" if spec.batching else "call"
    return f"{name}_async" if spec.target.is_async else name


def _resources(wanted: _Wanted) -> dict[str, Any]:
    spec, own, selection = wanted.spec, wanted.own, wanted.selection
    body: dict[str, Any] = {}
    if selection is not None:
        body["gpu_config"] = list(selection.native)
    if spec.cpu is not None:
        body["milli_cpu"] = int(1000 * spec.cpu)
    if own.cpu_limit is not None:
        body["milli_cpu_max"] = int(1000 * own.cpu_limit)
    if spec.memory is not None:
        body["memory_mb"] = spec.memory
    if own.memory_limit is not None:
        body["memory_mb_max"] = own.memory_limit
    if spec.disk is not None:
        body["ephemeral_disk_mb"] = spec.disk * 1024
    _check_limits(spec, own)
    return body


def _check_limits(spec: FunctionSpec, own: Options) -> None:
    for field, asked, limit in (
        ("cpu", spec.cpu, own.cpu_limit),
        ("memory", spec.memory, own.memory_limit),
    ):
        if limit is not None and (asked is None or asked > limit):
            raise SpecError(
                f"options.modal.{field}_limit: {limit:g} needs a {field} of at most that"
                f" (got {asked})",
                next_step=f"set {field} in the decorator, or leave the limit out",
                provider=PROVIDER,
            )


def _placement(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if spec.regions or own.nonpreemptible:
        placement = {"regions": list(spec.regions), "nonpreemptible": own.nonpreemptible}
        body["scheduler_placement"] = placement
    if spec.cloud is not None:
        body["cloud_provider_str"] = spec.cloud
    return body


def _triggers(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    """What starts a run beside a call: requests, a schedule, a full batch."""
    body: dict[str, Any] = {}
    if spec.target.kind == "web":
        body["webhook_config"] = {
            "type": "WEBHOOK_TYPE_ASGI_APP",
            "requires_proxy_auth": not spec.public,
            "requested_suffix": own.label,
            "custom_domains": list(own.custom_domains),
        }
    if spec.schedule is not None and spec.target.kind != "web":
        every, cron = spec.schedule.every, spec.schedule.cron
        body["schedule"] = (
            {"period": {"seconds": every}}
            if every is not None
            else {"cron": {"cron_string": cron, "timezone": "UTC"}}
        )
    if spec.batching is not None and spec.target.kind in ("function", "class"):
        body["batch_max_size"] = spec.batching.max_size
        body["batch_linger_ms"] = max(1, math.ceil(spec.batching.wait * 1000))
    return body
