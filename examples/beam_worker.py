"""Functions on Beam, or on a beta9 gateway of your own: their plans, and with a token their deploy.

    python examples/beam_worker.py
    GPUHUB_BEAM_GATEWAY_URL=http://localhost:1994 BEAM_TOKEN=… python examples/beam_worker.py

Without BEAM_TOKEN nothing is sent: the program prints what each function becomes at Beam, and what
Beam does otherwise than asked. With it the functions are deployed, called and deleted again, which
costs some cents on hosted Beam.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import gpuhub


@gpuhub.function(
    gpu=["RTX-4090", "A10G"],
    image=gpuhub.Image(python="3.12"),
    scaling=gpuhub.Scaling(max_workers=2, idle_timeout=5),
    timeout=120,
)
def distances(points: list[list[float]], origin: list[float]) -> list[float]:
    """Measure how far each point is from the origin."""
    return [math.dist(point, origin) for point in points]


@gpuhub.function(image=gpuhub.Image(python="3.12"), timeout=1800, name="survey")
def survey(size: int) -> int:
    """Take longer than Beam lets a request take: every call goes through a task queue."""
    return sum(number * number for number in range(size))


@gpuhub.function(image=gpuhub.Image(python="3.12"), name="primes")
def primes(below: int) -> Iterator[int]:
    """Yield primes as they are found."""
    for number in range(2, below):
        if all(number % each for each in range(2, math.isqrt(number) + 1)):
            yield number


def show(plan: gpuhub.Plan) -> None:
    """Print what a function becomes, and what is not exactly as asked."""
    print(f"{plan.deployment}: {plan.row('target').reason}")
    for row in plan.rows:
        if row.set and row.fidelity not in ("exact", "pinned-default"):
            print(f"  {row.field}: {row.fidelity}: {row.reason}")


def main() -> None:
    """Plan all functions; deploy, call and delete them where there is a token."""
    with gpuhub.Workspace(provider="beam", app="example"):
        for plan in (distances.plan(), survey.plan(), primes.plan()):
            show(plan)
        if "BEAM_TOKEN" not in os.environ:
            print("set BEAM_TOKEN to deploy them")
            return
        measured, counted, found = distances.deploy(), survey.deploy(), primes.deploy()
        try:
            print(measured.invoke([[3.0, 4.0]], origin=[0.0, 0.0]))
            print(counted.spawn(1000).result(timeout=600))
            print(list(found.stream(20)))
            print(measured.status())
        finally:
            measured.delete()
            counted.delete()
            found.delete()


if __name__ == "__main__":
    main()
