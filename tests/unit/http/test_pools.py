"""Requests spread over small pools."""

from __future__ import annotations

import random

from gpuhub._http.pools import Pool, Pools


def test_few_requests_share_a_pool():
    """A request that ended makes room: one after the other need one client."""
    pools = Pools(lambda size: size, total=288, size=16)
    for _ in range(100):
        pools.give_back(pools.take())
    assert list(pools) == [16]


def test_many_requests_make_as_many_pools_as_needed():
    """Pools fill one after the other, and together they have the connections asked for."""
    pools = Pools(lambda size: size, total=40, size=16)
    taken = [pools.take() for _ in range(40)]
    assert list(pools) == [16, 16, 8]
    assert [taken.count(pool) for pool in dict.fromkeys(taken)] == [16, 16, 8]


def test_the_emptiest_takes_what_is_too_much():
    """Beyond the total nothing is made: a client queues it, the one with the shortest queue."""
    pools = Pools(lambda size: [size], total=3, size=2)
    taken = [pools.take() for _ in range(7)]
    assert list(pools) == [[2], [1]]
    assert [pool.busy for pool in dict.fromkeys(taken)] == [4, 3]


def test_room_is_found_again():
    """After any order of ends, no pool holds more than its size while others have room."""
    pools = Pools(lambda size: [size], total=64, size=16)
    taken: list[Pool[list[int]]] = []
    chance = random.Random(7)  # noqa: S311 - any order will do
    for _ in range(2000):
        if taken and (len(taken) == 64 or chance.random() < 0.5):
            pools.give_back(taken.pop(chance.randrange(len(taken))))
        else:
            taken.append(pools.take())
            assert taken[-1].busy <= taken[-1].size
