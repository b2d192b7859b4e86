"""The translation report: what became of each field of a spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.options import option_row
from gpuhub.plan import Row, Rows
from gpuhub_replicate.capabilities import LOCAL_SECRETS
from gpuhub_replicate.limits import scaling_rows

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec
    from gpuhub_replicate.gpus import Selection

__all__ = ["make_rows"]

_HARDWARE = "comes with the hardware: Replicate lets nobody choose it"
_LISTED = "checked against Replicate's list when it is deployed"
_NO_BUILD = 'nothing is built when an image is pushed; mode = "cog" builds one, with Docker'
_ITS_OWN = "the version that is deployed brings its own"
_IN_THE_IMAGE = "in the image, readable by whoever may pull it; another value is another version"


def make_rows(
    spec: FunctionSpec, sent: Mapping[str, Any], selection: Selection, *, allows_secrets: bool
) -> tuple[Row, ...]:
    """Answer for every field.

    Args:
        spec: What was asked.
        sent: JSON of the steps that are planned, by name: ``create``, and ``push`` or ``cog``.
        selection: The hardware.
        allows_secrets: Whether values of local secrets may go into the image.
    """
    rows = Rows(spec)
    step = "push" if "push" in sent else "cog"
    image = sent.get(step)
    rows.exact("name", "name", spec.deployment_name)
    function = f"{spec.target.module}:{spec.target.qualname}"
    if image is None:
        version = sent["create"]["version"]
        rows.emulated("target", "version", version, f"{function} names its inputs; it is not sent")
    else:
        rows.exact("target", f"{step}.function", function, f"class {image['runner']} of run.py")
    _gpu_rows(rows, spec, selection)
    _image_rows(rows, spec, sent)
    env = f"{step}.env" if image is not None else ""
    scaling_rows(rows, spec.scaling, env)
    _call_rows(rows, spec, env)
    _env_rows(rows, spec, env, allows_secrets=allows_secrets)
    _lacking_rows(rows, spec)
    option_row(
        rows,
        spec,
        "replicate",
        reason="each is in the field of its name, or decides how the code is sent",
    )
    return rows.done()


def _gpu_rows(rows: Rows, spec: FunctionSpec, selection: Selection) -> None:
    if selection.notes:
        why = "; ".join([*selection.notes, _LISTED])
        rows.approximate("gpu", "hardware", selection.first, why)
    elif spec.gpu_choices:
        rows.exact("gpu", "hardware", selection.first, _LISTED)
    else:
        rows.exact("gpu", "hardware", selection.first, "4 cores and 8 GB")
    for field in ("cpu", "memory", "disk"):
        if spec.value_of(field) is None:
            rows.unset(field, _HARDWARE)
        else:
            rows.unsupported(field, _HARDWARE)


def _image_rows(rows: Rows, spec: FunctionSpec, sent: Mapping[str, Any]) -> None:
    if "push" in sent:
        _pushed_rows(rows, spec, sent["push"])
    elif "cog" in sent:
        _built_rows(rows, spec, sent["cog"])
    else:
        for name in ("reference", "python", "pip", "apt", "commands"):
            _if_asked(rows, spec, f"image.{name}", _ITS_OWN)
    _if_asked(
        rows,
        spec,
        "image.registry_secret",
        "Replicate pulls from its own registry only; to read a private base image here, log in"
        " with `docker login`",
    )


def _pushed_rows(rows: Rows, spec: FunctionSpec, push: Mapping[str, Any]) -> None:
    image, base = spec.image, push["base"]
    if image.reference is None:
        rows.unset("image.reference", f"{base}: Cog's base image", "push.base")
        rows.exact("image.python", "push.base", base)
    else:
        why = "layers are added to it, and the result is pushed to Replicate; it must have python"
        rows.emulated("image.reference", "push.base", base, why)
        why = "the image brings its own Python, which must be this one"
        rows.emulated("image.python", "push.python", image.python, why)
    if image.pip:
        why = "a layer of wheels for the image's Python, put together here and pushed"
        rows.emulated("image.pip", "push.packages", list(image.pip), why)
    else:
        rows.unset("image.pip", native="push.packages")
    _if_asked(rows, spec, "image.apt", _NO_BUILD)
    _if_asked(rows, spec, "image.commands", _NO_BUILD)


def _built_rows(rows: Rows, spec: FunctionSpec, built: Mapping[str, Any]) -> None:
    _if_asked(rows, spec, "image.reference", "Cog's CLI chooses the base image")
    build = built["config"]["build"]
    native = {
        "python": "python_version",
        "pip": "python_packages",
        "apt": "system_packages",
        "commands": "run",
    }
    for field, name in native.items():
        rows.exact(f"image.{field}", f"cog.yaml build.{name}", build[name])


def _call_rows(rows: Rows, spec: FunctionSpec, env: str) -> None:
    if not env:
        _if_asked(rows, spec, "timeout", f"{_ITS_OWN}; Replicate ends a run after 30 minutes")
    else:
        why = (
            "the worker ends a call that runs longer; Replicate itself has a limit for a call's"
            " budget (Cancel-After), which counts waiting, too, and ends a run after 30 minutes"
        )
        rows.emulated("timeout", f"{env}.GPUHUB_TIMEOUT", spec.timeout, why)
    _if_asked(rows, spec, "startup_timeout", "Replicate sets no limit that could be changed")
    _if_asked(rows, spec, "retries", "Replicate repeats no prediction")
    why = "gpuhub's own: whether a lost submit is sent again"
    rows.emulated("idempotent", None, spec.idempotent, why)
    _if_asked(rows, spec, "batching", "Replicate hands out single predictions")


def _env_rows(rows: Rows, spec: FunctionSpec, env: str, *, allows_secrets: bool) -> None:
    if not spec.env:
        rows.unset("env", "no variables beside Cog's", env or None)
    elif not env:
        rows.unsupported("env", _ITS_OWN)
    else:
        rows.emulated("env", env, dict(spec.env), _IN_THE_IMAGE)
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    stored = [secret.name for secret in spec.secrets if secret.source == "provider"]
    if not spec.secrets:
        rows.unset("secrets", "none", env or None)
    elif stored:
        rows.unsupported("secrets", f"{', '.join(stored)}: Replicate stores no secrets")
    elif not env:
        rows.unsupported("secrets", _ITS_OWN)
    elif not allows_secrets:
        rows.unsupported("secrets", f"{', '.join(local)}: {LOCAL_SECRETS}")
    else:
        value = {secret.env: "<local>" for secret in spec.secrets}
        rows.emulated("secrets", env, value, f"{', '.join(local)}: {_IN_THE_IMAGE}")


def _lacking_rows(rows: Rows, spec: FunctionSpec) -> None:
    """Answer for what Replicate has not at all."""
    reasons = {
        "volumes": "Replicate has no volumes",
        "schedule": "Replicate has no schedules",
        "regions": "Replicate chooses where instances run",
        "cloud": "Replicate chooses where instances run",
        "snapshot": "Replicate starts instances from their image",
        "min_cuda": "Replicate chooses the hosts; the base image brings its own CUDA",
        "public": "every request needs an API token",
    }
    for field, why in reasons.items():
        _if_asked(rows, spec, field, why)


def _if_asked(rows: Rows, spec: FunctionSpec, field: str, why: str) -> None:
    """Refuse a setting that was made; say of one that was not what holds instead."""
    value = spec.value_of(field)
    default = field in ("timeout", "image.python") and not spec.is_set(field)
    if default or not value or value == "off":
        rows.unset(field, why)
    else:
        rows.unsupported(field, why)
