"""A decorated function keeps the signature its author wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_type

import gpuhub


@gpuhub.function(gpu="A100-80GB", timeout=60)
def embed(texts: list[str], *, scale: float = 1.0) -> list[list[float]]:
    """Give a vector for each text."""
    return [[len(text) * scale] for text in texts]


@gpuhub.function
def count(number: int) -> Iterator[int]:
    """Count up to a number."""
    yield from range(number)


def calls_as_written() -> None:
    """Local and remote calls give what the function gives."""
    assert_type(embed(["hi"]), list[list[float]])
    assert_type(embed.remote(["hi"], scale=2.0), list[list[float]])
    assert_type(embed.spawn(["hi"]), gpuhub.Call[list[list[float]]])
    assert_type(embed.spawn(["hi"]).result(), list[list[float]])


async def calls_on_a_loop() -> None:
    """The twins give the same."""
    assert_type(await embed.remote_async(["hi"]), list[list[float]])
    assert_type(await embed.spawn_async(["hi"]), gpuhub.Call[list[list[float]]])


def deployed() -> None:
    """An endpoint of a function keeps its signature."""
    endpoint = embed.deploy()
    assert_type(endpoint.invoke(["hi"]), list[list[float]])
    endpoint.invoke(7)  # expect-error: arg-type


def wrong_calls() -> None:
    """What the function refuses, the checkers refuse."""
    embed(7)  # expect-error: arg-type
    embed.remote(7)  # expect-error: arg-type
    embed.remote(["hi"], scales=2.0)  # expect-error: call-arg
    embed.spawn()  # expect-error: call-arg
