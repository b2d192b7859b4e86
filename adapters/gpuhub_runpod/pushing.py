"""Larger code: layers on a base image, pushed to the user's registry."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.oci import (
    ImageChanges,
    Layer,
    Reference,
    RegistryCredentials,
    docker_credentials,
    layer_from_files,
    push_image,
    wheels_layer,
)
from gpuhub_runpod.container import runnable

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub.bundle import Bundle
    from gpuhub_runpod.defaults import Defaults

__all__ = ["push"]


async def push(io: Io, wanted: Mapping[str, Any], bundle: Bundle, defaults: Defaults) -> str:
    """Push an image and give its name, with its digest.

    Args:
        io: The engine's.
        wanted: The plan's step: ``base``, ``target``, ``code`` and ``packages``.
        bundle: The code.
        defaults: Settings: the registry's login, and where layers are kept.

    Raises:
        ProviderError: A registry refused.
        SpecError: A package has no wheel.
    """
    base, target = Reference.parse(wanted["base"]), Reference.parse(wanted["target"])
    credentials = {}
    for registry in {base.registry, target.registry}:
        if (login := await io.run(_login, registry, target, defaults)) is not None:
            credentials[registry] = login
    packages = wanted.get("packages")
    changes = ImageChanges(
        entrypoint=(),  # RunPod could not clear the base's, and passes it the start command
        env={"PYTHONPATH": packages["folder"]} if packages else {},
    )
    with tempfile.TemporaryDirectory(prefix="gpuhub-runpod-") as scratch:
        layers = await _layers(io, wanted, bundle, defaults, Path(scratch))
        pushed = await push_image(
            io,
            base,
            layers,
            target,
            changes,
            credentials=credentials,
            insecure=defaults.registry_insecure,
        )
    return str(pushed.reference)


async def _layers(
    io: Io, wanted: Mapping[str, Any], bundle: Bundle, defaults: Defaults, scratch: Path
) -> list[Layer]:
    """Packages below, code on top: the code changes more often."""
    layers = []
    if packages := wanted.get("packages"):
        layers.append(
            await wheels_layer(
                io,
                packages["requirements"],
                python=packages["python"],
                cache=defaults.cache / "wheels",
                prefix=packages["folder"].lstrip("/"),
            )
        )
    files = dict(runnable(bundle).files)
    folder = wanted["code"]["folder"].lstrip("/")
    layers.append(await io.run(_code_layer, files, scratch, folder))
    return layers


def _code_layer(files: Mapping[str, bytes], scratch: Path, folder: str) -> Layer:
    return layer_from_files(files, scratch, prefix=folder, comment="gpuhub: code")


def _login(registry: str, target: Reference, defaults: Defaults) -> RegistryCredentials | None:
    """The login of the settings, for the target; else what ``docker login`` left."""
    user, password = defaults.registry_username, defaults.registry_password
    if registry == target.registry and user and password is not None:
        return RegistryCredentials(user, password)
    return docker_credentials(registry, run_helpers=True)
