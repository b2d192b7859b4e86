"""``config.yaml`` of the Truss that a function becomes. Pure.

Keys: ``TrussConfig`` of Truss 0.18.35 (``truss/base/truss_config.py``), whose JSON Schema was read
2026-11-24.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError
from gpuhub.spec import Bucket
from gpuhub_baseten.compute import resources

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec, Secret
    from gpuhub_baseten.options import Options

__all__ = ["WEB_PORT", "config_of", "secret_name", "worker_facts"]

WEB_PORT = 8000

_OLDEST, _NEWEST = 9, 14
_SHORTEST_GAP_S = 60
_RESERVED = ("PORT", "HOSTNAME")
_START = f"python3 /packages/gpuhub_bundle/serve.py {WEB_PORT}"


def secret_name(spec: FunctionSpec, secret: Secret) -> str:
    """Give the name of a secret in the workspace; that of a local one belongs to the deployment."""
    if secret.source == "provider":
        return secret.name
    return f"gpuhub-{spec.deployment_name}-{secret.env}"


def worker_facts(spec: FunctionSpec) -> dict[str, Any]:
    """Give what gpuhub's worker is told."""
    return {
        "target": f"{spec.target.module}:{spec.target.qualname}",
        "timeout_s": spec.timeout,
        "concurrency": spec.scaling.concurrency,
        "secrets": {secret.env: secret_name(spec, secret) for secret in spec.secrets},
    }


def config_of(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    """Give the configuration, without what is empty.

    Raises:
        SpecError: Baseten has no such Python, or keeps one of the variables for itself.
    """
    image = spec.image
    check_variables(spec)
    config: dict[str, Any] = {
        "model_name": spec.deployment_name,
        "model_metadata": {"gpuhub": worker_facts(spec)},
        "python_version": _python(spec) if image.reference is None else None,
        "base_image": _base_image(spec, own),
        "requirements": list(image.pip),
        "system_packages": list(image.apt),
        "build_commands": list(image.commands),
        "environment_variables": dict(spec.env),
        "secrets": {secret_name(spec, secret): None for secret in spec.secrets},
        "resources": resources(spec, own),
        "runtime": _runtime(spec, own),
        "weights": _weights(spec),
        "bdn": {"mounts": [mount.model_dump() for mount in own.bdn]} if own.bdn else {},
        "docker_server": _server() if spec.target.kind == "web" else {},
    }
    return {name: value for name, value in config.items() if value not in (None, [], {})}


def check_variables(spec: FunctionSpec) -> None:
    """Refuse variables that Baseten overwrites.

    Raises:
        SpecError: Names the first.
    """
    for name in (*spec.env, *(secret.env for secret in spec.secrets)):
        if name in _RESERVED:
            raise SpecError(
                f"env, secrets: the variable {name} cannot be set: Baseten overwrites it",
                next_step="choose another name",
                provider="baseten",
            )


def _python(spec: FunctionSpec) -> str:
    minor = int(spec.image.python.partition(".")[2])
    if not _OLDEST <= minor <= _NEWEST:
        raise SpecError(
            f"image.python: Baseten has 3.{_OLDEST} to 3.{_NEWEST} (got {spec.image.python})",
            next_step="choose one of those",
            provider="baseten",
        )
    return f"py3{minor}"


def _base_image(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    if spec.image.reference is None:
        return {}
    image: dict[str, Any] = {"image": spec.image.reference}
    if own.python_executable_path:
        image["python_executable_path"] = own.python_executable_path
    if spec.image.registry_secret:
        image["docker_auth"] = {
            "auth_method": "REGISTRY_SECRET",
            "secret_name": spec.image.registry_secret,
            "registry": _registry(spec.image.reference),
        }
    return image


def _registry(reference: str) -> str:
    """The host of an image's registry; Docker Hub's where the reference names none."""
    head, slash, _ = reference.partition("/")
    has_host = slash and ("." in head or ":" in head or head == "localhost")
    return head if has_host else "docker.io"


def _runtime(spec: FunctionSpec, own: Options) -> dict[str, Any]:
    runtime: dict[str, Any] = {}
    if spec.target.kind != "web":
        runtime["predict_concurrency"] = spec.scaling.concurrency
    if own.streaming_read_timeout is not None:
        runtime["streaming_read_timeout"] = own.streaming_read_timeout
    elif spec.target.kind == "generator":
        # Truss cuts a stream whose next item takes longer than this, 60 s of its own.
        runtime["streaming_read_timeout"] = max(math.ceil(spec.timeout), _SHORTEST_GAP_S)
    if spec.startup_timeout is not None:
        threshold = math.ceil(spec.startup_timeout)
        runtime["health_checks"] = {"startup_threshold_seconds": threshold}
    if own.egress_allow is not None:
        runtime["egress_restrictions"] = {"fqdn_allow_list": list(own.egress_allow)}
    return runtime


def _weights(spec: FunctionSpec) -> list[dict[str, Any]]:
    found = []
    for path, mount in spec.volumes.items():
        if isinstance(mount, Bucket):
            source: dict[str, Any] = {"source": mount.url, "mount_location": path}
            if mount.secret is not None:
                source["auth_secret_name"] = mount.secret
            found.append(source)
    return found


def _server() -> dict[str, Any]:
    return {
        "start_command": _START,
        "server_port": WEB_PORT,
        "predict_endpoint": "/predict",
        "readiness_endpoint": "/health",
        "liveness_endpoint": "/health",
    }
