"""Removing what deploys have made."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gpuhub.errors import NotFound
from gpuhub_baseten import wire
from gpuhub_baseten.defaults import PRODUCTION
from gpuhub_baseten.errors import document, member

if TYPE_CHECKING:
    from gpuhub.adapter import Io

__all__ = ["remove"]


async def remove(io: Io, place: wire.Place, name: str) -> None:
    """Remove a model with its deployments and its local secrets.

    Baseten deletes no production deployment but with its model. Of another environment, beside a
    production one, the model stays; so it does of a single deployment.

    Raises:
        NotFound: It is gone.
    """
    if place.deployment:
        await io.send(wire.delete_deployment(place.model, place.deployment))
        return
    model = document(await io.send(wire.get_model(place.model)))
    if place.environment != PRODUCTION and model.get("production_deployment_id"):
        await _remove_environment(io, place)
        return
    await io.send(wire.delete_model(place.model))
    await _remove_secrets(io, f"gpuhub-{name}-")


async def _remove_environment(io: Io, place: wire.Place) -> None:
    """Remove an environment, which frees its deployments, and then those."""
    listing = document(await io.send(wire.get_deployments(place.model)))
    theirs = [
        str(member(deployment, "id", str))
        for deployment in member(listing, "deployments", list)
        if deployment.get("environment") == place.environment
    ]
    await io.send(wire.delete_environment(place.model, place.environment))
    for deployment in theirs:
        with suppress(NotFound):
            await io.send(wire.delete_deployment(place.model, deployment))


async def _remove_secrets(io: Io, begins: str) -> None:
    """Remove the secrets that local ones were stored as: nothing else is called so."""
    listing = document(await io.send(wire.get_secrets()))
    for secret in member(listing, "secrets", list):
        if str(secret.get("name", "")).startswith(begins):
            with suppress(NotFound):
                await io.send(wire.delete_secret(secret["name"]))
