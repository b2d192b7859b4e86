"""Finding what gpuhub deployed, on any machine: Modal keeps it in the app's tags."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuhub.errors import NotFound
from gpuhub_modal.states import reference

if TYPE_CHECKING:
    from gpuhub.adapter import DeploymentRef, Io
    from gpuhub_modal.session import Session

__all__ = ["found"]


async def found(io: Io, session: Session, name: str) -> DeploymentRef | None:
    """Look for what gpuhub deployed under a name, with the address of a web function."""
    try:
        app = await io.run(session.app, name)
    except NotFound:
        return None
    ref = reference(name, app)
    if ref is None or ref.data["kind"] != "web":
        return ref
    facts = await io.run(session.function, name, ref.data["function"])
    return replace(ref, url=facts.web_url)
