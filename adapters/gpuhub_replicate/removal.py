"""Taking a deployment away, in two steps: off now, gone when Replicate lets it go.

"You can only delete deployments that have been offline and unused for at least 15 minutes"
("Delete a deployment" of the OpenAPI document, read 2026-11-20). Off, it costs nothing. Models and
versions cost nothing either; they go with the deployment, as far as Replicate lets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.errors import AuthFailed, BadRequest, NotFound
from gpuhub_replicate import wire
from gpuhub_replicate.errors import document, member
from gpuhub_replicate.looking import is_off, owner_and_name, release_of
from gpuhub_replicate.schema import is_ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuhub.adapter import Io

__all__ = ["finish", "switch_off"]

_OFF = {"min_instances": 0, "max_instances": 0}
_NOT_YET = (AuthFailed, BadRequest)
"""How Replicate says that it is too early is not documented."""


async def switch_off(io: Io, owner: str, name: str) -> None:
    """Have no instances any more, and remove what can be removed at once.

    Raises:
        NotFound: There is no such deployment.
    """
    deployment = document(await io.send(wire.get_deployment(owner, name)))
    if not is_off(deployment):
        deployment = document(await io.send(wire.patch_deployment(owner, name, _OFF)))
    await _remove(io, owner, name, str(release_of(deployment).get("model", "")))


async def finish(io: Io) -> Sequence[str]:
    """Remove deployments that were switched off before, and are gpuhub's.

    Returns:
        Names of those that are gone now.
    """
    done = []
    request = wire.list_deployments()
    while True:
        page = document(await io.send(request))
        for each in member(page, "results", list):
            owner, name = member(each, "owner", str), member(each, "name", str)
            model = str(release_of(each).get("model", ""))
            ours = is_off(each) and await _is_ours(io, model, release_of(each)["version"])
            if ours and await _remove(io, owner, name, model):
                done.append(f"{owner}/{name}")
        if not page.get("next"):
            return done
        request = wire.next_page(str(page["next"]))


async def _is_ours(io: Io, model: str, version: str) -> bool:
    try:
        found = document(await io.send(wire.get_version(*owner_and_name(model), version)))
    except NotFound:
        return False
    return is_ours(found.get("openapi_schema"))


async def _remove(io: Io, owner: str, name: str, model: str) -> bool:
    """Remove a deployment, if Replicate lets it go; then the model that was made for it."""
    try:
        await io.send(wire.delete_deployment(owner, name))
    except _NOT_YET:
        return False
    if model == f"{owner}/{name}":
        await _remove_model(io, owner, name)
    return True


async def _remove_model(io: Io, owner: str, name: str) -> None:
    """Remove versions of gpuhub's and the model, as far as it goes: they cost nothing."""
    try:
        page = document(await io.send(wire.list_versions(owner, name)))
        versions = member(page, "results", list)
        for each in versions:
            if is_ours(each.get("openapi_schema")):
                await io.send(wire.delete_version(owner, name, member(each, "id", str)))
        await io.send(wire.delete_model(owner, name))
    except (NotFound, *_NOT_YET):
        return
