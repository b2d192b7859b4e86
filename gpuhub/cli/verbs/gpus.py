"""``gpuhub gpus``: the catalogue, and what a provider makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from gpuhub.cli.cost import per_hour
from gpuhub.cli.output import styled, table
from gpuhub.cli.plans import shown_value
from gpuhub.cli.run import Run
from gpuhub.errors import GpuHubError

if TYPE_CHECKING:
    from gpuhub.adapter import Adapter
    from gpuhub.gpus import Gpu

__all__ = ["gpus"]


def gpus(run: Run) -> None:
    """List the GPUs that gpuhub knows, with memory and other spellings.

    With --provider only those that the provider offers, with its own name and price.
    """
    from gpuhub.gpus import catalogue

    cards = {card.name: _card(card) for card in catalogue()}
    if run.provider is None:
        run.out.result({"gpus": list(cards.values())}, _catalogue(list(cards.values())))
        return
    workspace = run.workspace()
    module = workspace.adapter_module(run.provider)
    adapter = module.create(workspace.provider_settings(run.provider))
    offers = {name: _offer(adapter, name) for name in cards}
    offered = [cards[name] | offer for name, offer in offers.items() if offer is not None]
    run.out.result({"provider": run.provider, "gpus": offered}, _offered(offered))


def _card(card: Gpu) -> dict[str, Any]:
    return {
        "name": card.name,
        "memory_gb": card.memory_gb,
        "architecture": card.architecture,
        "family": card.family,
        "aliases": list(card.vendor_aliases),
        "note": card.note,
    }


def _offer(adapter: Adapter, name: str) -> dict[str, Any] | None:
    """What a plan for one such card says; ``None`` when the provider has none.

    Planning is pure, so asking about every card sends nothing.
    """
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub.worker.target import Target

    target = Target("app", "function")
    empty: Mapping[str, bytes] = MappingProxyType({})
    spec = FunctionSpec(app="gpus", name="any", target=target, gpu=name)
    try:
        plan = adapter.plan(spec, Bundle(empty, target, "0" * 64))
    except GpuHubError:
        return None
    row = plan.row("gpu")
    if row.native is None:
        return None
    return {
        "native": row.value,
        "fidelity": row.fidelity.value,
        "reason": row.reason,
        "usd_per_hour": plan.cost.worker_usd_per_hour,
    }


def _catalogue(cards: list[dict[str, Any]]) -> RenderableType:
    rows = [
        [each["name"], *_memory(each), ", ".join(each["aliases"]), each["note"]] for each in cards
    ]
    return table("name", "memory", "architecture", "family", "other spellings", "note", rows=rows)


def _memory(each: dict[str, Any]) -> tuple[str, str, str]:
    family = each["family"] if each["family"] != each["name"] else ""
    return f"{each['memory_gb']} GB", each["architecture"], family


def _offered(cards: list[dict[str, Any]]) -> RenderableType:
    rows: list[list[RenderableType]] = [
        [
            each["name"],
            f"{each['memory_gb']} GB",
            shown_value(each["native"]),
            styled(each["fidelity"]),
            per_hour(each["usd_per_hour"]),
            each["reason"],
        ]
        for each in cards
    ]
    return table("name", "memory", "native", "fidelity", "price", "reason", rows=rows)
