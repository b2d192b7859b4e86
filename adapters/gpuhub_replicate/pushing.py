"""A function's image: layers on a base, pushed to Replicate's registry, without Docker.

That a pushed manifest becomes a version, whose id is its digest, and what the registry wants to see
in it, is in the source of Cog 0.23 and of Replicate's own tools, read 2026-11-20.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    DeployFailed,
    MissingCredentials,
    NotFound,
    ProviderError,
)
from gpuhub.oci import (
    Image,
    ImageChanges,
    Layer,
    Reference,
    Registry,
    RegistryCredentials,
    append,
    docker_credentials,
    fetch_image,
    layer_from_files,
    push_image,
    wheels_layer,
)
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.image import (
    CODE_FOLDER,
    COG,
    COG_FOLDER,
    COMMAND,
    PACKAGES_FOLDER,
    PORT,
    Contents,
)

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub.adapter import Io
    from gpuhub_replicate.defaults import Defaults

__all__ = ["appears", "login_of", "push", "version_exists"]

_REFUSED = ("MANIFEST_INVALID",)
_FIRST_WAIT_S, _LONGEST_WAIT_S, _PATIENCE_S = 0.2, 5.0, 300.0


async def push(
    io: Io, contents: Contents, base: str, model: str, env: Mapping[str, str], defaults: Defaults
) -> str:
    """Make the version of a function, unless there is one, and give its id.

    Args:
        io: The engine's.
        contents: What is in the image.
        base: The base image; ``cog-base:…`` is in Replicate's registry.
        model: ``owner/name``, which must exist.
        env: Variables of the image, secrets among them where they are allowed.
        defaults: Settings.

    Raises:
        DeployFailed: Replicate refused the image.
        ProviderError: A registry refused, or does not answer.
        SpecError: A package has no wheel.
    """
    target = Reference(defaults.registry, model, "latest")
    source = _base_reference(base, defaults)
    try:
        logins = await _logins(io, source, defaults)
        with tempfile.TemporaryDirectory(prefix="gpuhub-replicate-") as scratch:
            layers = await _layers(io, contents, defaults, Path(scratch))
            below = await _below(io, source, logins, defaults)
            changes = _changes(contents, base, model, env, below)
            version = append(below, layers, changes).manifest.digest.removeprefix("sha256:")
            if await version_exists(io, model, version):
                return version
            if target.registry not in logins:
                logins[target.registry] = await login_of(io, defaults)
            plain = defaults.registry_is_plain
            await push_image(
                io, source, layers, target, changes, credentials=logins, insecure=plain
            )
    except BadRequest as error:
        if error.code in _REFUSED:
            raise _refused(error) from error
        error.provider = error.provider or "replicate"
        raise
    except ProviderError as error:
        error.provider = error.provider or "replicate"
        raise
    await appears(io, model, version)
    return version


def _base_reference(base: str, defaults: Defaults) -> Reference:
    if base.startswith("cog-base:"):
        return Reference(defaults.registry, "cog-base", base.partition(":")[2])
    return Reference.parse(base)


async def _logins(io: Io, source: Reference, defaults: Defaults) -> dict[str, RegistryCredentials]:
    """Logins of a base image elsewhere; Replicate's own base images need none."""
    if source.registry == defaults.registry:
        return {}
    found = await io.run(docker_credentials, source.registry, run_helpers=True)
    return {} if found is None else {source.registry: found}


async def _below(
    io: Io, source: Reference, logins: Mapping[str, RegistryCredentials], defaults: Defaults
) -> Image:
    plain = defaults.registry_is_plain
    registry = Registry(io, source.registry, logins.get(source.registry), insecure=plain)
    return await fetch_image(registry, source)


async def _layers(io: Io, contents: Contents, defaults: Defaults, scratch: Path) -> list[Layer]:
    """What changes least comes first: Cog, packages, code."""
    image, layers = contents.spec.image, []
    wanted = [([f"cog=={COG}"], COG_FOLDER)] if contents.has_cog_layer else []
    wanted += [(list(image.pip), PACKAGES_FOLDER)] if image.pip else []
    for requirements, folder in wanted:
        cache = defaults.cache / "wheels"
        layers.append(
            await wheels_layer(io, requirements, python=image.python, cache=cache, prefix=folder)
        )
    layers.append(await io.run(_code_layer, contents, scratch))
    return layers


def _code_layer(contents: Contents, scratch: Path) -> Layer:
    return layer_from_files(contents.files(), scratch, prefix=CODE_FOLDER, comment="gpuhub: code")


def _changes(
    contents: Contents, base: str, model: str, env: Mapping[str, str], below: Image
) -> ImageChanges:
    settings: dict[str, Any] = below.settings()
    return ImageChanges(
        env=env,
        labels=contents.labels(model, base, settings["rootfs"]["diff_ids"]),
        cmd=COMMAND,
        working_dir=f"/{CODE_FOLDER}",
        exposed_ports=(PORT,),
    )


# -------------------------------------------------------------------------------------- login


async def login_of(io: Io, defaults: Defaults) -> RegistryCredentials:
    """Give the login at Replicate's registry.

    Cog's command-line token where it is set, what ``cog login`` left, else the API token; whether
    the registry takes that one, no document says.

    Raises:
        AuthFailed: The registry does not know the token.
        MissingCredentials: There is none.
    """
    token = defaults.registry_token
    if token is None:
        left = await io.run(docker_credentials, defaults.registry, run_helpers=True)
        if left is not None:
            return left
        token = defaults.api_token
    if token is None:
        raise MissingCredentials(
            "replicate: neither COG_TOKEN nor REPLICATE_API_TOKEN is set",
            provider="replicate",
            next_step="set COG_TOKEN to the token of replicate.com/auth/token",
        )
    return RegistryCredentials(await _username(io, token), token)


async def _username(io: Io, token: SecretStr) -> str:
    try:
        answer = document(await io.send(wire.verify_token(token.get_secret_value())))
    except (NotFound, AuthFailed) as error:
        raise AuthFailed(
            f"Replicate's registry does not know the token: {error.message}",
            provider="replicate",
            status=error.status,
            accepted=False,
            next_step="set COG_TOKEN to the command-line token of replicate.com/auth/token, or run"
            " `cog login`",
        ) from None
    name: str = member(answer, "username", str)
    return name


# ------------------------------------------------------------------------------------ versions


async def version_exists(io: Io, model: str, version: str) -> bool:
    """Whether a model has a version."""
    owner, _, name = model.partition("/")
    try:
        await io.send(wire.get_version(owner, name, version))
    except NotFound:
        return False
    return True


async def appears(io: Io, model: str, version: str) -> None:
    """Wait until Replicate has made a version of what was pushed.

    Raises:
        DeployFailed: It did not within five minutes.
    """
    ends, wait = io.now() + _PATIENCE_S, _FIRST_WAIT_S
    while not await version_exists(io, model, version):
        if io.now() >= ends:
            raise DeployFailed(
                f"the image was pushed, but Replicate made no version of it: {model}:{version}",
                provider="replicate",
                log_tail=(f"no version {version} after {_PATIENCE_S:g} s",),
                next_step="look at the model's versions on replicate.com, and deploy again",
            )
        await io.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT_S)


def _refused(error: BadRequest) -> DeployFailed:
    return DeployFailed(
        "Replicate refused the image",
        provider="replicate",
        status=error.status,
        code=error.code,
        log_tail=(error.message,),
        next_step="read the registry's words below; the version before it goes on serving",
    )
