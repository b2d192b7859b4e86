"""What warm workers cost, said before they are started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub.plan import Plan

__all__ = ["deploy_question", "dollars", "idle_cost", "per_hour", "scale_question"]


def dollars(amount: float) -> str:
    """An amount in USD: cents, or more digits for a fraction of one."""
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.4f}"


def per_hour(amount: float | None) -> str:
    """A price per hour, or that it is not known."""
    return "unknown" if amount is None else f"{dollars(amount)}/h"


def deploy_question(plans: Iterable[Plan], *, warm: bool) -> str | None:
    """What a deploy would keep or start warm, and its price; ``None`` when nothing."""
    lines = [line for plan in plans for line in _warm_lines(plan, warm=warm)]
    return "\n".join(lines) or None


def _warm_lines(plan: Plan, *, warm: bool) -> list[str]:
    least = plan.spec.scaling.min_workers
    if least:
        said = idle_cost(plan.cost.idle_usd_per_hour, plan.cost.source)
        return [f"{plan.deployment} keeps {_workers(least)} warm, billed without traffic: {said}"]
    if warm:
        said = idle_cost(plan.cost.worker_usd_per_hour, plan.cost.source)
        until = f"billed until it was idle for {plan.spec.scaling.idle_timeout:g} s"
        return [f"{plan.deployment} starts 1 worker now (--warm), {until}: {said}"]
    return []


def scale_question(name: str, min_workers: int, cost: Mapping[str, Any]) -> str:
    """What so many warm workers cost.

    Args:
        name: The deployment.
        min_workers: Workers to keep warm, at least 1.
        cost: ``Plan.cost`` of the deployed version as JSON values; empty when not known.
    """
    price = cost.get("worker_usd_per_hour")
    total = None if price is None else price * min_workers
    said = idle_cost(total, str(cost.get("source", "")))
    return f"{name} would keep {_workers(min_workers)} warm, billed without traffic: {said}"


def idle_cost(amount: float | None, source: str) -> str:
    """What an idle hour costs, with where the price is from."""
    if amount is None:
        return "what an idle hour costs is unknown; see the provider's price list"
    origin = f" ({source})" if source else ""
    return f"an idle hour costs {dollars(amount)}{origin}"


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"
