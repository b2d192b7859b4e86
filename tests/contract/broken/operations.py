"""Adapters that get deployments, workers and versions wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import ClassVar

from gpuhub.adapter import CallOptions, DeploymentRef, Rollout
from gpuhub.scaling import Scaling
from gpuhub.testing.contract.wrappers import WrappedAdapter
from tests.contract.broken.changes import with_body


class IgnoresMinWorkers(WrappedAdapter):
    """Plans the warm workers, and deploys none."""

    async def deploy(self, io, plan, previous):
        changed = with_body(with_body(plan, "workers", "min", 0), "workers", "mode", "flex")
        return await self._inner.deploy(io, changed, previous)


class IgnoresMaxWorkers(WrappedAdapter):
    """Plans the limit, and deploys without it."""

    async def deploy(self, io, plan, previous):
        return await self._inner.deploy(io, with_body(plan, "workers", "max", 50), previous)


class NeverScalesToZero(WrappedAdapter):
    """Plans the idle time, and deploys workers that stay."""

    async def deploy(self, io, plan, previous):
        changed = with_body(plan, "workers", "idle_timeout_s", 1e9)
        return await self._inner.deploy(io, changed, previous)


class DeploysAgain(WrappedAdapter):
    """Does not recognise what it deployed."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self._looks = itertools.count()

    async def find(self, io, name):
        found = await self._inner.find(io, name)
        version = f"seen-{next(self._looks)}"
        return found and replace(found, fingerprint="", version=version)


class CallsWhileDeploying(WrappedAdapter):
    """Tries the function out, to be sure that it works."""

    async def deploy(self, io, plan, previous):
        ref = await self._inner.deploy(io, plan, previous)
        await self._inner.submit(io, ref, b"{}", CallOptions())
        return ref


class WarmsWhileDeploying(WrappedAdapter):
    """Starts a worker that nobody asked for, and that is billed."""

    async def deploy(self, io, plan, previous):
        ref = await self._inner.deploy(io, plan, previous)
        await self._inner.warm(io, ref)
        return ref


class ReadyTooEarly(WrappedAdapter):
    """Reports ready as soon as the request was taken."""

    async def status(self, io, ref):
        return replace(await self._inner.status(io, ref), rollout=Rollout.READY)


class TearsDownFirst(WrappedAdapter):
    """Deletes what serves before it makes the new version."""

    async def deploy(self, io, plan, previous):
        if previous is not None:
            await self._inner.delete(io, previous)
        return await self._inner.deploy(io, plan, previous)


class HidesTheBuildLog(WrappedAdapter):
    """Says that a deploy failed, and not why."""

    async def status(self, io, ref):
        return replace(await self._inner.status(io, ref), log_tail=())


class FindsNothing(WrappedAdapter):
    """Knows only what this object deployed."""

    async def find(self, io, name):
        return None


class ForgetsToDelete(WrappedAdapter):
    """Says that a deployment is gone, and leaves it running."""

    async def delete(self, io, ref):
        return None


class RollsBackInWords(WrappedAdapter):
    """Reports the older version, and changes nothing."""

    async def rollback(self, io, ref, version):
        return replace(ref, version=version)


class KeepsOneVersion(WrappedAdapter):
    """Lists the current version only."""

    async def versions(self, io, ref):
        return (await self._inner.versions(io, ref))[:1]


class ScalesInWords(WrappedAdapter):
    """Takes new limits, and keeps the old ones."""

    async def scale(self, io, ref, scaling):
        return ref


class ForgetsLimitsWhenScaling(WrappedAdapter):
    """Changes what was named, and puts everything else back to a default."""

    async def scale(self, io, ref, scaling):
        return await self._inner.scale(io, ref, Scaling(max_workers=3))


class WarmsInWords(WrappedAdapter):
    """Says that a worker was started."""

    async def warm(self, io, ref):
        return None


class LosesTheLog(WrappedAdapter):
    """Gives log lines newest first."""

    async def logs(self, io, ref, since, *, follow):
        lines = [line async for line in self._inner.logs(io, ref, since, follow=follow)]
        for line in reversed(lines):
            yield line


class SharesItsState(WrappedAdapter):
    """Remembers the last deployment for all of its kind."""

    last: ClassVar[dict[str, DeploymentRef]] = {}

    async def deploy(self, io, plan, previous):
        ref = await self._inner.deploy(io, plan, previous)
        self.last["ref"] = ref
        return ref

    async def submit(self, io, ref, payload, options):
        return await self._inner.submit(io, self.last.get("ref", ref), payload, options)


class ConnectsToAnything(WrappedAdapter):
    """Takes any address for an endpoint."""

    async def connect(self, io, scheme, address):
        return DeploymentRef(provider="mock", name=address, address=address)
