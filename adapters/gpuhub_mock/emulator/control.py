"""The mock provider's control plane: deployments, versions, limits, logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from gpuhub.adapter import Rollout
from gpuhub.testing.emulator.faults import FaultKind
from gpuhub_mock.emulator.answers import DeploymentAnswer, StatusAnswer, VersionAnswer
from gpuhub_mock.emulator.autoscaler import calls_on
from gpuhub_mock.emulator.bodies import DeploymentBody, Workers
from gpuhub_mock.emulator.deployments import Deployment, DeploymentBook
from gpuhub_mock.emulator.desk import Desk
from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.runners import secret_value
from gpuhub_mock.emulator.schedule import next_run
from gpuhub_mock.emulator.site import Site

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub_mock.emulator.logs import LogBook
    from gpuhub_mock.emulator.versions import VersionRecord

__all__ = ["Control"]

_LOOK_S = 0.05
_BREAKS: tuple[FaultKind, ...] = ("crash",)


class Control:
    """Requests about deployments; safe to use from any thread.

    Args:
        site: What the provider's parts share.
        book: All deployments.
        desk: Where requests arrive.
        url_of: Gives the address of a web application.
    """

    def __init__(
        self, site: Site, book: DeploymentBook, desk: Desk, url_of: Callable[[str], str]
    ) -> None:
        self._site = site
        self._book = book
        self._desk = desk
        self._url_of = url_of

    def upload(self, bundle: Bundle) -> None:
        """Take a bundle; what is there already is not taken again."""
        with self._desk.request("upload", "PUT", f"/v1/bundles/{bundle.digest}"):
            self._site.store.save_bundle(bundle)

    def deploy(self, document: Mapping[str, Any]) -> DeploymentAnswer:
        """Make a deployment, or a new version of it.

        Raises:
            Refusal: The document is malformed, or names a secret or bundle that is not there.
        """
        body, values = _read_body(document)
        path = f"/v1/deployments/{body.name}"
        shown = body.model_dump(mode="json", exclude_defaults=True)
        with self._desk.request("deploy", "PUT", path, json=shown, playing=_BREAKS) as fault:
            self._book.settle()
            deployment = self._book.find(body.name, fresh=True) or self._book.make(body.name)
            version = deployment.add_version(body)
            version.secrets = values
            try:
                self._check(version)
            except Refusal:
                self._undo(deployment, version)
                raise
            if fault is not None and fault.kind == "cold_start":
                deployment.pool.fleet.next_cold_start_s = fault.delay_s
            if fault is not None and fault.kind == "crash":
                self._break(deployment, version, fault.message)
            else:
                deployment.roll_out(version)
            self._book.save(deployment)
            return self._answer(deployment, version)

    def find(self, name: str) -> DeploymentAnswer | None:
        """Give the deployment of a name."""
        with self._desk.request("find", "GET", f"/v1/deployments/{name}"):
            self._book.settle()
            found = self._book.find(name, fresh=True)
            return None if found is None else self._answer(found, found.current or found.newest)

    def status(self, name: str, version_id: str = "") -> StatusAnswer:
        """Tell what goes on, and whether a version can serve; by default the current one."""
        with self._desk.request("status", "GET", f"/v1/deployments/{name}/status"):
            self._book.settle()
            deployment = self._book.get(name, fresh=True)
            asked = deployment.versions.get(version_id) or deployment.current or deployment.newest
            current = deployment.current
            pool = deployment.pool
            return StatusAnswer(
                rollout=asked.rollout,
                version=current.id if current else "",
                workers=Counter(worker.state for worker in pool.workers),
                queue=len(pool.queue),
                running=calls_on(pool.workers),
                limits=pool.limits,
                log_tail=asked.log_tail,
            )

    def scale(self, name: str, document: Mapping[str, Any]) -> DeploymentAnswer:
        """Put other limits in force, until the next version is rolled out."""
        limits = Workers.model_validate(document)
        path = f"/v1/deployments/{name}/workers"
        with self._desk.request("scale", "PATCH", path, json=dict(document)):
            self._book.settle()
            deployment = self._book.get(name, fresh=True)
            deployment.pool.change_limits(limits, self._site.clock.now())
            self._book.save(deployment)
            return self._answer(deployment, deployment.current or deployment.newest)

    def versions(self, name: str) -> list[VersionAnswer]:
        """Give all versions, newest first."""
        with self._desk.request("versions", "GET", f"/v1/deployments/{name}/versions"):
            self._book.settle()
            deployment = self._book.get(name, fresh=True)
            return [
                VersionAnswer(
                    version.id,
                    version.created_at,
                    version is deployment.current,
                    version.body.fingerprint,
                    version.rollout,
                )
                for version in reversed(deployment.versions.values())
            ]

    def rollback(self, name: str, version_id: str) -> DeploymentAnswer:
        """Let an older version serve at once.

        Raises:
            Refusal: There is no such version (404), or it never came up (409).
        """
        path = f"/v1/deployments/{name}/versions/{version_id}/promote"
        with self._desk.request("rollback", "POST", path):
            self._book.settle()
            deployment = self._book.get(name, fresh=True)
            version = deployment.version(version_id)
            if version.rollout is Rollout.FAILED:
                raise Refusal(409, "conflict", f"version {version_id} failed and cannot serve")
            deployment.pool.activate(version, self._site.clock.now())
            deployment.begin_schedule(version)
            deployment.logs.write(f"version {version_id} serves again")
            self._book.save(deployment)
            return self._answer(deployment, version)

    def warm(self, name: str) -> None:
        """Start a worker if there is none."""
        with self._desk.request("warm", "POST", f"/v1/deployments/{name}/warm"):
            self._book.settle()
            self._book.get(name).pool.warm(self._site.clock.now())

    def warm_in_s(self, name: str) -> float:
        """Clock seconds until a worker takes calls; 0 when one does, or none is being started."""
        with self._site.lock:
            self._book.settle()
            workers = self._book.get(name).pool.workers
            if not workers or any(worker.is_ready for worker in workers):
                return 0.0
            now = self._site.clock.now()
            return max(_LOOK_S, min(worker.ready_at - now for worker in workers))

    def delete(self, name: str) -> None:
        """Remove a deployment with its versions; its calls are cancelled.

        Raises:
            Refusal: There is none of that name (404).
        """
        with self._desk.request("delete", "DELETE", f"/v1/deployments/{name}"):
            self._book.settle()
            deployment = self._book.get(name, fresh=True)
            now = self._site.clock.now()
            for call in self._site.book.live(name):
                deployment.pool.cancel(call, now)
            deployment.pool.fleet.stop_all(now, "the deployment was deleted")
            self._book.drop(deployment)

    def logs(self, name: str) -> LogBook:
        """Give the log of a deployment."""
        with self._desk.request("logs", "GET", f"/v1/deployments/{name}/logs"):
            self._book.settle()
            return self._book.get(name).logs

    def _check(self, version: VersionRecord) -> None:
        body = version.body
        if not self._site.store.has_bundle(body.code.bundle):
            raise Refusal(422, "unknown_bundle", f"bundle {body.code.bundle} was not uploaded")
        for secret in body.secrets:
            secret_value(self._site, version, secret)
        if body.schedule is not None:
            next_run(body.schedule, 0.0, 0.0)

    def _undo(self, deployment: Deployment, version: VersionRecord) -> None:
        del deployment.versions[version.id]
        if not deployment.versions:
            self._book.drop(deployment)

    def _break(self, deployment: Deployment, version: VersionRecord, message: str) -> None:
        for line in ("building the image", message or "error: the build failed, as it was told to"):
            deployment.logs.write(line, source="build")
        version.rollout = Rollout.FAILED
        version.log_tail = deployment.logs.tail()

    def _answer(self, deployment: Deployment, version: VersionRecord) -> DeploymentAnswer:
        is_web = version.target.kind == "web"
        url = self._url_of(deployment.name) if is_web else None
        return DeploymentAnswer(deployment.name, version.id, version.body.fingerprint, url)


def _read_body(document: Mapping[str, Any]) -> tuple[DeploymentBody, dict[str, SecretStr]]:
    """Check a document and take the values of secrets out of it."""
    try:
        body = DeploymentBody.model_validate(document)
    except ValidationError as error:
        # Without the values: one of them may be a secret.
        problems = [
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise Refusal(422, "bad_request", "; ".join(problems)) from None
    values = {
        secret.env: SecretStr(secret.value) for secret in body.secrets if secret.value is not None
    }
    bare = tuple(secret.model_copy(update={"value": None}) for secret in body.secrets)
    return body.model_copy(update={"secrets": bare}), values
