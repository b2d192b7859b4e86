"""Many calls at a time: ordered, bounded in memory, resumable."""

from __future__ import annotations

from gpuhub._map.blocking import map_blocking
from gpuhub._map.items import MapOptions, MapSource
from gpuhub._map.on_loop import map_on_loop

__all__ = ["MapOptions", "MapSource", "map_blocking", "map_on_loop"]
