"""Functions on Modal: their plans, and with a token their deploy.

    python examples/modal_worker.py
    MODAL_TOKEN_ID=… MODAL_TOKEN_SECRET=… python examples/modal_worker.py

Without a token nothing is sent, and the package ``modal`` is not needed: the program prints what
Modal would receive, and what it does otherwise than asked. With one the functions are deployed,
called and deleted again, which costs some cents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import gpuhub


@gpuhub.function(
    gpu=["H100", "A100"],
    image=gpuhub.Image(python="3.12"),
    scaling=gpuhub.Scaling(max_workers=2, idle_timeout=1),
    timeout=120,
    options={"modal": {"strategy": "recreate"}},
)
def distances(points: list[list[float]], origin: list[float]) -> list[float]:
    """Measure how far each point is from the origin."""
    return [math.dist(point, origin) for point in points]


@gpuhub.function(
    image=gpuhub.Image(python="3.12"),
    batching=gpuhub.Batching(max_size=8, wait=0.1),
    retries=2,
)
def squares(number: Any) -> Any:
    """Square the numbers of up to eight calls: a call has one, the function gets a list."""
    return [each * each for each in number]


@gpuhub.function(image=gpuhub.Image(python="3.12"))
def primes(below: int) -> Iterator[int]:
    """Yield primes as they are found."""
    for number in range(2, below):
        if all(number % each for each in range(2, math.isqrt(number) + 1)):
            yield number


def show(plan: gpuhub.Plan) -> None:
    """Print what Modal is asked to run, and what is not exactly as asked."""
    function = plan.request("function").json
    print(f"{plan.deployment}: {function['implementation_name']}, {function['resources']}")
    for row in plan.rows:
        if row.set and row.fidelity not in ("exact", "pinned-default"):
            print(f"  {row.field}: {row.fidelity}: {row.reason}")


def main() -> None:
    """Plan all functions; deploy, call and delete them where there is a token."""
    with gpuhub.Workspace(provider="modal", app="example"):
        for plan in (distances.plan(), squares.plan(), primes.plan()):
            show(plan)
        if "MODAL_TOKEN_ID" not in os.environ:
            print("set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to deploy them")
            return
        measured, squared, found = distances.deploy(), squares.deploy(), primes.deploy()
        try:
            print(measured.invoke([[3.0, 4.0]], origin=[0.0, 0.0]))
            print([call.result(timeout=600) for call in map(squared.spawn, range(4))])
            print(list(found.stream(20)))
            print(measured.status())
        finally:
            measured.delete()
            squared.delete()
            found.delete()


if __name__ == "__main__":
    main()
