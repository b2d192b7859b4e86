"""The older GraphQL API, as far as ``truss push`` asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_baseten.emulator.problems import Problem
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.planes.store import Store
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Graph"]


class Graph:
    """``/graphql/``.

    Args:
        site: What all parts share.
        account: Whose models.
        store: Takes archives.
    """

    def __init__(self, site: Site, account: Account, store: Store) -> None:
        self._site = site
        self._account = account
        self._store = store

    async def handle(self, _request: Request) -> Answer:
        """``POST /graphql/``."""
        raise Problem(400, "unknown query")
