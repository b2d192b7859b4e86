"""Versions of an environment: the deployments of its model, and promoting one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub.adapter import Rollout
from gpuhub.errors import BadRequest, ProviderUnavailable
from gpuhub_baseten import wire
from gpuhub_baseten.errors import document, member
from gpuhub_baseten.states import created_at, rollout_of, version_of

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io, Version

__all__ = ["promote", "versions_of"]

_PAUSES_S = (0.5, 5.0)
_PATIENCE_S = 1800.0


async def versions_of(io: Io, place: wire.Place, ref: DeploymentRef) -> list[Version]:
    """Give the deployments that serve, served or could serve, newest first.

    Those of other environments are among them: any can be promoted.
    """
    current = ref.version
    if not place.deployment:
        environment = document(await io.send(wire.get_environment(place.model, place.environment)))
        current = str((environment.get("current_deployment") or {}).get("id", ""))
    listing = document(await io.send(wire.get_deployments(place.model)))
    found = [
        each
        for each in member(listing, "deployments", list)
        if rollout_of(each) is not Rollout.FAILED and not each.get("is_development")
    ]
    found.sort(key=lambda each: created_at(each) or 0.0, reverse=True)
    return [version_of(each, current) for each in found]


async def promote(io: Io, place: wire.Place, version: str) -> dict[str, Any]:
    """Let a deployment serve in an environment, and give it once it does.

    Raises:
        BadRequest: The address names one deployment, which nothing can replace.
        ProviderUnavailable: It does not start.
    """
    if place.deployment:
        raise BadRequest(
            f"{place.address} is one deployment, which nothing can replace",
            provider="baseten",
            next_step="roll an environment back: baseten://MODEL or baseten://MODEL/ENVIRONMENT",
        )
    asked = document(await io.send(wire.promote(place.model, place.environment, version)))
    wanted = str(member(asked, "id", str))  # another one, where promoting deploys it again
    ends, pause = io.now() + _PATIENCE_S, _PAUSES_S[0]
    while True:
        environment = document(await io.send(wire.get_environment(place.model, place.environment)))
        current: dict[str, Any] = environment.get("current_deployment") or {}
        promotion = environment.get("in_progress_promotion") or {}
        if current.get("id") == wanted and rollout_of(current) is Rollout.READY:
            return current
        failed = promotion.get("status") in ("FAILED", "CANCELED")
        if failed or io.now() >= ends:
            raise _not_promoted(version, str(promotion.get("error_message") or ""))
        await io.sleep(pause)
        pause = min(pause * 1.5, _PAUSES_S[1])


def _not_promoted(version: str, words: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"the deployment {version} was not promoted: {words or 'it does not start'}",
        provider="baseten",
        accepted=None,
        next_step="look at the promotion in Baseten's pages; what served before still does",
    )
