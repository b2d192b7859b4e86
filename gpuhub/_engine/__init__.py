"""The use cases: check, plan, deploy, wait, invoke, poll.

``async def`` over an injected :class:`~gpuhub.adapter.Io`, no I/O of its own besides the journal.
"""

from __future__ import annotations

from gpuhub._engine.calls import Calls, CallSettings
from gpuhub._engine.deployments import Deployments
from gpuhub._engine.planning import Planner

__all__ = ["CallSettings", "Calls", "Deployments", "Planner"]
