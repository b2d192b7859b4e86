"""Pure translation of a spec: the plan with its requests.

The body is ``CreateEndpointRequest`` of RunPod's REST v2 document ("Create a serverless endpoint",
read 2026-11-20); each group of fields has its module: ``compute``, ``limits``, ``container``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub.plan import Plan, Request, Retry
from gpuhub.spec import Volume
from gpuhub_runpod.compute import compute_body, selection_of
from gpuhub_runpod.container import (
    BOOT_ARGS,
    BUNDLE_FOLDER,
    PACKAGES_FOLDER,
    boot_script,
    check_size,
    check_user_env,
    code_env,
    image_tag,
    runnable,
    secret_reference,
)
from gpuhub_runpod.limits import limits_body
from gpuhub_runpod.options import read_options
from gpuhub_runpod.prices import estimate
from gpuhub_runpod.regions import data_centers
from gpuhub_runpod.rows import make_rows
from gpuhub_runpod.ship import ship

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub_runpod.defaults import Defaults
    from gpuhub_runpod.gpus import Selection
    from gpuhub_runpod.options import Options
    from gpuhub_runpod.ship import Shipping

__all__ = ["PROVIDER", "WEB_PORTS", "make_plan"]

PROVIDER = "runpod"
WEB_PORTS = {"PORT": "8000", "PORT_HEALTH": "8001", "HEALTH_CHECK_PATH": "/ping"}
"""How a load-balancing endpoint is told where its worker listens (``EndpointType``, v2)."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spec with all that was made of it on the way."""

    spec: FunctionSpec
    own: Options
    defaults: Defaults
    shipping: Shipping
    selection: Selection | None
    packed: bytes

    @property
    def is_web(self) -> bool:
        return self.spec.target.kind == "web"

    @property
    def allows_local_secrets(self) -> bool:
        asked = self.own.local_secrets_in_env
        return self.defaults.local_secrets_in_env if asked is None else asked

    @property
    def prefetch(self) -> int:
        return self.own.prefetch or self.defaults.prefetch

    @property
    def volumes(self) -> dict[str, Volume]:
        """Mount path -> volume; buckets cannot be mounted."""
        mounts = self.spec.volumes.items()
        return {path: each for path, each in mounts if isinstance(each, Volume)}


def make_plan(spec: FunctionSpec, bundle: Bundle, defaults: Defaults) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: It cannot run on RunPod; see its subclasses.
    """
    own = read_options(spec.options.get(PROVIDER, {}))
    packed = runnable(bundle).tar_gz()
    shipping = ship(spec, len(packed), own, defaults)
    wanted = _Wanted(spec, own, defaults, shipping, selection_of(spec), packed)
    secrets = (secret.env for secret in spec.secrets)
    check_user_env((*spec.env, *secrets), is_web=wanted.is_web)
    body = _body(wanted)
    check_size(body["env"], body["args"])
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=make_rows(
            spec,
            body,
            selection=wanted.selection,
            own=own,
            shipping=shipping,
            allows_local_secrets=wanted.allows_local_secrets,
        ),
        requests=_requests(wanted, body),
        ship=shipping.mode,
        cost=estimate(wanted.selection, spec.scaling.min_workers),
        warnings=shipping.warnings,
    )


def _requests(wanted: _Wanted, body: dict[str, Any]) -> tuple[Request, ...]:
    """What a first deploy sends; the next one sends what differs, to ``/serverless/{id}``."""
    steps = []
    if wanted.volumes:
        steps.append(Request("GET", "/network-volumes", step="volumes", retry=Retry.SAFE))
    if wanted.spec.image.registry_secret:
        steps.append(Request("GET", "/registries", step="registries", retry=Retry.SAFE))
    if wanted.selection is not None:
        steps.append(Request("GET", "/catalog/gpus", step="catalog", retry=Retry.SAFE))
    if wanted.shipping.mode.mode == "registry":
        steps.append(Request("rpc", "push an image", origin="", step="push", json=_push(wanted)))
    create = Request("POST", "/serverless", step="create", json=body, accept=(200, 201))
    return (*steps, create)


def _push(wanted: _Wanted) -> dict[str, Any]:
    """What is pushed; packages go into a layer where the image's Python is known."""
    image, repository = wanted.spec.image, wanted.defaults.registry or ""
    push: dict[str, Any] = {
        "base": wanted.shipping.image,
        "target": image_tag(repository, wanted.spec.deployment_name, wanted.packed),
        "code": {"folder": f"/{BUNDLE_FOLDER}", "bytes": len(wanted.packed)},
    }
    if image.pip and image.reference is None:
        facts = {"python": image.python, "requirements": list(image.pip)}
        push["packages"] = {"folder": f"/{PACKAGES_FOLDER}", **facts}
    return push


def _body(wanted: _Wanted) -> dict[str, Any]:
    spec, pushed = wanted.spec, wanted.shipping.mode.mode == "registry"
    limits = limits_body(spec.scaling, is_web=wanted.is_web)
    limits["timeout"] = math.ceil(spec.timeout * 1000)
    body: dict[str, Any] = {
        "name": spec.deployment_name,
        "type": "LOAD_BALANCER" if wanted.is_web else "QUEUE",
        "image": "{{push.image}}" if pushed else wanted.shipping.image,
        "args": "" if wanted.shipping.as_it_is else BOOT_ARGS,
        "env": _env(wanted, limits),
        **compute_body(spec, wanted.selection, wanted.own),
        **limits,
        "flashboot": _flashboot(wanted),
        "dataCenterIds": data_centers(spec.regions),
        "networkVolumes": [f"{{{{volumes.{name}}}}}" for name in _volume_names(wanted)],
        "ports": ["8000/http", "8001/http"] if wanted.is_web else [],
        "registry": None,
    }
    if spec.image.registry_secret:
        body["registry"] = f"{{{{registries.{spec.image.registry_secret}}}}}"
    elif pushed:
        body["registry"] = wanted.defaults.registry_auth_id
    return body


def _volume_names(wanted: _Wanted) -> list[str]:
    """The one volume RunPod can mount: the first."""
    return list(dict.fromkeys(volume.name for volume in wanted.volumes.values()))[:1]


def _flashboot(wanted: _Wanted) -> str:
    spec = wanted.spec
    if wanted.own.flashboot:
        return wanted.own.flashboot
    by_default = wanted.defaults.flashboot and not spec.is_set("snapshot")
    return "FLASHBOOT" if by_default or spec.snapshot != "off" else "OFF"


def _env(wanted: _Wanted, limits: Mapping[str, Any]) -> dict[str, str]:
    """The user's variables, then what the worker is told, then the code."""
    spec = wanted.spec
    env = {**spec.env, **_secrets(wanted)}
    target = spec.target
    env |= {
        "GPUHUB_FINGERPRINT": "{{gpuhub.fingerprint}}",
        "GPUHUB_LIMITS": json.dumps(limits, separators=(",", ":")),
        "GPUHUB_TARGET": f"{target.module}:{target.qualname}",
    }
    if wanted.own.ttl is not None:
        env["GPUHUB_TTL_MS"] = str(math.ceil(wanted.own.ttl * 1000))
    if wanted.shipping.as_it_is:
        return env
    env["GPUHUB_CONCURRENCY"] = str(spec.scaling.concurrency)
    if wanted.is_web:
        env |= WEB_PORTS
    else:
        env["GPUHUB_PREFETCH"] = str(wanted.prefetch)
    return {**env, **_build(wanted), "GPUHUB_BOOT": boot_script(), **_code(wanted)}


def _secrets(wanted: _Wanted) -> dict[str, str]:
    found = {}
    for secret in wanted.spec.secrets:
        if secret.source == "provider":
            found[secret.env] = secret_reference(secret.name)
        elif wanted.allows_local_secrets:
            found[secret.env] = f"{{{{secret:{secret.name}}}}}"
    return found


def _build(wanted: _Wanted) -> dict[str, str]:
    """What the worker does before it loads the code, each as a JSON list."""
    image = wanted.spec.image
    in_a_layer = wanted.shipping.mode.mode == "registry" and image.reference is None
    steps = {
        "GPUHUB_APT": image.apt,
        "GPUHUB_PIP": () if in_a_layer else image.pip,
        "GPUHUB_COMMANDS": image.commands,
        "GPUHUB_MOUNTS": tuple(wanted.volumes),
    }
    return {
        name: json.dumps(list(values), ensure_ascii=False)
        for name, values in steps.items()
        if values
    }


def _code(wanted: _Wanted) -> dict[str, str]:
    if wanted.shipping.mode.mode == "inline":
        return code_env(wanted.packed)
    return {"GPUHUB_BUNDLE": f"/{BUNDLE_FOLDER}"}
