"""The translation report: what became of each field of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import ignored_options
from gpuhub.plan import Row, Rows
from gpuhub.spec import Bucket, FunctionSpec
from gpuhub_baseten.autoscaling import scaling_rows
from gpuhub_baseten.capabilities import HELD
from gpuhub_baseten.compute import compute_rows
from gpuhub_baseten.config import secret_name

if TYPE_CHECKING:
    from gpuhub_baseten.options import Options

__all__ = ["LONGEST_REQUEST_S", "make_rows"]

LONGEST_REQUEST_S = 1200
"""Baseten's gateway ends a request then ("Limits", read 2026-11-24)."""
_SCHEMES = ("hf", "s3", "gs", "azure", "r2", "cw", "https")
_KEPT_BY_WORKER = "kept by gpuhub's worker, which stops the function and answers"


def make_rows(
    spec: FunctionSpec, config: Mapping[str, Any], deployment: Mapping[str, Any], own: Options
) -> tuple[Row, ...]:
    """Answer for every field.

    Args:
        spec: What was asked.
        config: The Truss's configuration.
        deployment: What is pushed beside it.
        own: Baseten's own options of the function.
    """
    rows = Rows(spec)
    is_web = spec.target.kind == "web"
    rows.exact("name", "model_name", spec.deployment_name)
    runs = "a docker_server" if is_web else "the model class of model/model.py"
    told = config["model_metadata"]["gpuhub"]
    rows.exact("target", "model_metadata.gpuhub.target", told["target"], f"run by {runs}")
    compute_rows(rows, spec, own)
    _image_rows(rows, spec, config)
    scaling_rows(rows, spec.scaling, is_web=is_web)
    _call_rows(rows, spec, config, own)
    rows.exact("env", "environment_variables", dict(spec.env), "readable in the workspace")
    _secret_row(rows, spec)
    _volume_row(rows, spec, config)
    _placement_rows(rows, spec, deployment)
    _option_row(rows, spec, own)
    return rows.done()


def _image_rows(rows: Rows, spec: FunctionSpec, config: Mapping[str, Any]) -> None:
    image = spec.image
    if image.reference is None:
        rows.unset("image.reference", "Truss's own image of this Python", "base_image.image")
        version = config["python_version"]
        rows.exact("image.python", "python_version", version, "the server's pins apply as well")
    else:
        why = "a Debian image with Python; Truss's server is installed into it"
        rows.exact("image.reference", "base_image.image", image.reference, why)
        if spec.is_set("image.python"):
            rows.unsupported("image.python", "the image brings its own Python")
        else:
            rows.unset("image.python", "the image brings its own Python")
    steps = {"pip": "requirements", "apt": "system_packages", "commands": "build_commands"}
    for field, native in steps.items():
        values = list(spec.value_of(f"image.{field}"))
        if values:
            rows.exact(
                f"image.{field}", native, values, "in Baseten's build", "the build is billed"
            )
        else:
            rows.unset(f"image.{field}", native=native)
    if image.registry_secret is None:
        rows.unset("image.registry_secret", "pulled without a login", "base_image.docker_auth")
    elif image.reference is None:
        rows.unsupported("image.registry_secret", "there is no image of yours to pull")
    else:
        auth = config["base_image"]["docker_auth"]
        why = "a secret of the workspace, as Truss's REGISTRY_SECRET has it"
        rows.exact("image.registry_secret", "base_image.docker_auth", auth, why)


def _call_rows(rows: Rows, spec: FunctionSpec, config: Mapping[str, Any], own: Options) -> None:
    _timeout_row(rows, spec, own)
    if spec.startup_timeout is None:
        rows.unset("startup_timeout", "Baseten's own threshold", "runtime.health_checks")
    else:
        value = config["runtime"]["health_checks"]["startup_threshold_seconds"]
        native = "runtime.health_checks.startup_threshold_seconds"
        rows.exact("startup_timeout", native, value, "in whole seconds")
    if spec.retries:
        rows.unsupported(
            "retries", "Baseten repeats no call that the worker answered, and it answers errors"
        )
    else:
        rows.unset("retries", "Baseten repeats no call that was answered")
    why = "gpuhub's own: whether a lost submit is sent again; never that of a spawned call"
    rows.emulated("idempotent", None, spec.idempotent, why)
    if spec.batching is None:
        rows.unset("batching", "each call runs by itself")
    else:
        rows.unsupported("batching", "Baseten hands out single requests")


def _timeout_row(rows: Rows, spec: FunctionSpec, own: Options) -> None:
    native = "model_metadata.gpuhub.timeout_s"
    longest = f"Baseten ends a request after {LONGEST_REQUEST_S} s"
    if spec.target.kind == "web":
        if spec.is_set("timeout"):
            rows.unsupported("timeout", f"of a web function is not kept; {longest}")
        else:
            rows.unset("timeout", longest)
    elif spec.timeout > LONGEST_REQUEST_S and own.webhook is None:
        rows.unsupported(
            "timeout",
            f"{longest}: longer calls need the option `webhook`, and to be spawned",
        )
    elif spec.timeout > LONGEST_REQUEST_S:
        why = f"{_KEPT_BY_WORKER}; only spawned calls may take so long: {longest}"
        rows.approximate("timeout", native, spec.timeout, why)
    else:
        rows.emulated("timeout", native, spec.timeout, f"{_KEPT_BY_WORKER}; a cold start is extra")


def _secret_row(rows: Rows, spec: FunctionSpec) -> None:
    names = {secret.env: secret_name(spec, secret) for secret in spec.secrets}
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    if local:
        why = f"{', '.join(local)}: stored as a secret of the workspace, whose members may use it"
        rows.emulated("secrets", "secrets", names, why)
    else:
        why = "made in the workspace's settings; the worker gives them as variables"
        rows.exact("secrets", "secrets", names, why)


def _volume_row(rows: Rows, spec: FunctionSpec, config: Mapping[str, Any]) -> None:
    buckets = [each for each in spec.volumes.values() if isinstance(each, Bucket)]
    schemes = {bucket.url.partition("://")[0] for bucket in buckets}
    if not spec.volumes:
        rows.unset("volumes", "nothing is mounted", "weights")
    elif len(buckets) < len(spec.volumes):
        rows.unsupported(
            "volumes",
            "Baseten has no volume that can be written; take a Bucket, or the option `bdn`",
        )
    elif schemes - set(_SCHEMES):
        wrong = ", ".join(sorted(schemes - set(_SCHEMES)))
        rows.unsupported("volumes", f"weights come from {', '.join(_SCHEMES)} (asked: {wrong})")
    elif any(not bucket.read_only for bucket in buckets):
        rows.unsupported("volumes", "weights are mounted read-only")
    elif any(bucket.endpoint_url for bucket in buckets):
        rows.unsupported("volumes", "weights have no endpoint_url")
    else:
        why = "copied to the replica's machine and mounted read-only before the function loads"
        rows.approximate("volumes", "weights", config["weights"], why)


def _placement_rows(rows: Rows, spec: FunctionSpec, deployment: Mapping[str, Any]) -> None:
    nothings = {
        "schedule": (
            spec.schedule is None,
            "it runs when called",
            "Baseten runs nothing by itself",
        ),
        "cloud": (spec.cloud is None, "Baseten chooses", "Baseten chooses the cloud"),
        "snapshot": (
            spec.snapshot == "off",
            "replicas start from the image",
            "Baseten has no snapshots of started replicas",
        ),
        "public": (
            not spec.public,
            "every request needs an API key",
            "every request needs an API key",
        ),
    }
    for field, (is_nothing, then, why) in nothings.items():
        if is_nothing:
            rows.unset(field, then)
        else:
            rows.unsupported(field, why)
    if not spec.regions:
        rows.unset("regions", "Baseten chooses", "region")
    elif len(spec.regions) > 1:
        rows.unsupported("regions", f"Baseten takes one region (asked: {', '.join(spec.regions)})")
    else:
        rows.exact("regions", "region", deployment["region"], "by Baseten's name of it")


def _option_row(rows: Rows, spec: FunctionSpec, own: Options) -> None:
    given = dict(spec.options.get("baseten", {}))
    others, ignored = ignored_options(spec, "baseten")
    notes = ["each is in the field of its name"] if given else []
    if others:
        notes.append(ignored)
    if own.webhook is None:
        notes.append(f"no webhook, so of a spawned call: {HELD}")
    if given or others:
        rows.emulated("options", None, None if given else others, "; ".join(notes))
    else:
        rows.unset("options", "; ".join(notes))
