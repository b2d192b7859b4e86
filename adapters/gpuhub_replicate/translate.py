"""Pure translation of a spec: the plan with its requests.

Bodies are those of "Create a model" and "Create a deployment" of Replicate's HTTP reference, read
2026-11-20. Between them an image is pushed, whose contents ``image`` describes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub.plan import Plan, Request, Retry, ShipMode
from gpuhub_replicate.cog_cli import cog_config
from gpuhub_replicate.gpus import Selection, select
from gpuhub_replicate.image import COG, Contents, check_python, check_user_env
from gpuhub_replicate.limits import bounds_warnings, instances
from gpuhub_replicate.options import Options, read_options
from gpuhub_replicate.prices import estimate
from gpuhub_replicate.rows import make_rows

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub_replicate.defaults import Defaults

__all__ = ["PROVIDER", "contents_of", "make_plan"]

PROVIDER = "replicate"
_OWNER = "{{account.username}}"
_ENTRYPOINT = (
    "image.reference: {} must have python ({}) on its path; what its ENTRYPOINT starts is given"
    " the command of Cog's server"
)
_BAKED = (
    "secrets: {} will be in the image, readable by everybody who may pull it, also after it was"
    " changed: every version keeps its own"
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spec with all that was made of it on the way."""

    spec: FunctionSpec
    bundle: Bundle
    own: Options
    defaults: Defaults
    selection: Selection

    @property
    def owner(self) -> str:
        return self.defaults.owner or _OWNER

    @property
    def model(self) -> str:
        """``owner/name`` of the model that gets the version."""
        if self.own.version:
            return self.own.version.partition(":")[0]
        return f"{self.owner}/{self.own.model or self.spec.deployment_name}"

    @property
    def way(self) -> str:
        return "version" if self.own.version else self.own.mode or self.defaults.mode

    @property
    def allows_secrets(self) -> bool:
        own = self.own.secrets_in_image
        return self.defaults.secrets_in_image if own is None else own

    @property
    def base(self) -> str:
        """The base image: of the function, or a stock one."""
        image = self.spec.image
        if image.reference is not None:
            return image.reference
        has_gpu = self.selection.first != "cpu"
        template = self.defaults.gpu_base_image if has_gpu else self.defaults.base_image
        return template.replace("{python}", image.python)


def contents_of(spec: FunctionSpec, bundle: Bundle, defaults: Defaults) -> Contents:
    """Give what is in the image of a function."""
    return Contents(spec, bundle, has_cog_layer=defaults.cog_runtime == "wheels")


def make_plan(spec: FunctionSpec, bundle: Bundle, defaults: Defaults) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: It cannot run on Replicate; see its subclasses.
    """
    own = read_options(spec.options.get(PROVIDER, {}))
    selection = select(spec.gpu_choices, own.hardware)
    wanted = _Wanted(spec, bundle, own, defaults, selection)
    check_user_env((*spec.env, *(secret.env for secret in spec.secrets)))
    if wanted.way != "version":
        check_python(spec)
    requests = _requests(wanted)
    sent = {request.step: request.json for request in requests if request.json is not None}
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=make_rows(spec, sent, selection, allows_secrets=wanted.allows_secrets),
        requests=requests,
        ship=_ship(wanted),
        cost=estimate(selection.first, spec.scaling.min_workers),
        warnings=_warnings(wanted),
    )


def _requests(wanted: _Wanted) -> tuple[Request, ...]:
    """What a first deploy sends; the next one sends what differs, to ``/deployments/{o}/{n}``."""
    steps = []
    if wanted.defaults.owner is None:
        steps.append(Request("GET", "/account", step="account", retry=Retry.SAFE))
    steps.append(Request("GET", "/hardware", step="hardware", retry=Retry.SAFE))
    if wanted.way != "version":
        steps.append(Request("POST", "/models", step="model", json=_model(wanted), accept=(201,)))
        steps.append(_image_step(wanted))
    create = Request("POST", "/deployments", step="create", json=_deployment(wanted))
    return (*steps, create)


def _model(wanted: _Wanted) -> dict[str, Any]:
    owner, _, name = wanted.model.partition("/")
    return {
        "owner": owner,
        "name": name,
        "visibility": "private",
        "hardware": wanted.selection.first,
        "description": f"{wanted.spec.deployment_name}, deployed with gpuhub",
    }


def _deployment(wanted: _Wanted) -> dict[str, Any]:
    given = wanted.own.version
    return {
        "name": wanted.spec.deployment_name,
        "model": wanted.model,
        "version": given.partition(":")[2] if given else f"{{{{{wanted.way}.version}}}}",
        "hardware": wanted.selection.first,
        **instances(wanted.spec.scaling),
    }


def _image_step(wanted: _Wanted) -> Request:
    """What goes into the image, as a reader of the plan sees it."""
    spec = wanted.spec
    contents = contents_of(spec, wanted.bundle, wanted.defaults)
    env = contents.env()
    if wanted.allows_secrets:
        local = [secret for secret in spec.secrets if secret.source == "local"]
        env |= {secret.env: f"{{{{secret:{secret.name}}}}}" for secret in local}
    shown: dict[str, Any] = {
        "target": f"{wanted.defaults.registry}/{wanted.model}:latest",
        "function": f"{spec.target.module}:{spec.target.qualname}",
        "runner": contents.runner,
        "python": spec.image.python,
        "env": env,
        "bundle": wanted.bundle.digest,
    }
    if wanted.way == "cog":
        shown["config"] = cog_config(contents)
        return Request("rpc", "cog push", origin="", step="cog", json=shown)
    shown |= {"base": wanted.base, "packages": list(spec.image.pip)}
    if contents.has_cog_layer:
        shown["cog"] = COG
    return Request("rpc", "push an image", origin="", step="push", json=shown)


def _ship(wanted: _Wanted) -> ShipMode:
    if wanted.own.version:
        why = f"options.replicate.version: {wanted.own.version} is deployed, no code travels"
        return ShipMode("version", why, 0)
    size = wanted.bundle.size
    if wanted.way == "cog":
        return ShipMode("cog", "Cog's CLI builds an image with Docker and pushes it", size)
    why = f"a layer of code on {wanted.base}, pushed to {wanted.defaults.registry}/{wanted.model}"
    return ShipMode("push", f"{why}; no Docker", size)


def _warnings(wanted: _Wanted) -> tuple[str, ...]:
    spec = wanted.spec
    found = list(bounds_warnings(spec.scaling))
    local = [secret.name for secret in spec.secrets if secret.source == "local"]
    if local and wanted.allows_secrets and wanted.way != "version":
        found.append(_BAKED.format(", ".join(local)))
    if spec.image.reference is not None and wanted.way == "push":
        found.append(_ENTRYPOINT.format(spec.image.reference, spec.image.python))
    return tuple(found)
