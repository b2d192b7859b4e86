"""The container: environment, secrets, mounts. Pure.

``env`` is a list of ``K=V``, readable in the API; ``secrets`` are names of workspace secrets, each
of which becomes a variable of its own name (``ConfigureContainerRequestSecrets``); ``volumes`` are
mounted at absolute paths too (``ConfigureContainerRequestMounts``); gateway source 0b79dfe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gpuhub.errors import SpecError
from gpuhub.spec import Bucket, Volume

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec, Secret

__all__ = [
    "FINGERPRINT",
    "LIMITS",
    "PARTS",
    "SCHEDULE",
    "check_user_env",
    "links",
    "local_secret_name",
    "mounts",
    "secret_name",
    "variables",
    "volume_names",
]

FINGERPRINT, LIMITS, PARTS = "GPUHUB_FINGERPRINT", "GPUHUB_LIMITS", "GPUHUB_PARTS"
SCHEDULE = "GPUHUB_SCHEDULE"
"""Variables that say what was deployed."""

_OF_BEAM = (
    *("CONTAINER_ID", "CONTAINER_HOSTNAME", "STUB_ID", "STUB_TYPE", "HANDLER", "ON_START"),
    *("WORKERS", "KEEP_WARM_SECONDS", "PYTHON_VERSION", "CALLBACK_URL", "TIMEOUT", "BIND_PORT"),
    *("TASK_ID", "CHECKPOINT_ENABLED", "VOLUME_CACHE_MAP"),
)
_BUCKETS = "/mnt/gpuhub-buckets"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Workspace secrets that open a bucket which names none."""


def check_user_env(names: Iterable[str]) -> None:
    """Refuse variables that are Beam's or gpuhub's own.

    Raises:
        SpecError: Names the first.
    """
    for name in names:
        if name in _OF_BEAM or name.startswith("BETA9_"):
            owner = "Beam's runner is told with it what to run"
        elif name.startswith("GPUHUB_"):
            owner = "variables that begin with GPUHUB_ are gpuhub's own"
        else:
            continue
        raise SpecError(
            f"env, secrets: the variable {name} cannot be set: {owner}",
            next_step="choose another name",
            provider="beam",
        )


# ----------------------------------------------------------------------------------- secrets


def local_secret_name(deployment: str, name: str) -> str:
    """Give the workspace secret that a local value is kept under: one for each deployment."""
    raw = f"GPUHUB_{deployment}_{name}".upper()
    return re.sub(r"[^A-Z0-9]", "_", raw)


def secret_name(spec: FunctionSpec, secret: Secret) -> str:
    """Give a secret's name at Beam."""
    if secret.source == "local":
        return local_secret_name(spec.deployment_name, secret.name)
    return secret.name


def _renamed(spec: FunctionSpec) -> dict[str, str]:
    """Variable -> workspace secret, where the names differ."""
    pairs = {secret.env: secret_name(spec, secret) for secret in spec.secrets}
    return {env: name for env, name in pairs.items() if env != name}


# --------------------------------------------------------------------------------- variables


def variables(spec: FunctionSpec, told: Mapping[str, Any]) -> list[str]:
    """Give the ``env`` member of a stub: the user's variables, then what the worker is told.

    Args:
        spec: What was asked.
        told: Further variables of gpuhub's: text, or JSON values.
    """
    target = spec.target
    env = {
        **spec.env,
        FINGERPRINT: "{{gpuhub.fingerprint}}",
        "GPUHUB_TARGET": f"{target.module}:{target.qualname}",
        "GPUHUB_TIMEOUT": f"{spec.timeout:g}",
        "GPUHUB_RETRIES": str(spec.retries),
        "GPUHUB_CONCURRENCY": str(spec.scaling.concurrency),
    }
    if renamed := _renamed(spec):
        env["GPUHUB_SECRETS"] = _json(renamed)
    if made := links(spec):
        env["GPUHUB_LINKS"] = _json(made)
    env |= {name: text if isinstance(text, str) else _json(text) for name, text in told.items()}
    return [f"{name}={value}" for name, value in env.items()]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


# ----------------------------------------------------------------------------------- volumes


def volume_names(spec: FunctionSpec) -> list[str]:
    """Give the names of volumes, each once."""
    named = (mount.name for mount in spec.volumes.values() if isinstance(mount, Volume))
    return list(dict.fromkeys(named))


def mounts(spec: FunctionSpec) -> list[dict[str, Any]]:
    """Give the ``volumes`` member of a stub.

    Raises:
        SpecError: A bucket is none that Beam can mount.
    """
    steps = {name: f"volume{number}" for number, name in enumerate(volume_names(spec))}
    found = []
    for path, mount in spec.volumes.items():
        if isinstance(mount, Volume):
            place = f"{{{{{steps[mount.name]}.volume.id}}}}"
            found.append({"id": place, "mountPath": path})
        else:
            found.append(_bucket(path, mount))
    return found


def links(spec: FunctionSpec) -> dict[str, str]:
    """Path -> where it leads: Beam mounts whole buckets, so a part of one is a link into it."""
    buckets = {path: each for path, each in spec.volumes.items() if isinstance(each, Bucket)}
    made = {}
    for path, bucket in buckets.items():
        name, prefix = _address(bucket)
        if prefix:
            made[path] = f"{_BUCKETS}/{name}/{prefix}"
    return made


def _bucket(path: str, bucket: Bucket) -> dict[str, Any]:
    name, prefix = _address(bucket)
    access, secret = _bucket_keys(bucket)
    config = {
        "bucketName": name,
        "accessKey": access,
        "secretKey": secret,
        "endpointUrl": bucket.endpoint_url or "",
        "region": "",
        "readOnly": bucket.read_only,
        "forcePathStyle": bucket.endpoint_url is not None,
    }
    # The id only makes the place unique where the bucket is mounted; buckets are not created.
    identity = f"bucket-{name}"
    return {
        "id": identity,
        "mountPath": f"{_BUCKETS}/{name}" if prefix else path,
        "config": config,
    }


def _address(bucket: Bucket) -> tuple[str, str]:
    parts = urlsplit(bucket.url)
    if parts.scheme != "s3":
        raise SpecError(
            f"volumes: Beam mounts S3 buckets and those like them, not {bucket.url!r}",
            next_step="write s3://bucket/prefix, with endpoint_url for another store",
            provider="beam",
        )
    return parts.netloc, parts.path.strip("/")


def _bucket_keys(bucket: Bucket) -> tuple[str, str]:
    if bucket.secret is None:
        return _KEYS
    access, comma, secret = (part.strip() for part in bucket.secret.partition(","))
    if not (access and comma and secret):
        raise SpecError(
            f"volumes: a bucket at Beam needs two secrets, not {bucket.secret!r}",
            next_step="name both workspace secrets: secret='ACCESS_KEY_NAME,SECRET_KEY_NAME'",
            provider="beam",
        )
    return access, secret
