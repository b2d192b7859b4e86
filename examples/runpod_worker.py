"""Functions on RunPod: their plans, and with an account their deploy.

    python examples/runpod_worker.py

Without RUNPOD_API_KEY nothing is sent: the program prints how the code would travel, what a worker
costs and what RunPod carries otherwise than asked. With it the functions are deployed, called and
deleted again, which costs some cents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import gpuhub


@gpuhub.function(
    gpu=["L4", "A5000"],
    image=gpuhub.Image(python="3.12"),
    scaling=gpuhub.Scaling(max_workers=2, idle_timeout=30, concurrency=4),
    timeout=120,
    options={"runpod": {"ttl": 3600}},
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
    print(f"{plan.deployment}: {plan.ship.mode} ({plan.ship.size:,} bytes), {plan.ship.reason}")
    price = plan.cost.worker_usd_per_hour
    print(f"  a busy worker: {'price unknown' if price is None else f'{price:.2f} USD an hour'}")
    for row in plan.rows:
        if row.set and row.fidelity not in ("exact", "pinned-default"):
            print(f"  {row.field}: {row.fidelity}: {row.reason}")


def main() -> None:
    """Plan both functions; deploy, call and delete them where there is an account."""
    with gpuhub.Workspace(provider="runpod", app="example"):
        for function in (distances, primes):
            show(function.plan())
        if "RUNPOD_API_KEY" not in os.environ:
            print("set RUNPOD_API_KEY to deploy them")
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
