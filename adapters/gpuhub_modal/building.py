"""Makes the SDK's objects from a plan's requests: nothing here that the plan does not say."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub_modal.sdk import modal
from gpuhub_modal.translate import ENTRY, REMOTE_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_app"]

Body = Mapping[str, Any]


def make_app(bodies: Mapping[str, Body], folder: Path, environment: str | None) -> Any:
    """Make an app with one function.

    Args:
        bodies: JSON of the requests, by step.
        folder: What is mounted.
        environment: Where secrets and volumes are looked up.
    """
    package = modal()
    app = package.App(
        bodies["app"]["description"], tags=dict(bodies["app"]["tags"]), include_source=False
    )
    function = bodies["function"]
    entry = getattr(importlib.import_module(ENTRY), function["implementation_name"])
    image = _image(package, bodies["image"]["steps"], environment)
    options = {
        **_compute(function),
        **_behaviour(package, function),
        "name": function["function_name"],
        "image": image.add_local_dir(folder, REMOTE_FOLDER),
        "secrets": _secrets(package, bodies, environment),
        "volumes": _volumes(package, function, environment),
    }
    app.function(**options)(_decorated(package, function, entry))
    return app


def _image(package: Any, steps: list[Body], environment: str | None) -> Any:
    base, *others = steps
    if base["method"] == "debian_slim":
        image = package.Image.debian_slim(base["python_version"])
    else:
        secret = base.get("secret")
        image = package.Image.from_registry(
            base["tag"],
            secret=secret
            and package.Secret.from_name(
                secret,
                environment_name=environment,
                required_keys=["REGISTRY_USERNAME", "REGISTRY_PASSWORD"],
            ),
            add_python=base.get("add_python"),
        )
    for step in others:
        image = getattr(image, step["method"])(*step["values"])
    return image


def _compute(function: Body) -> dict[str, Any]:
    resources = function["resources"]
    gpus = [
        each["gpu_type"] if each["count"] == 1 else f"{each['gpu_type']}:{each['count']}"
        for each in resources.get("gpu_config", ())
    ]
    placement = function.get("scheduler_placement", {})
    return {
        "gpu": gpus if len(gpus) > 1 else next(iter(gpus), None),
        "cpu": _limited(resources, "milli_cpu", 1000),
        "memory": _limited(resources, "memory_mb", 1),
        "ephemeral_disk": resources.get("ephemeral_disk_mb"),
        "region": placement.get("regions") or None,
        "nonpreemptible": placement.get("nonpreemptible", False),
        "cloud": function.get("cloud_provider_str"),
    }


def _limited(resources: Body, name: str, unit: int) -> Any:
    """Give a request, or a request and a limit."""
    if name not in resources:
        return None
    asked, limit = resources[name], resources.get(f"{name}_max")
    values = [value / unit if unit != 1 else value for value in (asked, limit) if value is not None]
    return values[0] if limit is None else tuple(values)


def _behaviour(package: Any, function: Body) -> dict[str, Any]:
    schedule = function.get("schedule", {})
    when = None
    if "cron" in schedule:
        when = package.Cron(schedule["cron"]["cron_string"], schedule["cron"]["timezone"])
    elif "period" in schedule:
        when = package.Period(seconds=schedule["period"]["seconds"])
    return {
        **function["autoscaler_settings"],
        "timeout": function["timeout_secs"],
        "startup_timeout": function.get("startup_timeout_secs"),
        "retries": function["retry_policy"]["retries"] if "retry_policy" in function else None,
        "schedule": when,
        "enable_memory_snapshot": function["checkpointing_enabled"],
        "experimental_options": function.get("experimental_options"),
        "single_use_containers": function["single_use_containers"],
        "block_network": function["block_network"],
        "is_generator": function["function_type"] == "FUNCTION_TYPE_GENERATOR",
    }


def _decorated(package: Any, function: Body, entry: Any) -> Any:
    """Put on what the SDK has decorators for."""
    found = entry
    if webhook := function.get("webhook_config"):
        found = package.asgi_app(
            label=webhook["requested_suffix"],
            custom_domains=webhook["custom_domains"] or None,
            requires_proxy_auth=webhook["requires_proxy_auth"],
        )(found)
    if most := function.get("batch_max_size"):
        found = package.batched(max_batch_size=most, wait_ms=function["batch_linger_ms"])(found)
    if most := function.get("max_concurrent_inputs"):
        target = function.get("target_concurrent_inputs")
        found = package.concurrent(max_inputs=most, target_inputs=target)(found)
    return found


def _secrets(package: Any, bodies: Mapping[str, Body], environment: str | None) -> list[Any]:
    found = []
    for step, body in bodies.items():
        if not step.startswith("secret-"):
            continue
        if "env_dict" in body:
            found.append(package.Secret.from_dict(dict(body["env_dict"])))
        else:
            found.append(
                package.Secret.from_name(
                    body["deployment_name"],
                    environment_name=environment,
                    required_keys=list(body["required_keys"]),
                )
            )
    return found


def _volumes(package: Any, function: Body, environment: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mount in function.get("volume_mounts", ()):
        volume = package.Volume.from_name(
            mount["volume"], environment_name=environment, create_if_missing=True
        )
        if mount["read_only"]:
            volume = volume.with_mount_options(read_only=True)
        found[mount["mount_path"]] = volume
    for mount in function.get("cloud_bucket_mounts", ()):
        keys = mount["secret"]
        found[mount["mount_path"]] = package.CloudBucketMount(
            mount["bucket_name"],
            bucket_endpoint_url=mount["bucket_endpoint_url"],
            key_prefix=mount["key_prefix"],
            secret=keys and package.Secret.from_name(keys, environment_name=environment),
            read_only=mount["read_only"],
        )
    return found
