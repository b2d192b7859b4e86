"""Functions on Replicate: their plans, and with an account their deploy. No Docker.

    python examples/replicate_worker.py

Without REPLICATE_API_TOKEN nothing is sent: the program prints what would be pushed, what a worker
costs and what Replicate carries otherwise than asked. With it the functions are deployed, called
and switched off again, which costs some cents; `gpuhub doctor` removes them after 15 minutes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import gpuhub


@gpuhub.function(
    gpu=["L40S", "A100-80GB"],
    image=gpuhub.Image(python="3.12", pip=["numpy==2.2.6"]),
    scaling=gpuhub.Scaling(max_workers=2, concurrency=4),
    timeout=120,
)
def distances(points: list[list[float]], origin: list[float]) -> list[float]:
    """Measure how far each point is from the origin."""
    return [math.dist(point, origin) for point in points]


@gpuhub.function(image=gpuhub.Image(python="3.12"), name="primes")
def primes(below: int) -> Iterator[int]:
    """Yield primes as they are found."""
    for number in range(2, below):
        if all(number % each for each in range(2, math.isqrt(number) + 1)):
            yield number


def show(plan: gpuhub.Plan) -> None:
    """Print how the code travels, what a worker costs and what is not exactly as asked."""
    print(f"{plan.deployment}: {plan.ship.mode}, {plan.ship.reason}")
    price = plan.cost.worker_usd_per_hour
    print(f"  a worker: {'price unknown' if price is None else f'{price:.2f} USD an hour'}")
    for row in plan.rows:
        if row.set and row.fidelity not in ("exact", "pinned-default"):
            print(f"  {row.field}: {row.fidelity}: {row.reason}")
    for warning in plan.warnings:
        print(f"  warning: {warning}")


def main() -> None:
    """Plan both functions; deploy, call and delete them where there is an account."""
    with gpuhub.Workspace(provider="replicate", app="example"):
        for function in (distances, primes):
            show(function.plan())
        if "REPLICATE_API_TOKEN" not in os.environ:
            print("set REPLICATE_API_TOKEN to deploy them")
            return
        measured, found = distances.deploy(), primes.deploy()
        try:
            print(measured.invoke([[3.0, 4.0]], origin=[0.0, 0.0]))
            print(list(found.stream(20)))
            print(measured.status())
        finally:
            measured.delete()
            found.delete()


if __name__ == "__main__":
    main()
