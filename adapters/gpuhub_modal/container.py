"""The container: environment, secrets, mounts. Pure.

A Modal secret is a set of variables under one name, so ``Secret("huggingface", env="HF_TOKEN")``
asks that the secret of that name has the variable ``HF_TOKEN``. Variables and local secrets travel
as secrets without a name, which Modal keeps encrypted (``Secret.from_dict`` of the SDK).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gpuhub.errors import SpecError
from gpuhub.spec import Bucket, Volume

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec

__all__ = ["buckets", "check_user_env", "named_secrets", "volume_mounts", "volume_names"]

_STORES = {"s3": None, "gs": "https://storage.googleapis.com"}


def check_user_env(names: Iterable[str]) -> None:
    """Refuse variables that are Modal's or gpuhub's own.

    Raises:
        SpecError: Names the first.
    """
    for name in names:
        if name.startswith("MODAL_"):
            owner = "Modal's runtime reads variables that begin with MODAL_"
        elif name.startswith("GPUHUB_"):
            owner = "variables that begin with GPUHUB_ are gpuhub's own"
        else:
            continue
        raise SpecError(
            f"env, secrets: the variable {name} cannot be set: {owner}",
            next_step="choose another name",
            provider="modal",
        )


def named_secrets(spec: FunctionSpec) -> dict[str, list[str]]:
    """Give the stored secrets: name -> variables that it must have."""
    found: dict[str, list[str]] = {}
    for secret in spec.secrets:
        if secret.source == "provider":
            found.setdefault(secret.name, []).append(secret.env)
    return found


def volume_names(spec: FunctionSpec) -> list[str]:
    """Give the names of volumes, each once.

    Raises:
        SpecError: One is mounted twice, which Modal refuses.
    """
    names = [mount.name for mount in spec.volumes.values() if isinstance(mount, Volume)]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(
                f"volumes: Modal mounts a volume once, and {name!r} is there"
                f" {names.count(name)} times",
                next_step="mount it at one path, and link to it",
                provider="modal",
            )
    return names


def volume_mounts(spec: FunctionSpec) -> list[dict[str, Any]]:
    """Give the ``volume_mounts`` member of ``FunctionCreate``."""
    return [
        {"mount_path": path, "volume": mount.name, "read_only": mount.read_only}
        for path, mount in spec.volumes.items()
        if isinstance(mount, Volume)
    ]


def buckets(spec: FunctionSpec) -> list[dict[str, Any]]:
    """Give the ``cloud_bucket_mounts`` member of ``FunctionCreate``.

    Raises:
        SpecError: A bucket is none that Modal can mount.
    """
    return [
        _bucket(path, mount) for path, mount in spec.volumes.items() if isinstance(mount, Bucket)
    ]


def _bucket(path: str, bucket: Bucket) -> dict[str, Any]:
    parts = urlsplit(bucket.url)
    if parts.scheme not in _STORES:
        raise SpecError(
            f"volumes: Modal mounts S3, R2 and Google buckets, not {bucket.url!r}",
            next_step="write s3://bucket/prefix, with endpoint_url for R2, or gs://bucket/prefix",
            provider="modal",
        )
    prefix = parts.path.strip("/")
    return {
        "mount_path": path,
        "bucket_name": parts.netloc,
        "bucket_endpoint_url": bucket.endpoint_url or _STORES[parts.scheme],
        "key_prefix": f"{prefix}/" if prefix else None,
        "secret": bucket.secret,
        "read_only": bucket.read_only,
    }
