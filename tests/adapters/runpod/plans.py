"""Plans of a function for RunPod, and what a deploy would send."""

from __future__ import annotations

from typing import Any

from gpuhub.plan import Plan
from gpuhub_runpod.defaults import Defaults
from gpuhub_runpod.translate import make_plan
from tests.adapters.plans import inputs

DEFAULTS = Defaults()
WITH_REGISTRY = Defaults(registry="docker.io/me/workers", registry_auth_id="reg1")


def plan(defaults: Defaults = DEFAULTS, **settings: Any) -> Plan:
    """Plan a function."""
    return make_plan(*inputs("shop", **settings), defaults)


def create_body(plan: Plan) -> dict[str, Any]:
    """Give the body as it is sent, the ids filled in."""
    steps = {"gpuhub": {"fingerprint": "f" * 64}, "push": {"image": "docker.io/me/w@sha256:1"}}
    steps |= {"volumes": {"models": "vol1", "a": "vol2"}}
    steps |= {"registries": {"my-registry": "reg1", "r": "reg2"}}
    body: dict[str, Any] = plan.request("create", steps).json
    return body
