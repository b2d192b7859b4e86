"""Making, finding, changing and removing deployments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gpuhub._closing import closing
from gpuhub._engine.features import require
from gpuhub._engine.planning import log_warnings
from gpuhub.adapter import (
    Adapter,
    DeploymentRef,
    EndpointStatus,
    Feature,
    Io,
    LogLine,
    RetiresVersions,
    Rollout,
    Version,
)
from gpuhub.errors import (
    DeployFailed,
    NotDeployed,
    NotFound,
    ProviderError,
)
from gpuhub.plan import Plan

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub.journal import DeploymentRecord, Journal
    from gpuhub.scaling import Scaling

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
DEFAULT_ROLLOUT_S = 1800.0

Progress = Callable[[EndpointStatus], None]


@dataclass(frozen=True, slots=True)
class Deployments:
    """The deployments of one provider in one workspace.

    Attributes:
        adapter: The provider.
        journal: Where identities are written before anything is created.
    """

    adapter: Adapter
    journal: Journal
    _known: dict[str, DeploymentRef] = field(default_factory=dict)

    async def resolve(self, io: Io, name: str) -> DeploymentRef:
        """The deployment of that name: remembered, from the journal, or from the provider.

        Raises:
            NotDeployed: There is none.
        """
        if ref := self._known.get(name):
            return ref
        record = self.journal.deployment(self.adapter.info.name, name)
        ref = record.ref if record else await self.adapter.find(io, name)
        if ref is None:
            msg = f"{name!r} is not deployed on {self.adapter.info.title}"
            raise NotDeployed(
                msg,
                provider=self.adapter.info.name,
                next_step="deploy it: `gpuhub deploy FILE.py`, or .deploy() in Python",
            )
        self._known[name] = ref
        return ref

    async def deploy(
        self, io: Io, plan: Plan, *, warm: bool = False, progress: Progress | None = None
    ) -> DeploymentRef:
        """Create or update, and return once the new version is routable.

        An unchanged plan sends no mutating request. The identity is in the journal before the
        create; a deploy that fails leaves the old version serving.

        Raises:
            DeployFailed: The new version did not become routable.
            ProviderError: The provider refused.
        """
        log_warnings(plan)
        previous = await self._previous(io, plan.deployment)
        if previous is None or previous.fingerprint != plan.fingerprint:
            ref = await self._create(io, plan, previous)
            await self._wait_until_routable(io, plan, ref, previous, progress)
            if isinstance(self.adapter, RetiresVersions):
                await self.adapter.retire(io, ref)
        else:
            ref = previous
        self._known[plan.deployment] = ref
        if warm:
            await self.warm(io, ref)
        return ref

    async def _previous(self, io: Io, name: str) -> DeploymentRef | None:
        """What serves now; the journal knows the fingerprint where the provider keeps none.

        A provider that does keep them may say that its own was changed. The journal alone
        knows that a deploy failed or that ``scale`` changed limits: it holds "" then.
        """
        found = await self.adapter.find(io, name)
        record = self.journal.deployment(self.adapter.info.name, name)
        if found is None or record is None:
            return found
        same = _identity(found) == _identity(record.ref)
        if not same or (found.fingerprint and record.ref.fingerprint):
            return found
        return replace(found, fingerprint=record.ref.fingerprint)

    async def _create(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        record = await io.run(
            self.journal.begin_deploy,
            provider=plan.provider,
            name=plan.deployment,
            fingerprint=plan.fingerprint,
            plan=plan.to_dict(),
        )
        try:
            ref = await self.adapter.deploy(io, plan, previous)
        except ProviderError as error:
            error.reword(without_secrets(error.message, plan.secret_values))
            # A deploy whose outcome is unknown stays unfinished: `gpuhub doctor` looks it up.
            if error.accepted is not None:
                await io.run(self.journal.fail_deploy, record, error.message)
            raise
        except DeployFailed as error:  # a build that is part of the deploy
            error.reword(without_secrets(error.message, plan.secret_values))
            error.log_tail = tuple(
                without_secrets(line, plan.secret_values) for line in error.log_tail
            )
            await io.run(self.journal.fail_deploy, record, error.message)
            raise
        ref = replace(ref, fingerprint=plan.fingerprint)
        await io.run(self.journal.finish_deploy, record, ref)
        return ref

    async def _wait_until_routable(
        self,
        io: Io,
        plan: Plan,
        ref: DeploymentRef,
        previous: DeploymentRef | None,
        progress: Progress | None,
    ) -> None:
        deadline = io.now() + (plan.spec.startup_timeout or 0) + DEFAULT_ROLLOUT_S
        wait = FIRST_WAIT_S
        while True:
            status = await self.adapter.status(io, ref)
            if progress is not None:
                progress(status)
            if status.rollout is Rollout.READY:
                return
            late = io.now() >= deadline
            if status.rollout is not Rollout.IN_PROGRESS or late:
                await self._put_back(io, ref, status, previous)
                raise self._failure(plan, status, late=late, previous=previous)
            await io.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT_S)

    async def _put_back(
        self,
        io: Io,
        ref: DeploymentRef,
        status: EndpointStatus,
        previous: DeploymentRef | None,
    ) -> None:
        """Leave the old version serving after a failed rollout, where the provider does not."""
        if previous is None:
            self.journal.update_deployment(replace(ref, fingerprint=""))
            return
        if status.version not in ("", previous.version):
            previous = replace(
                await self.adapter.rollback(io, ref, previous.version),
                fingerprint=previous.fingerprint,
            )
        self.journal.update_deployment(previous)

    def _failure(
        self,
        plan: Plan,
        status: EndpointStatus,
        *,
        late: bool,
        previous: DeploymentRef | None,
    ) -> DeployFailed:
        why = "was not routable in time" if late else f"is {status.rollout.value}"
        served = f"; version {previous.version} still serves" if previous else ""
        words = without_secrets(status.detail, plan.secret_values)
        detail = f": {words}" if words else ""
        return DeployFailed(
            f"the new version of {plan.deployment!r} {why}{detail}{served}",
            log_tail=tuple(without_secrets(line, plan.secret_values) for line in status.log_tail),
            provider=plan.provider,
            next_step=f"read the log below, or `gpuhub logs {plan.spec.name}`, and deploy again",
        )

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:
        """An endpoint by address, made by gpuhub or not."""
        require(self.adapter, Feature.CONNECT)
        return await self.adapter.connect(io, scheme, address)

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue and rollout as the provider tells them."""
        require(self.adapter, Feature.STATUS)
        return await self.adapter.status(io, ref)

    async def changed_scaling(
        self, io: Io, ref: DeploymentRef, changes: Mapping[str, Any]
    ) -> Scaling:
        """The limits in force with some of them changed.

        Starts from what the provider reports, then from what was declared, then from the
        defaults.
        """
        from gpuhub.scaling import Scaling

        require(self.adapter, Feature.SCALE_LIVE)
        record = self.journal.deployment(ref.provider, ref.name)
        declared = record.plan.get("spec", {}).get("scaling", {}) if record else {}
        live = (await self.adapter.status(io, ref)).scaling
        merged = {**declared, **live, **changes}
        if "min_workers" in changes and "mode" not in changes:
            merged.pop("mode", None)
        return Scaling(**merged)

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the live limits. The next deploy sends the decorator's own again."""
        require(self.adapter, Feature.SCALE_LIVE)
        scaled = await self.adapter.scale(io, ref, scaling)
        # Without its fingerprint the next deploy is no no-op: it puts the declared limits back.
        return self._remember(replace(scaled, fingerprint=""))

    async def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines, oldest first."""
        require(self.adapter, Feature.LOGS_FOLLOW if follow else Feature.LOGS)
        lines = self.adapter.logs(io, ref, since, follow=follow)
        async with closing(lines):
            async for line in lines:
                yield line

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions the provider keeps, newest first."""
        require(self.adapter, Feature.VERSIONS)
        return await self.adapter.versions(io, ref)

    async def rollback(self, io: Io, ref: DeploymentRef, version: str | None) -> DeploymentRef:
        """Serve an older version; ``None`` takes the one before the current.

        Raises:
            NotFound: There is no such version.
        """
        require(self.adapter, Feature.ROLLBACK)
        versions = await self.adapter.versions(io, ref)
        chosen = _choose_version(versions, version, ref)
        back = await self.adapter.rollback(io, ref, chosen.id)
        return self._remember(replace(back, fingerprint=chosen.fingerprint))

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker now. It is billed."""
        require(self.adapter, Feature.WARM)
        await self.adapter.warm(io, ref)

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove all that deploy made; a deployment that is gone already is no error."""
        require(self.adapter, Feature.DELETE)
        with suppress(NotFound):
            await self.adapter.delete(io, ref)
        self._known.pop(ref.name, None)
        await io.run(self.journal.forget_deployment, ref.provider, ref.name)

    def record(self, name: str) -> DeploymentRecord | None:
        """What the journal knows of a deployment."""
        return self.journal.deployment(self.adapter.info.name, name)

    def _remember(self, ref: DeploymentRef) -> DeploymentRef:
        if ref.made_by_gpuhub:
            self.journal.update_deployment(ref)
            self._known[ref.name] = ref
        return ref


def _identity(ref: DeploymentRef) -> tuple[str, str, str]:
    return ref.address, ref.version, ref.revision


def without_secrets(text: str, secrets: Mapping[str, SecretStr]) -> str:
    """The provider's words without the user's own secrets: some echo what they were sent."""
    for name, secret in secrets.items():
        if value := secret.get_secret_value():
            text = text.replace(value, f"[secret {name}]")
    return text


def _choose_version(versions: Sequence[Version], wanted: str | None, ref: DeploymentRef) -> Version:
    if wanted is None:
        current = next((at for at, one in enumerate(versions) if one.current), 0)
        older = versions[current + 1 : current + 2]
    else:
        older = [one for one in versions if one.id == wanted]
    if older:
        return older[0]
    listed = ", ".join(one.id for one in versions)
    what = f"version {wanted!r}" if wanted else "older version"
    msg = f"{ref.name!r} has no {what}; it has: {listed}"
    raise NotFound(msg, provider=ref.provider, next_step="choose one of those")
