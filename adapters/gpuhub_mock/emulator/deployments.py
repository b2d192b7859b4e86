"""Deployments: their versions, limits, log and schedule, kept for later processes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import Rollout
from gpuhub_mock.emulator.bodies import DeploymentBody, Workers
from gpuhub_mock.emulator.logs import LogBook
from gpuhub_mock.emulator.pool import Pool
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.schedule import next_run
from gpuhub_mock.emulator.versions import VersionRecord

if TYPE_CHECKING:
    from gpuhub_mock.emulator.site import Site
    from gpuhub_mock.emulator.store import Stamp

__all__ = ["Deployment", "DeploymentBook"]

_LOADING_S = 60.0


class Deployment:
    """One deployment. Every method needs the site's lock.

    Args:
        name: Unique at the provider.
        site: What it shares with others.
    """

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.versions: dict[str, VersionRecord] = {}
        self.logs = LogBook(site.clock.wall, site.store.log_file(name))
        self.pool = Pool(site, self.logs)
        self.stamp: Stamp | None = None
        self._site = site
        self._due_at = math.inf
        self._timed_since = 0.0

    @property
    def current(self) -> VersionRecord | None:
        """The version that serves."""
        return self.pool.version

    @property
    def newest(self) -> VersionRecord:
        """The version made last, whether it serves or not."""
        return list(self.versions.values())[-1]

    def add_version(self, body: DeploymentBody) -> VersionRecord:
        """Keep a new version; it does not serve yet."""
        number = max((int(known) for known in self.versions), default=0) + 1
        version = VersionRecord(str(number), body, self._site.clock.wall())
        self.versions[version.id] = version
        return version

    def roll_out(self, version: VersionRecord) -> None:
        """Let a version serve as soon as it can."""
        now = self._site.clock.now()
        self.logs.write(f"version {version.id} is rolled out")
        self.pool.roll_out(version, now)
        self.begin_schedule(version)

    def version(self, version_id: str) -> VersionRecord:
        """Give a version.

        Raises:
            Refusal: There is no such version.
        """
        if version_id in self.versions:
            return self.versions[version_id]
        raise Refusal(404, "not_found", f"{self.name!r} has no version {version_id!r}")

    # Time

    def next_event(self) -> float:
        """When something happens by itself; infinity for never."""
        return min(self._due_at, self.pool.next_event())

    def process(self, now: float, run: Callable[[Deployment], None]) -> None:
        """Let happen what is due; ``run`` makes a scheduled call."""
        self.pool.at = max(self.pool.at, now)
        if self._due_at <= now:
            self._plan_next(now)
            run(self)
        self.pool.process(now)

    def begin_schedule(self, version: VersionRecord) -> None:
        """Run by itself from now on, if the version says so."""
        self._timed_since = self._site.clock.now()
        self._due_at = math.inf
        if version.body.schedule is not None:
            self._plan_next(self._site.clock.now())

    def _plan_next(self, now: float) -> None:
        timer = (self.current or self.newest).body.schedule
        if timer is None:
            self._due_at = math.inf
            return
        # A period counts from the roll-out, a cron line from the epoch.
        offset = 0.0 if timer.every_s else self._site.clock.wall() - self._site.clock.now()
        self._due_at = next_run(timer, now + offset, self._timed_since) - offset

    # Persistence

    def document(self) -> dict[str, Any]:
        """Describe it for later processes; holds no secret value."""
        return {
            "schema": 1,
            "name": self.name,
            "current": self.current.id if self.current else None,
            "limits": self.pool.limits.model_dump(mode="json"),
            "versions": [
                {
                    "id": version.id,
                    "created_at": version.created_at,
                    "rollout": version.rollout.value,
                    "log_tail": list(version.log_tail),
                    "body": version.body.model_dump(mode="json", exclude_defaults=True),
                }
                for version in self.versions.values()
            ],
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what an earlier process described: no worker survives it."""
        for entry in document["versions"]:
            body = DeploymentBody.model_validate(entry["body"])
            rollout = Rollout(entry["rollout"])
            version = VersionRecord(entry["id"], body, entry["created_at"], rollout)
            version.log_tail = tuple(entry["log_tail"])
            self.versions[version.id] = version
        serving = document["current"] or next(
            (v.id for v in self.versions.values() if v.rollout is Rollout.IN_PROGRESS), None
        )
        if serving is not None:
            now = self._site.clock.now()
            self.pool.activate(self.versions[serving], now)
            if document["current"]:  # else it was written before the roll-out set any limits
                self.pool.change_limits(Workers.model_validate(document["limits"]), now)
            self.begin_schedule(self.versions[serving])


def _not_yet(deployment: Deployment) -> None:
    raise RuntimeError(f"the cloud has not said how {deployment.name} runs on schedule")


class DeploymentBook:
    """All deployments, those of earlier processes too. Every method needs the site's lock.

    Args:
        site: What they share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.run_scheduled: Callable[[Deployment], None] = _not_yet
        self._known: dict[str, Deployment] = {}
        self._settled_at = -math.inf

    def __iter__(self) -> Iterator[Deployment]:
        return iter(list(self._known.values()))

    def settle(self, *, may_wait: bool = True) -> None:
        """Let happen what is due by now, in the order of time.

        Loading the user's code takes real time. Virtual time stands still meanwhile, else a
        rollout would be given up after half an hour that took no time at all.

        Args:
            may_wait: Whether this thread may wait for code to be loaded; gives up the lock then.
        """
        now = self._site.clock.now()
        if now == self._settled_at:
            self._await_boots(now, may_wait=may_wait)
            return
        while self._known:
            at, due = min(
                ((each.next_event(), each) for each in self._known.values()),
                key=lambda pair: pair[0],
            )
            if at > now:
                break
            due.process(at, self.run_scheduled)
            self._await_boots(at, may_wait=may_wait)
        for each in self._known.values():
            each.pool.at = max(each.pool.at, now)
        self._settled_at = now
        self._await_boots(now, may_wait=may_wait)

    def _await_boots(self, now: float, *, may_wait: bool) -> None:
        site = self._site
        if not (site.loading and may_wait and site.is_virtual):
            return
        if threading.get_ident() in site.loaders:  # a setup() that calls another function
            return
        while any(each.pool.fleet.is_loading(now) for each in self._known.values()):
            if not site.booted.wait(_LOADING_S):
                return

    def known(self, name: str) -> Deployment | None:
        """Give a deployment that this process knows already."""
        return self._known.get(name)

    def find(self, name: str, *, fresh: bool = False) -> Deployment | None:
        """Give a deployment; ``fresh`` looks whether another process changed it."""
        known = self._known.get(name)
        store = self._site.store
        if known is not None and not (fresh and store.deployment_stamp(name) != known.stamp):
            return known
        stamp = store.deployment_stamp(name)  # first: it may be written anew meanwhile
        document = store.load_deployment(name)
        if known is not None:
            known.pool.fleet.stop_all(self._site.clock.now(), "changed by another process")
            del self._known[name]
        if document is None:
            return None
        found = Deployment(name, self._site)
        found.stamp = stamp
        self._known[name] = found
        found.restore(document)
        if known is not None:
            found.pool.queue.extend(known.pool.queue)
            found.pool.dispatch(self._site.clock.now())
        return found

    def get(self, name: str, *, fresh: bool = False) -> Deployment:
        """Give a deployment.

        Raises:
            Refusal: There is none of that name.
        """
        found = self.find(name, fresh=fresh)
        if found is None:
            raise Refusal(404, "not_found", f"there is no deployment {name!r}")
        return found

    def make(self, name: str) -> Deployment:
        """Open a deployment."""
        made = self._known[name] = Deployment(name, self._site)
        return made

    def save(self, deployment: Deployment) -> None:
        """Write it for later processes."""
        if self._site.store.persists:
            self._site.store.save_deployment(deployment.name, deployment.document())
            deployment.stamp = self._site.store.deployment_stamp(deployment.name)

    def drop(self, deployment: Deployment) -> None:
        """Forget it, here and for later processes."""
        self._known.pop(deployment.name, None)
        deployment.logs.close()
        self._site.store.drop_deployment(deployment.name)
