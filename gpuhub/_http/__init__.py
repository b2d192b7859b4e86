"""Everything that talks HTTP. The only importer of httpx, which is loaded at the first request."""

from __future__ import annotations

from gpuhub._http.blocking import BlockingIo
from gpuhub._http.connections import Connections
from gpuhub._http.origins import Origins
from gpuhub._http.outgoing import ConnectionLimits

__all__ = ["BlockingIo", "ConnectionLimits", "Connections", "Origins"]
