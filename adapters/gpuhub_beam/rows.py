"""The translation report: what became of each field of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import option_row
from gpuhub.plan import Row, Rows
from gpuhub.spec import Bucket, FunctionSpec, Volume
from gpuhub_beam.container import secret_name
from gpuhub_beam.gpus import GENERALLY_AVAILABLE
from gpuhub_beam.image import image_rows
from gpuhub_beam.kinds import REQUEST_LIMIT_S, task_seconds
from gpuhub_beam.limits import scaling_rows
from gpuhub_beam.schedule import when

if TYPE_CHECKING:
    from gpuhub_beam.defaults import Defaults
    from gpuhub_beam.gpus import Selection
    from gpuhub_beam.kinds import Kinds

__all__ = ["make_rows"]

_HOSTED = f"hosted Beam offers {', '.join(GENERALLY_AVAILABLE)} to everybody, others on request"
_ABSENT = {
    "disk": "Beam has no size of ephemeral disk",
    "startup_timeout": "Beam gives a container 15 minutes to start",
    "batching": "Beam hands out single calls",
    "cloud": "Beam chooses; a private pool is yours: options.beam.pool",
    "min_cuda": "Beam has no such choice",
}


def make_rows(
    spec: FunctionSpec,
    body: Mapping[str, Any],
    *,
    kinds: Kinds,
    selection: Selection | None,
    defaults: Defaults,
) -> tuple[Row, ...]:
    """Answer for every field.

    Args:
        spec: What was asked.
        body: The main part's stub.
        kinds: The parts.
        selection: The GPUs.
        defaults: The settings.
    """
    rows = Rows(spec)
    rows.exact("name", "name", spec.deployment_name)
    target = f"{spec.target.module}:{spec.target.qualname}"
    rows.exact(
        "target", "env.GPUHUB_TARGET", target, f"{' and '.join(kinds.parts)}: {kinds.reason}"
    )
    _compute_rows(rows, spec, body, selection)
    image_rows(rows, spec)
    scaling_rows(rows, spec.scaling, body, kinds, defaults.max_replicas)
    _call_rows(rows, spec, body, kinds)
    rows.exact("env", "env", dict(spec.env), "readable in the dashboard and the API")
    _secret_row(rows, spec)
    _volume_row(rows, spec)
    _placement_rows(rows, spec, body, kinds)
    _schedule_row(rows, spec)
    for field, why in _ABSENT.items():
        if spec.value_of(field) is None:
            rows.unset(field, why)
        else:
            rows.unsupported(field, why)
    option_row(rows, spec, "beam")
    return rows.done()


def _compute_rows(
    rows: Rows,
    spec: FunctionSpec,
    body: Mapping[str, Any],
    selection: Selection | None,
) -> None:
    if selection is None:
        rows.unset("gpu", "runs on CPU", "gpu")
    else:
        value = {"gpu": selection.native, "gpuCount": selection.count}
        notes = list(selection.notes)
        if selection.count > 1:
            notes.append("more than one GPU only where the workspace has it enabled")
        if set(selection.cards) - set(GENERALLY_AVAILABLE):
            notes.append(_HOSTED)
        add = rows.approximate if selection.notes else rows.exact
        add("gpu", "gpu", value, "; ".join(notes))
    cores, memory = int(body["cpu"]), int(body["memory"])
    own = "gpuhub's own default: Beam wants a number"
    rows.exact("cpu", "cpu", cores, "in millicores" + ("" if spec.cpu else f"; {own}"))
    if spec.memory is None:
        setting = "memory" if selection is None else "gpu_memory"
        rows.exact("memory", "memory", memory, f"{own}; see {setting} in [providers.beam]")
    else:
        rows.exact("memory", "memory", memory)


def _call_rows(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any], kinds: Kinds) -> None:
    seconds = task_seconds(spec)
    if kinds.main != "taskqueue" and seconds > REQUEST_LIMIT_S:
        why = f"Beam ends a request after {REQUEST_LIMIT_S} s, all runs included"
        rows.unsupported("timeout", why)
    else:
        native, value = "taskPolicy.timeout", int(body["taskPolicy"]["timeout"])
        if spec.retries:
            why = f"all {1 + spec.retries} runs together; each ends after {spec.timeout:g} s"
            rows.approximate("timeout", native, value, why)
        elif value != spec.timeout:
            rows.approximate("timeout", native, value, "Beam takes whole seconds")
        elif spec.target.kind == "web":
            rows.exact("timeout", native, value, "of requests; websockets have no limit")
        else:
            rows.exact("timeout", native, value)
    how = "the worker runs a call that raised again; a container that dies is not replaced"
    rows.emulated("retries", "env.GPUHUB_RETRIES", spec.retries, how)
    why = "gpuhub's own: whether a lost submit is sent again"
    rows.emulated("idempotent", None, spec.idempotent, why)


def _secret_row(rows: Rows, spec: FunctionSpec) -> None:
    value = {secret.env: secret_name(spec, secret) for secret in spec.secrets}
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    renamed = any(env != name for env, name in value.items())
    if local:
        how = f"{', '.join(local)}: stored as a workspace secret when it is deployed"
        rows.emulated("secrets", "secrets", value, how)
    elif renamed:
        how = "a workspace secret is a variable of its own name; the worker copies it"
        rows.emulated("secrets", "secrets", value, how)
    else:
        rows.exact("secrets", "secrets", value, "must exist: Beam refuses an unknown name")


def _volume_row(rows: Rows, spec: FunctionSpec) -> None:
    if not spec.volumes:
        rows.unset("volumes", "nothing is mounted", "volumes")
        return
    value, notes = {}, []
    for path, mount in spec.volumes.items():
        if isinstance(mount, Volume):
            value[path] = mount.name
            if mount.read_only:
                notes.append(f"{path}: read_only is not enforced")
            if mount.size_gb:
                notes.append(f"{path}: a volume has no size at Beam")
        else:
            value[path] = mount.url.partition("://")[2].partition("/")[0]
            notes.append(_bucket_note(path, mount))
    if notes:
        rows.emulated("volumes", "volumes", value, "; ".join(notes))
    else:
        rows.exact("volumes", "volumes", value, "made when it is deployed, if it is not there")


def _bucket_note(path: str, bucket: Bucket) -> str:
    keys = bucket.secret or "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return f"{path}: opened with the workspace secrets {keys}, a prefix by a link"


def _placement_rows(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any], kinds: Kinds) -> None:
    if spec.regions:
        rows.unsupported("regions", "a deployment has no region; only a private pool has")
    else:
        rows.unset("regions", "Beam chooses")
    enabled = body["checkpointEnabled"]
    if spec.snapshot == "off":
        rows.exact("snapshot", "checkpointEnabled", enabled)
    elif len(spec.gpu_choices) > 1 or any(choice.count > 1 for choice in spec.gpu_choices):
        rows.unsupported("snapshot", "Beam checkpoints one GPU of one kind")
    else:
        why = "one checkpoint after setup(), of CPU and GPU memory alike"
        rows.approximate("snapshot", "checkpointEnabled", enabled, why)
    if spec.public and kinds.main == "taskqueue":
        rows.unsupported("public", "the task queue of a function is never public")
    else:
        rows.exact("public", "authorized", body["authorized"], "false: no token is needed")


def _schedule_row(rows: Rows, spec: FunctionSpec) -> None:
    schedule = spec.schedule
    if schedule is None:
        rows.unset("schedule", "it runs when called")
    elif spec.target.kind == "web":
        rows.unsupported("schedule", "a web application does not run by itself")
    elif schedule.cron is not None:
        rows.exact("schedule", "when", when(schedule), "in UTC; over gRPC, to grpc_url")
    else:
        why = "at whole multiples of it in UTC, not from the deploy on; over gRPC, to grpc_url"
        rows.approximate("schedule", "when", when(schedule), why)
