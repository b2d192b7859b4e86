"""Steps that several tests take."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

MUTATIONS = ("POST", "PUT", "PATCH", "DELETE")


def deploy(lab: Any, bundle: Any, **settings: Any) -> Any:
    """Deploy below the engine."""
    secrets = {"TOKEN": SecretStr("a-secret-value")}
    plan = lab.plan(bundle, **settings).with_facts(secret_values=secrets)
    return lab.run(lab.adapter.deploy(lab.io, plan, None))


def mutations(provider: Any, mark: int = 0) -> list[tuple[str, str]]:
    """Give the changing requests since a mark."""
    return [
        (each.method, each.path.partition("?")[0])
        for each in list(provider.requests)[mark:]
        if each.method in MUTATIONS
    ]
