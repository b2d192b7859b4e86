"""Everything in one account at Replicate: models, deployments, predictions, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub_replicate.emulator.catalog import HARDWARE
from gpuhub_replicate.emulator.deployments import Deployment, Release
from gpuhub_replicate.emulator.desk import Desk, Staff
from gpuhub_replicate.emulator.hosted import hosted_models
from gpuhub_replicate.emulator.models import Image, Model, Version
from gpuhub_replicate.emulator.pool import Pool
from gpuhub_replicate.emulator.problems import Problem, missing
from gpuhub_replicate.emulator.schema import with_defaults

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.files import Files
    from gpuhub_replicate.emulator.machines import Workshop
    from gpuhub_replicate.emulator.predictions import Prediction
    from gpuhub_replicate.emulator.site import Site
    from gpuhub_replicate.emulator.webhooks import Webhooks
    from gpuhub_replicate.emulator.workers import Machine, Reports, Worker

__all__ = ["Account"]


@dataclass
class Account:
    """One account. Every method needs the lock.

    Attributes:
        site: What all parts share.
        workshop: Makes machines.
        files: Uploads and outputs.
        webhooks: Tells of predictions.
        models: By ``owner/name``; those of others too.
        deployments: By ``owner/name``, oldest first.
        predictions: By id, oldest first.
        desks: By the pool's key.
        machines: Of workers that exist, by the worker's id.
    """

    site: Site
    workshop: Workshop
    files: Files
    webhooks: Webhooks
    models: dict[str, Model] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    desks: dict[str, Desk] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add what others host."""
        self.models |= hosted_models(self.site)

    @property
    def owner(self) -> str:
        """The account's name."""
        return self.site.options.username

    def shown(self) -> dict[str, Any]:
        """Give the API's description."""
        return {
            "type": "organization",
            "username": self.owner,
            "name": "gpuhub emulator",
            "github_url": f"https://github.com/{self.owner}",
        }

    # Models

    def model(self, owner: str, name: str) -> Model:
        """Give a model that the account may see.

        Raises:
            Problem: 404.
        """
        model = self.models.get(f"{owner}/{name}")
        if model is None:
            raise missing()
        return model

    def own_model(self, owner: str, name: str) -> Model:
        """Give a model of the account's.

        Raises:
            Problem: 404, or 403 for one of somebody else's.
        """
        model = self.model(owner, name)
        if not model.is_ours:
            raise Problem(403, "You do not have permission to perform this action.")
        return model

    def version(self, version_id: str) -> Version | None:
        """Find a version of any model."""
        found = (each.versions.get(version_id) for each in self.models.values())
        return next((each for each in found if each is not None), None)

    def add_version(
        self, model: Model, version_id: str, image: Image, labels: Mapping[str, str], schema: Any
    ) -> Version:
        """Make a version of what was pushed; the same again is the newest one now."""
        version = model.versions.pop(version_id, None) or Version(
            version_id,
            model.path,
            schema,
            labels.get("run.cog.version", ""),
            self.site.stamp(),
            image,
        )
        model.versions[version_id] = version
        return version

    def used_by(self, version: Version) -> list[str]:
        """Give the deployments that run a version, or could go back to it."""
        return [each.path for each in self.deployments.values() if each.release.version is version]

    def drop_version(self, version: Version) -> None:
        """Delete a version with the workers of its direct predictions."""
        self.models[version.model].versions.pop(version.id, None)
        if (desk := self.desks.pop(f"version:{version.id}", None)) is not None:
            desk.close()

    # Deployments

    def deployment(self, owner: str, name: str) -> Deployment:
        """Give a deployment.

        Raises:
            Problem: 404.
        """
        deployment = self.deployments.get(f"{owner}/{name}")
        if deployment is None:
            raise missing()
        return deployment

    def create(
        self, name: str, version: Version, hardware: str, smallest: int, largest: int
    ) -> Deployment:
        """Make a deployment with its first release."""
        path = f"{self.owner}/{name}"
        pool = Pool(self.site, f"deployment:{path}", version)
        pool.used_at = self.site.timeline.now()
        deployment = Deployment(self.owner, name, version.model, pool, self.shown())
        self.deployments[path] = deployment
        self._desk(pool)
        self.release(deployment, version, hardware, smallest, largest)
        return deployment

    def release(
        self, deployment: Deployment, version: Version, hardware: str, smallest: int, largest: int
    ) -> None:
        """Add a release and let it take over."""
        number = len(deployment.releases) + 1
        before = deployment.releases[-1] if deployment.releases else None
        release = Release(number, version, hardware, smallest, largest, self.site.stamp())
        deployment.releases.append(release)
        pool = deployment.pool
        pool.version, pool.min_workers, pool.max_workers = version, smallest, largest
        if before is None or (before.version, before.hardware) != (version, hardware):
            pool.release = number  # other numbers of workers alone replace none
        self.desks[pool.key].change()

    def delete(self, deployment: Deployment) -> None:
        """Delete a deployment.

        Raises:
            Problem: It is online, or was used a moment ago. Status and words are a guess.
        """
        pool, limit_s = deployment.pool, self.site.options.delete_after_s
        if pool.workers or self.site.timeline.now() - pool.used_at < limit_s:
            raise Problem(
                409,
                "Deployments must have been offline and unused for at least "
                f"{limit_s / 60:g} minutes to be deleted.",
                title="Deployment cannot be deleted",
            )
        self.desks.pop(pool.key).close()
        del self.deployments[deployment.path]

    # Predictions

    def prediction(self, prediction_id: str) -> Prediction:
        """Give a prediction.

        Raises:
            Problem: 404.
        """
        prediction = self.predictions.get(prediction_id)
        if prediction is None:
            raise missing()
        return prediction

    def desk_of(self, prediction: Prediction) -> Desk | None:
        """Give the desk that a prediction is at."""
        return self.desks.get(prediction.pool)

    def desk_for(self, version: Version) -> Desk:
        """Give the desk for predictions of a version that has no deployment."""
        key = f"version:{version.id}"
        if key not in self.desks:
            model = self.models[version.model]
            most = 1 if not model.is_ours else self.site.options.direct_max
            pool = Pool(self.site, key, version, max_workers=most, is_hosted=not model.is_ours)
            self._desk(pool)
        return self.desks[key]

    def submit(self, desk: Desk, prediction: Prediction) -> None:
        """Take a prediction."""
        self.predictions[prediction.id] = prediction
        self.models[prediction.model].run_count += 1
        desk.submit(prediction)

    def close(self) -> None:
        """End every worker."""
        for desk in list(self.desks.values()):
            desk.close()

    def check_hardware(self, sku: str) -> None:
        """Refuse what there is not.

        Raises:
            Problem: 422.
        """
        if sku not in HARDWARE:
            words = f"- hardware: {sku!r} is not a valid hardware SKU\n"
            raise Problem(422, words, title="Invalid request body")

    # Inside

    def _desk(self, pool: Pool) -> Desk:
        staff = Staff(
            hire=self._hire,
            prepare=self._prepare,
            publish=self.files.outputs,
            told=self.webhooks.tell,
            ended=self._ended,
        )
        desk = self.desks[pool.key] = Desk(pool, staff)
        return desk

    def _hire(self, worker: Worker, reports: Reports) -> Machine:
        machine = self.machines[worker.id] = self.workshop.make(worker, reports)
        return machine

    def _prepare(self, prediction: Prediction) -> dict[str, Any]:
        given: dict[str, Any] = self.files.inputs(prediction.input)
        if prediction.version.played is not None:
            return with_defaults(prediction.version.schema, given)
        return given

    def _ended(self, prediction: Prediction) -> None:
        def erase() -> None:
            prediction.erase()
            self.files.erase(prediction)

        kept = self.site.timeline.after(self.site.options.kept_s, erase)
        prediction.timers["kept"] = kept
