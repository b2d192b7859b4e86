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

    Baseten deletes no production deployment but with its model. An environment beside it gives its
    deployments back, and the model stays.

    Raises:
        NotFound: It is gone.
    """
    model = document(await io.send(wire.get_model(place.model)))
    others = place.environment != PRODUCTION and model.get("production_deployment_id")
    if place.deployment or others:
        listing = document(await io.send(wire.get_deployments(place.model)))
        for deployment in member(listing, "deployments", list):
            if deployment["id"] == place.deployment or (
                not place.deployment and deployment.get("environment") == place.environment
            ):
                with suppress(NotFound):
                    await io.send(wire.deactivate(place.model, deployment["id"]))
                await io.send(wire.delete_deployment(place.model, deployment["id"]))
        return
    await io.send(wire.delete_model(place.model))
    await _remove_secrets(io, f"gpuhub-{name}-")


async def _remove_secrets(io: Io, begins: str) -> None:
    """Remove the secrets that local ones were stored as: nothing else is called so."""
    listing = document(await io.send(wire.get_secrets()))
    for secret in member(listing, "secrets", list):
        if str(secret.get("name", "")).startswith(begins):
            with suppress(NotFound):
                await io.send(wire.delete_secret(secret["name"]))
