"""The translation report: what became of each field of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import option_row
from gpuhub.plan import Row, Rows
from gpuhub.spec import Bucket, FunctionSpec, Volume
from gpuhub_runpod.capabilities import LOCAL_SECRETS
from gpuhub_runpod.compute import compute_rows
from gpuhub_runpod.container import secret_reference
from gpuhub_runpod.limits import scaling_rows

if TYPE_CHECKING:
    from gpuhub_runpod.gpus import Selection
    from gpuhub_runpod.options import Options
    from gpuhub_runpod.ship import Shipping

__all__ = ["make_rows"]

_WEB_TIMEOUT_S = 330
_BILLED = "billed at every cold start"
_AS_IT_IS = "the image runs as it is"
_AFTER_A_CRASH = "whether it hands a job out again whose worker died, it does not document"


def make_rows(
    spec: FunctionSpec,
    body: Mapping[str, Any],
    *,
    selection: Selection | None,
    own: Options,
    shipping: Shipping,
    allows_local_secrets: bool,
) -> tuple[Row, ...]:
    """Answer for every field.

    Args:
        spec: What was asked.
        body: What is sent.
        selection: The GPUs.
        own: RunPod's own options of the function.
        shipping: How the code travels.
        allows_local_secrets: Whether local secrets may be sent as variables.
    """
    rows = Rows(spec)
    rows.exact("name", "name", spec.deployment_name)
    is_web = body["type"] == "LOAD_BALANCER"
    rows.exact("target", "env.GPUHUB_TARGET", body["env"]["GPUHUB_TARGET"], f"type {body['type']}")
    compute_rows(rows, spec, selection, own)
    _image_rows(rows, spec, shipping)
    note = "" if shipping.as_it_is else _slots_note(body["env"], is_web=is_web)
    scaling_rows(rows, spec.scaling, is_web=is_web, slots_note=note)
    _call_rows(rows, spec, body, is_web=is_web)
    _env_rows(rows, spec, allows_local_secrets=allows_local_secrets)
    _volume_row(rows, spec, as_it_is=shipping.as_it_is)
    _placement_rows(rows, spec, body, is_web=is_web)
    option_row(
        rows, spec, "runpod", reason="each is in the field of its name, or told to the worker"
    )
    return rows.done()


def _slots_note(env: Mapping[str, str], *, is_web: bool) -> str:
    if is_web:
        return "further requests wait in the worker"
    if env["GPUHUB_PREFETCH"] == "1":
        return "held by the worker; it takes no job ahead, so RunPod's loop adds up to a second"
    return (
        "held by the worker; while jobs are shorter than a second it takes as many ahead as it "
        f"ends in a second, 4 at least and {env['GPUHUB_PREFETCH']} (prefetch) at most, as "
        "RunPod's loop waits a second whenever a worker is full"
    )


def _image_rows(rows: Rows, spec: FunctionSpec, shipping: Shipping) -> None:
    image = spec.image
    native = "push.base" if shipping.mode.mode == "registry" else "image"
    if image.reference is None:
        rows.unset("image.reference", f"{shipping.image}: {shipping.mode.reason}", "image")
        rows.exact("image.python", native, shipping.image)
    else:
        rows.exact("image.reference", native, image.reference, shipping.mode.reason)
        if spec.is_set("image.python"):
            rows.unsupported("image.python", "the image brings its own Python")
        else:
            rows.unset("image.python", "the image brings its own Python")
    if image.pip and image.reference is None and shipping.mode.mode == "registry":
        why = "a layer of wheels for the image's Python, put together here and pushed"
        rows.emulated("image.pip", "push.packages", list(image.pip), why)
    else:
        _step_row(rows, "image.pip", "GPUHUB_PIP", spec, as_it_is=shipping.as_it_is)
    steps = {"apt": "GPUHUB_APT", "commands": "GPUHUB_COMMANDS"}
    for field, variable in steps.items():
        _step_row(rows, f"image.{field}", variable, spec, as_it_is=shipping.as_it_is)
    if image.registry_secret is None:
        rows.unset("image.registry_secret", "pulled without a login", "registry")
    else:
        reason = "its id is looked up when it is deployed"
        rows.exact("image.registry_secret", "registry", image.registry_secret, reason)


def _step_row(rows: Rows, field: str, variable: str, spec: FunctionSpec, *, as_it_is: bool) -> None:
    values = list(spec.value_of(field))
    if not values:
        rows.unset(field, native=f"env.{variable}")
    elif as_it_is:
        rows.unsupported(field, _AS_IT_IS)
    else:
        what = "done by the worker when it starts, before it takes a job"
        rows.emulated(field, f"env.{variable}", values, what, _BILLED)


def _call_rows(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any], *, is_web: bool) -> None:
    if is_web and spec.timeout > _WEB_TIMEOUT_S:
        rows.unsupported("timeout", f"RunPod ends a web request after {_WEB_TIMEOUT_S} s")
    else:
        reason = "in ms; counts from when a worker takes the job"
        rows.exact("timeout", "timeout", body["timeout"], reason)
    if spec.startup_timeout is None:
        rows.unset("startup_timeout", "a worker may start for as long as it takes")
    else:
        rows.unsupported("startup_timeout", "RunPod sets no limit to a worker's start")
    if spec.retries:
        rows.unsupported("retries", f"RunPod repeats a failed job by hand only; {_AFTER_A_CRASH}")
    else:
        rows.unset("retries", f"RunPod repeats no failed job by itself; {_AFTER_A_CRASH}")
    why = "gpuhub's own: whether a lost submit is sent again"
    rows.emulated("idempotent", None, spec.idempotent, why)
    if spec.batching is None:
        rows.unset("batching", "each call runs by itself")
    else:
        rows.unsupported("batching", "RunPod hands out single jobs")


def _env_rows(rows: Rows, spec: FunctionSpec, *, allows_local_secrets: bool) -> None:
    rows.exact("env", "env", dict(spec.env), "readable in the console and the API")
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    value = {
        secret.env: secret_reference(secret.name)
        for secret in spec.secrets
        if secret.source == "provider"
    }
    if local and not allows_local_secrets:
        rows.unsupported("secrets", f"{', '.join(local)}: {LOCAL_SECRETS}")
    elif local:
        value |= {each.env: "<local>" for each in spec.secrets if each.source == "local"}
        why = f"{', '.join(local)}: the value is a variable, readable in the console and the API"
        rows.emulated("secrets", "env", value, why)
    else:
        rows.exact("secrets", "env", value, "made in RunPod's console; the API cannot")


def _volume_row(rows: Rows, spec: FunctionSpec, *, as_it_is: bool) -> None:
    volumes = [each for each in spec.volumes.values() if isinstance(each, Volume)]
    names = list(dict.fromkeys(volume.name for volume in volumes))
    if not spec.volumes:
        rows.unset("volumes", "nothing is mounted", "networkVolumes")
    elif any(isinstance(each, Bucket) for each in spec.volumes.values()):
        rows.unsupported("volumes", "RunPod mounts network volumes, no buckets")
    elif len(names) > 1:
        rows.unsupported("volumes", f"RunPod mounts one network volume (asked: {', '.join(names)})")
    elif as_it_is and list(spec.volumes) != ["/runpod-volume"]:
        rows.unsupported("volumes", f"{_AS_IT_IS}: the volume is at /runpod-volume only")
    else:
        value = {"volumes": names, "paths": list(spec.volumes)}
        reasons = ["RunPod mounts it at /runpod-volume, the worker makes the paths links to it"]
        reasons.append("workers run where the volume is")
        if any(volume.read_only for volume in volumes):
            reasons.append("read_only is not enforced")
        if any(volume.size_gb for volume in volumes):
            reasons.append("size_gb is not used: the volume must be there")
        rows.emulated("volumes", "networkVolumes", value, "; ".join(reasons))


def _placement_rows(
    rows: Rows, spec: FunctionSpec, body: Mapping[str, Any], *, is_web: bool
) -> None:
    if spec.schedule is None:
        rows.unset("schedule", "it runs when called")
    else:
        rows.unsupported("schedule", "RunPod's REST API has no schedules")
    if body["dataCenterIds"] == list(spec.regions):
        rows.exact("regions", "dataCenterIds", body["dataCenterIds"])
    else:
        why = "the data centers known to begin so; RunPod has names of data centers only"
        rows.approximate("regions", "dataCenterIds", body["dataCenterIds"], why)
    if spec.cloud is None:
        rows.unset("cloud", "RunPod chooses")
    else:
        rows.unsupported("cloud", "serverless endpoints have no choice of cloud")
    flashboot = body["flashboot"]
    if spec.snapshot == "off" and flashboot == "OFF":
        rows.exact("snapshot", "flashboot", flashboot)
    else:
        why = "FlashBoot keeps the state of stopped workers for a while; it is no snapshot of yours"
        rows.approximate("snapshot", "flashboot", flashboot, why)
    if spec.public:
        rows.unsupported("public", "every request needs an API key of the account")
    else:
        rows.unset("public", "every request needs an API key" if is_web else "not a web function")
