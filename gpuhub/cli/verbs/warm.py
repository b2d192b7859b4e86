"""``gpuhub warm``: start a worker before the first call."""

from __future__ import annotations

from rich.text import Text

from gpuhub.cli.cost import idle_cost
from gpuhub.cli.names import Name, find_deployment
from gpuhub.cli.run import Run

__all__ = ["warm"]


def warm(run: Run, name: Name) -> None:
    """Start a worker now. It is billed from its start until it was idle for long enough."""
    deployment = find_deployment(run, name)
    deployment.endpoint.warm()
    cost = deployment.plan.get("cost", {})
    price = cost.get("worker_usd_per_hour")
    document = {
        "deployment": deployment.ref.name,
        "provider": deployment.ref.provider,
        "worker_usd_per_hour": price,
    }
    said = idle_cost(price, str(cost.get("source", "")))
    run.out.result(document, Text(f"{deployment.ref.name} has a worker starting; {said}"))
