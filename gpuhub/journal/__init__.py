"""What must survive a crash: deployments, calls in flight, progress of maps.

One SQLite file in WAL mode, safe for several threads and several processes. It holds what its
callers give it and checks none of it for secrets: give it plans and payloads whose secrets are
names, never values.
"""

from __future__ import annotations

from gpuhub.journal.calls import Mode, OpenCall
from gpuhub.journal.journal import Journal
from gpuhub.journal.map_runs import Finished, MapCounts, MapRun, Started
from gpuhub.journal.records import DeploymentRecord, UnfinishedDeploy

__all__ = [
    "DeploymentRecord",
    "Finished",
    "Journal",
    "MapCounts",
    "MapRun",
    "Mode",
    "OpenCall",
    "Started",
    "UnfinishedDeploy",
]
