"""The translation report: what became of each field of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import option_row
from gpuhub.plan import Row, Rows
from gpuhub.spec import Bucket, FunctionSpec, Volume
from gpuhub_modal.image import image_rows
from gpuhub_modal.limits import scaling_rows

if TYPE_CHECKING:
    from gpuhub_modal.gpus import Selection
    from gpuhub_modal.options import Options

__all__ = ["make_rows"]

_PLAIN = ("function", "class")


def make_rows(
    spec: FunctionSpec,
    body: Mapping[str, Any],
    *,
    own: Options,
    selection: Selection | None,
) -> tuple[Row, ...]:
    """Answer for every field.

    Args:
        spec: What was asked.
        body: ``FunctionCreate.function``.
        own: Its options for Modal.
        selection: The GPUs.
    """
    rows = Rows(spec)
    rows.exact("name", "AppPublish.name", spec.deployment_name, "an app with this function only")
    how = f"runs {spec.target.module}:{spec.target.qualname} in the container"
    rows.exact("target", "implementation_name", body["implementation_name"], how)
    _compute_rows(rows, spec, body["resources"], selection)
    image_rows(rows, spec)
    scaling_rows(rows, spec.scaling)
    _time_rows(rows, spec, body)
    _call_rows(rows, spec, body)
    rows.exact("env", "env_dict", dict(spec.env), "a secret without a name: not readable")
    _secret_row(rows, spec)
    _volume_row(rows, spec)
    _placement_rows(rows, spec)
    _snapshot_row(rows, spec, body)
    _web_row(rows, spec, body)
    option_row(rows, spec, "modal", own=own.model_dump(exclude_unset=True))
    return rows.done()


def _compute_rows(
    rows: Rows, spec: FunctionSpec, resources: Mapping[str, Any], selection: Selection | None
) -> None:
    if selection is None:
        rows.unset("gpu", "runs on CPU", "gpu_config")
    elif selection.notes:
        rows.approximate("gpu", "gpu_config", list(selection.native), "; ".join(selection.notes))
    else:
        how = "pinned: Modal may give an H200 for a bare H100" if "H100" in selection.cards else ""
        rows.exact("gpu", "gpu_config", list(selection.native), how)
    for field, native, default in (
        ("cpu", "milli_cpu", "1/8 core is guaranteed, more is used where it is free"),
        ("memory", "memory_mb", "128 MiB are guaranteed, more is used where it is free"),
        ("disk", "ephemeral_disk_mb", "512 GiB"),
    ):
        if native not in resources:
            rows.unset(field, default, native)
            continue
        cost = "more than 20 times the memory raises the memory billed" if field == "disk" else ""
        guaranteed = "guaranteed; a limit is in options.modal" if field != "disk" else ""
        rows.exact(field, native, resources[native], guaranteed, cost)
    if spec.min_cuda is None:
        rows.unset("min_cuda", "all of Modal's hosts have the same, current driver")
    else:
        rows.unsupported(
            "min_cuda", "all of Modal's hosts have one driver, which Modal keeps current"
        )


def _time_rows(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any]) -> None:
    for field, native in (
        ("timeout", "timeout_secs"),
        ("startup_timeout", "startup_timeout_secs"),
    ):
        wanted = spec.value_of(field)
        if wanted is None:
            rows.unset(field, "as long as timeout", native)
        elif body[native] != wanted:
            rows.approximate(field, native, body[native], "Modal takes whole seconds, 1 and more")
        else:
            why = "of each run" if field == "timeout" else ""
            rows.exact(field, native, body[native], why)


def _call_rows(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any]) -> None:
    kind = spec.target.kind
    if kind in _PLAIN:
        how = "after a second, on any container; also when one dies or a run is too long"
        rows.exact("retries", "retry_policy.retries", spec.retries, how)
    elif spec.retries:
        rows.unsupported("retries", f"Modal retries no {kind} function")
    else:
        rows.unset("retries", f"Modal retries no {kind} function")
    why = "gpuhub's own: whether a lost submit is sent again"
    rows.emulated("idempotent", None, spec.idempotent, why)
    if spec.batching is None:
        rows.unset("batching", "calls run one by one", "batch_max_size")
    elif kind not in _PLAIN:
        rows.unsupported("batching", f"Modal batches no {kind} function")
    else:
        value = [body["batch_max_size"], body["batch_linger_ms"]]
        rows.exact("batching", "batch_max_size, batch_linger_ms", value)
    if spec.schedule is None:
        rows.unset("schedule", "runs when it is called", "schedule")
    elif kind == "web":
        rows.unsupported("schedule", "a web function is not run by a schedule")
    else:
        rows.exact("schedule", "schedule", body["schedule"], "runs without arguments")


def _secret_row(rows: Rows, spec: FunctionSpec) -> None:
    if not spec.secrets:
        rows.unset("secrets", "none", "secret_ids")
        return
    value = {secret.env: secret.name for secret in spec.secrets}
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    reasons = []
    if stored := [secret for secret in spec.secrets if secret.source == "provider"]:
        names = ", ".join(f"{each.name} with {each.env}" for each in stored)
        reasons.append(f"must exist: {names}; its other variables are set too")
    if local:
        reasons.append(f"{', '.join(local)}: sent as a secret without a name, for this app")
    rows.exact("secrets", "secret_ids", value, "; ".join(reasons))


def _volume_row(rows: Rows, spec: FunctionSpec) -> None:
    if not spec.volumes:
        rows.unset("volumes", "nothing is mounted", "volume_mounts")
        return
    value, notes = {}, ["made when it is deployed, if it is not there"]
    for path, mount in spec.volumes.items():
        if isinstance(mount, Volume):
            value[path] = mount.name
            if mount.size_gb:
                notes.append(f"{path}: a volume has no size at Modal")
        else:
            value[path] = mount.url.partition("://")[2].partition("/")[0]
            notes.append(_bucket_note(path, mount))
    sized = any(isinstance(each, Volume) and each.size_gb for each in spec.volumes.values())
    if sized:
        rows.approximate("volumes", "volume_mounts", value, "; ".join(notes))
    else:
        rows.exact("volumes", "volume_mounts", value, "; ".join(notes))


def _bucket_note(path: str, bucket: Bucket) -> str:
    keys = f"opened with the secret {bucket.secret}" if bucket.secret else "opened without keys"
    return f"{path}: a bucket, {keys}"


def _placement_rows(rows: Rows, spec: FunctionSpec) -> None:
    if spec.regions:
        why = "Modal's own names, broad or narrow; checked by Modal"
        cost = "a region multiplies the price, 1.5 to 1.75 times"
        rows.exact("regions", "scheduler_placement.regions", list(spec.regions), why, cost)
    else:
        rows.unset("regions", "anywhere", "scheduler_placement.regions")
    if spec.cloud is None:
        rows.unset("cloud", "any", "cloud_provider_str")
    else:
        rows.exact("cloud", "cloud_provider_str", spec.cloud)


def _snapshot_row(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any]) -> None:
    native, value = "checkpointing_enabled", body["checkpointing_enabled"]
    if spec.snapshot == "gpu":
        option = body["experimental_options"]["enable_gpu_snapshot"]
        rows.exact("snapshot", f"{native}, enable_gpu_snapshot", [value, option], "alpha at Modal")
    elif spec.snapshot == "cpu" and spec.gpu_choices:
        why = "after the imports; setup() runs in each container, where the GPU is there"
        rows.approximate("snapshot", native, value, why)
    elif spec.snapshot == "cpu":
        rows.exact("snapshot", native, value, "after the imports and setup()")
    else:
        rows.exact("snapshot", native, value)


def _web_row(rows: Rows, spec: FunctionSpec, body: Mapping[str, Any]) -> None:
    if spec.target.kind == "web":
        value = body["webhook_config"]["requires_proxy_auth"]
        rows.exact(
            "public", "webhook_config.requires_proxy_auth", value, "true: a proxy token is needed"
        )
    elif spec.public:
        rows.unsupported("public", "a function that is no web function has no address at Modal")
    else:
        rows.unset("public", "called with a token of the workspace")
