"""One endpoint: its configuration, releases, jobs and workers."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub.adapter.reading import rfc3339
from gpuhub_runpod.emulator.releases import Release, difference
from gpuhub_runpod.emulator.rules import idles_by_request_count
from gpuhub_runpod.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub.testing.emulator.logs import WorkerLog
    from gpuhub_runpod.emulator.jobs import Job
    from gpuhub_runpod.emulator.workers import Worker

__all__ = ["Endpoint"]

_STATES = ("running", "idle", "initializing", "throttled", "unhealthy")


@dataclass(slots=True, eq=False)
class Endpoint:
    """One endpoint. Changed with the lock held.

    Attributes:
        site: What all parts share.
        id: Unique.
        config: All its fields but those that follow from others.
        created_at: Seconds since the epoch.
        releases: Oldest first.
        jobs: All that can still be asked about, by id.
        queue: Those that wait, first one first.
        workers: Those that exist, by id.
        logs: Of workers that exist or existed, by id.
        ended: How many jobs ended in each state, and ``retried``.
        asked_at: When a job was last submitted.
        visitors: Open requests of a load balancer, the waiting ones included.
        is_deleted: It is gone.
    """

    site: Site
    id: str
    config: dict[str, Any]
    created_at: float
    releases: list[Release] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    queue: deque[Job] = field(default_factory=deque)
    workers: dict[str, Worker] = field(default_factory=dict)
    logs: dict[str, WorkerLog] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    asked_at: float = 0.0
    visitors: int = 0
    is_deleted: bool = False

    @property
    def release(self) -> Release:
        """The current configuration."""
        return self.releases[-1]

    @property
    def is_queue(self) -> bool:
        """Whether jobs wait in a queue; otherwise requests go to a load balancer."""
        return bool(self.config["type"] == "QUEUE")

    def add_release(self, config: dict[str, Any]) -> Release | None:
        """Take a configuration; give the release it makes, if it makes one."""
        before = self.releases[-1].config if self.releases else {}
        diff = difference(before, config)
        self.config = config
        if self.releases and not diff:
            return None
        version = len(self.releases) + 1
        wall = self.site.timeline.wall()
        self.releases.append(Release(self.site.new_id("rel_"), version, wall, config, diff))
        return self.release

    def running(self) -> int:
        """Count the jobs in progress."""
        return sum(len(worker.jobs) for worker in self.workers.values())

    def pending_s(self) -> float:
        """Real seconds worth waiting for processes that should be up, or code that runs."""
        if boot_s := self.pending_boot_s():
            return boot_s
        is_busy = any(each.at_work or each.is_returning for each in self.workers.values())
        return self.site.options.hold_s if is_busy else 0.0

    def pending_boot_s(self) -> float:
        """Real seconds worth waiting for processes that should be up by the clock."""
        now = self.site.timeline.now()
        late = any(each.is_booting and now >= each.ready_at for each in self.workers.values())
        return self.site.options.boot_s if late else 0.0

    def counts(self) -> dict[str, int]:
        """Count workers by state."""
        now = self.site.timeline.now()
        found = Counter(worker.status(now).lower() for worker in self.workers.values())
        return {state: found[state] for state in _STATES}

    def shown(self, base: str) -> dict[str, Any]:
        """Give RunPod's description."""
        body: dict[str, Any] = {
            **self.config,
            "id": self.id,
            "workers": dict(self.config["workers"]),
            "requestUrls": self._urls(base),
            "createdAt": rfc3339(self.created_at),
        }
        if idles_by_request_count(self.config):
            body["workers"].pop("idleTimeout", None)
        if "gpu" in self.config:
            gpu = self.config["gpu"]
            body["gpu"] = {**gpu, "minCudaVersion": gpu["minCudaVersion"] or None}
        return body

    def shown_workers(self) -> dict[str, Any]:
        """Give the answer of ``GET …/workers``."""
        now, wall = self.site.timeline.now(), self.site.timeline.wall()
        version = self.release.version
        counts = self.counts()
        return {
            "endpointVersion": version,
            "workers": [
                worker.shown(
                    now,
                    version,
                    rfc3339(wall - (now - worker.started_at)),
                    worker.release.config["image"],
                )
                for worker in self.workers.values()
            ],
            "summary": {**counts, "total": sum(counts.values())},
        }

    def shown_releases(self) -> dict[str, Any]:
        """Give the answer of ``GET …/releases``."""
        on = Counter(worker.release.version for worker in self.workers.values())
        total, latest = sum(on.values()), on[self.release.version]
        return {
            "endpointVersion": self.release.version,
            "rollout": {
                "inProgress": latest < total,
                "workersOnLatest": latest,
                "workersTotal": total,
                "percentOnLatest": round(100 * latest / total) if total else 0,
            },
            "releases": [
                each.shown(rfc3339(each.created_at), on[each.version])
                for each in reversed(self.releases)
            ],
        }

    def shown_health(self) -> dict[str, Any]:
        """Give the answer of ``/health``."""
        counts = self.counts()
        return {
            "jobs": {
                "completed": self.ended["COMPLETED"],
                "failed": self.ended["FAILED"] + self.ended["TIMED_OUT"],
                "inProgress": self.running(),
                "inQueue": len(self.queue),
                "retried": self.ended["retried"],
            },
            "workers": {**counts, "ready": counts["idle"] + counts["running"]},
        }

    def _urls(self, base: str) -> dict[str, str]:
        if not self.is_queue:
            return {"base": f"{base}/lb/{self.id}", "health": f"{base}/lb/{self.id}/ping"}
        paths = {
            "run": "run",
            "runSync": "runsync",
            "status": "status/{job_id}",
            "stream": "stream/{job_id}",
            "cancel": "cancel/{job_id}",
            "retry": "retry/{job_id}",
            "purgeQueue": "purge-queue",
            "health": "health",
        }
        return {name: f"{base}/v2/{self.id}/{path}" for name, path in paths.items()}
