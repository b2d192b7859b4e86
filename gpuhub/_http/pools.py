"""Many connections in small pools.

httpcore looks at all connections of a pool, for each of them that is idle, whenever a request
begins or ends: with 256 threads that is 9 ms of work per request. In pools of 16 it is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["POOL_SIZE", "Pool", "Pools"]

C = TypeVar("C")

POOL_SIZE = 16


@dataclass(slots=True, eq=False)
class Pool(Generic[C]):
    """One client and how many requests it has in flight."""

    client: C
    size: int
    busy: int = 0


class Pools(Generic[C]):
    """Spreads requests: the first pool that has room, so that few requests share connections.

    Args:
        make: Makes a client for so many connections.
        total: Most connections in all pools together.
        size: Most connections in one pool.
    """

    def __init__(self, make: Callable[[int], C], total: int, size: int = POOL_SIZE) -> None:
        self._make = make
        self._left = total
        self._size = size
        self._pools: list[Pool[C]] = []
        self._lock = Lock()

    def __iter__(self) -> Iterator[C]:
        """Iterate over the clients made so far."""
        return iter([pool.client for pool in self._pools])

    def take(self) -> Pool[C]:
        """A pool for one request; where all are full, the emptiest, whose client will queue it."""
        with self._lock:
            pool = self._with_room() or self._new() or min(self._pools, key=_busy)
            pool.busy += 1
            return pool

    def give_back(self, pool: Pool[C]) -> None:
        """Say that the request has ended."""
        with self._lock:
            pool.busy -= 1

    def _with_room(self) -> Pool[C] | None:
        for pool in self._pools:
            if pool.busy < pool.size:
                return pool
        return None

    def _new(self) -> Pool[C] | None:
        size = min(self._size, self._left)
        if size < 1:
            return None
        self._left -= size
        self._pools.append(Pool(self._make(size), size))
        return self._pools[-1]


def _busy(pool: Pool[C]) -> int:
    return pool.busy
