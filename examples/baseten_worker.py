"""Functions on Baseten: their plans and Truss folders, and with an account their deploy.

    python examples/baseten_worker.py

Without BASETEN_API_KEY nothing is sent: the program prints what Baseten carries otherwise than
asked, and the `config.yaml` of the Truss that a deploy would push. With it the functions are
deployed, called and deleted again, which costs some cents: every push starts a replica.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gpuhub


@gpuhub.function(
    gpu=["A10G", "L4"],
    cpu=4,
    memory=16_384,
    image=gpuhub.Image(python="3.12"),
    scaling=gpuhub.Scaling(max_workers=2, idle_timeout=120, concurrency=4),
    timeout=120,
    options={"baseten": {"target_utilization": 60}},
)
def histogram(values: list[float], bins: int = 4) -> list[int]:
    """Count how many values fall into each of some equal bins."""
    least, width = min(values), (max(values) - min(values)) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(int((value - least) / width), bins - 1)] += 1
    return counts


@gpuhub.function(image=gpuhub.Image(python="3.12"))
def words(text: str) -> Iterator[str]:
    """Yield the words of a text as they are found."""
    yield from text.split()


def show(plan: gpuhub.Plan) -> None:
    """Print what is not exactly as asked, and the configuration that would be pushed."""
    from gpuhub_baseten.export import export

    print(f"{plan.deployment}: {plan.ship.mode} ({plan.ship.size:,} bytes), {plan.ship.reason}")
    for row in plan.rows:
        if row.set and row.fidelity not in ("exact", "pinned-default"):
            print(f"  {row.field}: {row.fidelity}: {row.reason}")
    with tempfile.TemporaryDirectory() as folder:
        export(plan, Path(folder))
        print((Path(folder) / "config.yaml").read_text("utf-8"))


def main() -> None:
    """Plan both functions; deploy, call and delete them where there is an account."""
    with gpuhub.Workspace(provider="baseten", app="example"):
        for function in (histogram, words):
            show(function.plan())
        if "BASETEN_API_KEY" not in os.environ:
            print("set BASETEN_API_KEY to deploy them")
            return
        counted, split = histogram.deploy(), words.deploy()
        try:
            print(counted.invoke([1.0, 2.0, 2.5, 4.0]))
            print(list(split.stream("one word after another")))
            print(counted.status())
        finally:
            counted.delete()
            split.delete()


if __name__ == "__main__":
    main()
