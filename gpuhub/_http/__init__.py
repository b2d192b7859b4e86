"""Everything that talks HTTP. The only importer of httpx, which is loaded at the first request."""

from __future__ import annotations

from gpuhub._http.blocking import BlockingIo
from gpuhub._http.connections import Connections
from gpuhub._http.on_loop import AsyncIo
from gpuhub._http.outgoing import ConnectionLimits

__all__ = ["AsyncIo", "BlockingIo", "ConnectionLimits", "Connections"]
