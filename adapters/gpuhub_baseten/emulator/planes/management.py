"""The management API: models, their deployments and environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import hold
from gpuhub_baseten.emulator import bodies
from gpuhub_baseten.emulator.bodies import read_body
from gpuhub_baseten.emulator.planes.store import BUCKET, REGION
from gpuhub_baseten.emulator.problems import conflict, invalid
from gpuhub_baseten.emulator.state import Deployment, Environment, Model
from gpuhub_baseten.emulator.views import shown_deployment, shown_environment, shown_model
from gpuhub_baseten.emulator.web import Answer, Request

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.account import Account
    from gpuhub_baseten.emulator.planes.store import Store
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Management"]


class Management:
    """``/v1/models`` and ``/v1/prepare_model_upload``.

    Args:
        site: What all parts share.
        account: Whose they are.
        store: Takes archives.
    """

    def __init__(self, site: Site, account: Account, store: Store) -> None:
        self._site = site
        self._account = account
        self._store = store

    # Pushing

    async def prepare(self, request: Request) -> Answer:
        """``POST /v1/prepare_model_upload``."""
        sent = read_body(bodies.PrepareUpload, request.body)
        if (sent.name is None) == (sent.model_id is None):
            raise invalid("exactly one of name and model_id is needed")
        with self._site.change():
            model = self._account.model(sent.model_id) if sent.model_id is not None else None
            if sent.name is not None and self._account.named(sent.name) is not None:
                raise conflict(f"a model named {sent.name} already exists")
            self._account.check_push(sent.deployment, model)
            if sent.dry_run:
                return Answer.of(dict.fromkeys(("creds", "s3_bucket", "s3_key", "s3_region"), None))
            made = self._store.issue()
        creds = {
            "aws_access_key_id": made.access_key,
            "aws_secret_access_key": made.secret_key,
            "aws_session_token": made.session_token,
        }
        body = {"creds": creds, "s3_bucket": BUCKET, "s3_key": made.s3_key, "s3_region": REGION}
        return Answer.of(body)

    async def create(self, request: Request) -> Answer:
        """``POST /v1/models``."""
        source = read_body(bodies.CreateModel, request.body).source
        with self._site.change():
            self._account.check_push(source.deployment, None)
            archive = self._archive(source.s3_key)
            allows = not source.disable_archive_download
            model = self._account.new_model(source.name, allows_download=allows)
            deployment = self._account.push(
                model, source.deployment, archive, is_broken=_breaks(request)
            )
            return self._created(model, deployment)

    async def add(self, request: Request, model_id: str) -> Answer:
        """``POST /v1/models/{id}/deployments``."""
        source = read_body(bodies.CreateDeployment, request.body).source
        with self._site.change():
            model = self._account.model(model_id)
            self._account.check_push(source.deployment, model)
            archive = self._archive(source.s3_key)
            deployment = self._account.push(
                model, source.deployment, archive, is_broken=_breaks(request)
            )
            return self._created(model, deployment)

    # Models

    async def all(self, request: Request) -> Answer:
        """``GET /v1/models``."""
        name = request.query.get("name")
        with self._site.change():
            models = [each for each in self._account.models.values() if name in (None, each.name)]
            return Answer.of({"models": [shown_model(self._site, each) for each in models]})

    async def get(self, _request: Request, model_id: str) -> Answer:
        """``GET /v1/models/{id}``."""
        with self._site.change():
            return Answer.of(shown_model(self._site, self._account.model(model_id)))

    async def rename(self, request: Request, model_id: str) -> Answer:
        """``PATCH /v1/models/{id}``."""
        sent = read_body(bodies.UpdateModel, request.body)
        with self._site.change():
            model = self._account.model(model_id)
            if sent.name is not None and self._account.named(sent.name) not in (None, model):
                raise conflict(f"a model named {sent.name} already exists")
            model.name = sent.name or model.name
            return Answer.of(shown_model(self._site, model))

    async def delete(self, _request: Request, model_id: str) -> Answer:
        """``DELETE /v1/models/{id}``."""
        with self._site.change():
            self._account.remove_model(self._account.model(model_id))
        return Answer.of({"id": model_id, "deleted": True})

    # Deployments

    async def deployments(self, request: Request, model_id: str) -> Answer:
        """``GET …/deployments``: newest first."""
        name = request.query.get("name")
        with self._site.change():
            found = reversed(self._account.model(model_id).deployments.values())
            shown = [shown_deployment(self._site, each) for each in found]
        return Answer.of({"deployments": [each for each in shown if name in (None, each["name"])]})

    async def deployment(self, _request: Request, model_id: str, key: str) -> Answer:
        """``GET …/deployments/{id}``."""
        await self._hold(model_id)
        with self._site.change():
            model = self._account.model(model_id)
            return Answer.of(shown_deployment(self._site, self._account.deployment(model, key)))

    async def update(self, request: Request, model_id: str, key: str) -> Answer:
        """``PATCH …/deployments/{id}``: its name."""
        sent = read_body(bodies.UpdateDeployment, request.body)
        with self._site.change():
            deployment = self._found(model_id, key)
            deployment.name = sent.name or deployment.name
            return Answer.of(shown_deployment(self._site, deployment))

    async def remove(self, _request: Request, model_id: str, key: str) -> Answer:
        """``DELETE …/deployments/{id}``: not of one that an environment points at."""
        with self._site.change():
            model = self._account.model(model_id)
            deployment = self._account.deployment(model, key)
            if deployment.is_current and deployment.environment is not None:
                name = deployment.environment.name
                raise invalid(f"a {name} deployment cannot be deleted; delete the model")
            self._account.remove(model, deployment)
        return Answer.of({"id": deployment.id, "deleted": True, "model_id": model_id})

    async def limits(self, request: Request, model_id: str, key: str) -> Answer:
        """``PATCH …/autoscaling_settings``."""
        sent = read_body(bodies.Autoscaling, request.body).given()
        with self._site.change():
            status = self._account.update_limits(self._found(model_id, key), sent)
        return Answer.of({"status": status, "message": f"autoscaling settings: {status.lower()}"})

    async def backpressure(self, request: Request, model_id: str, key: str) -> Answer:
        """``PATCH …/request_backpressure_settings``."""
        policy = read_body(bodies.Backpressure, request.body).policy
        with self._site.change():
            self._found(model_id, key).backpressure = policy
        return Answer.of({"policy": policy})

    async def activate(self, _request: Request, model_id: str, key: str) -> Answer:
        """``POST …/activate``."""
        with self._site.change():
            did = self._account.rollouts.activate(self._found(model_id, key))
        return Answer.of({"success": True, "no_op": not did})

    async def deactivate(self, _request: Request, model_id: str, key: str) -> Answer:
        """``POST …/deactivate``."""
        with self._site.change():
            did = self._account.rollouts.deactivate(self._found(model_id, key))
        return Answer.of({"success": True, "no_op": not did})

    async def retry(self, _request: Request, model_id: str, key: str) -> Answer:
        """``POST …/retry``: only what failed."""
        with self._site.change():
            deployment = self._found(model_id, key)
            retried = deployment.has_failed
            if retried:
                deployment.is_broken, deployment.crashes = False, 0
                self._account.rollouts.begin(deployment)
            shown = shown_deployment(self._site, deployment)
        reason = None if retried else f"the deployment is {shown['status']}"
        return Answer.of({"retried": retried, "reason": reason, "deployment": shown})

    async def promote(self, request: Request, model_id: str, key: str) -> Answer:
        """``POST …/deployments/{id}/promote``: to production."""
        sent = read_body(bodies.Promote, request.body)
        with self._site.change():
            model = self._account.model(model_id)
            deployment = self._account.deployment(model, key)
            keeps, ends = sent.preserve_env_instance_type, sent.scale_down_previous_production
            self._account.promote(model, deployment, "production", keeps_instance=keeps, ends=ends)
            return Answer.of(shown_deployment(self._site, deployment))

    async def end_replica(
        self, _request: Request, model_id: str, key: str, replica_id: str
    ) -> Answer:
        """``DELETE …/replicas/{id}``."""
        with self._site.change():
            deployment = self._found(model_id, key)
            replica = deployment.replicas.get(replica_id)
            if replica is not None:
                self._account.fleet.stop(deployment, replica)
                self._account.fleet.go_on(deployment)
        return Answer.of({"success": replica is not None})

    async def config(self, request: Request, model_id: str, key: str) -> Answer:
        """``GET …/config``."""
        wanted = request.query.get("output_format", "both")
        with self._site.change():
            deployment = self._found(model_id, key)
            body = {"config": deployment.config.filled(), "raw_config": deployment.raw_config}
        if wanted not in ("raw", "parsed", "both"):
            raise invalid(f"output_format must be raw, parsed or both (got {wanted!r})")
        return Answer.of(
            {
                "config": None if wanted == "raw" else body["config"],
                "raw_config": None if wanted == "parsed" else body["raw_config"],
            }
        )

    # Environments

    async def environments(self, _request: Request, model_id: str) -> Answer:
        """``GET …/environments``."""
        with self._site.change():
            model = self._account.model(model_id)
            found = [self._environment(model, each) for each in model.environments.values()]
        return Answer.of({"environments": found})

    async def environment(self, _request: Request, model_id: str, name: str) -> Answer:
        """``GET …/environments/{name}``."""
        await self._hold(model_id)
        with self._site.change():
            model = self._account.model(model_id)
            return Answer.of(self._environment(model, self._account.environment(model, name)))

    async def create_environment(self, request: Request, model_id: str) -> Answer:
        """``POST …/environments``."""
        sent = read_body(bodies.CreateEnvironment, request.body)
        with self._site.change():
            model = self._account.model(model_id)
            if sent.name in model.environments:
                raise conflict(f"environment {sent.name} already exists")
            environment = Environment(sent.name, self._site.stamp())
            self._account.update_environment(environment, sent.given())
            model.environments[sent.name] = environment
            return Answer.of(self._environment(model, environment))

    async def update_environment(self, request: Request, model_id: str, name: str) -> Answer:
        """``PATCH …/environments/{name}``."""
        sent = read_body(bodies.UpdateEnvironment, request.body).given()
        with self._site.change():
            model = self._account.model(model_id)
            environment = self._account.environment(model, name)
            status = self._account.update_environment(environment, sent)
            shown = self._environment(model, environment)
        message = f"environment: {status.lower()}"
        return Answer.of({"environment": shown, "status": status, "message": message})

    async def delete_environment(self, _request: Request, model_id: str, name: str) -> Answer:
        """``DELETE …/environments/{name}``: not of production."""
        with self._site.change():
            model = self._account.model(model_id)
            environment = self._account.environment(model, name)
            if name == "production":
                raise invalid("the production environment cannot be deleted")
            self._account.rollouts.cancel_promotion(environment)
            if environment.current is not None:
                environment.current.environment = None
            del model.environments[name]
        return Answer.of({"name": name, "model_id": model_id, "deleted": True})

    async def promote_to(self, request: Request, model_id: str, name: str) -> Answer:
        """``POST …/environments/{name}/promote``."""
        sent = read_body(bodies.PromoteTo, request.body)
        with self._site.change():
            model = self._account.model(model_id)
            deployment = self._account.deployment(model, sent.deployment_id)
            keeps, ends = sent.preserve_env_instance_type, sent.scale_down_previous_deployment
            self._account.promote(model, deployment, name, keeps_instance=keeps, ends=ends)
            return Answer.of(shown_deployment(self._site, deployment))

    async def cancel_promotion(self, _request: Request, model_id: str, name: str) -> Answer:
        """``POST …/environments/{name}/cancel_promotion``."""
        with self._site.change():
            environment = self._account.environment(self._account.model(model_id), name)
            if not self._account.rollouts.cancel_promotion(environment):
                raise invalid(f"no promotion to {name} is in progress")
        return Answer.of({"status": "CANCELED", "message": "the promotion was canceled"})

    async def activate_environment(self, _request: Request, model_id: str, name: str) -> Answer:
        """``POST …/environments/{name}/activate``."""
        return await self._switched(model_id, name, self._account.rollouts.activate)

    async def deactivate_environment(self, _request: Request, model_id: str, name: str) -> Answer:
        """``POST …/environments/{name}/deactivate``."""
        return await self._switched(model_id, name, self._account.rollouts.deactivate)

    # Inside

    async def _switched(
        self, model_id: str, name: str, switch: Callable[[Deployment], bool]
    ) -> Answer:
        with self._site.change():
            environment = self._account.environment(self._account.model(model_id), name)
            if environment.current is None:
                raise invalid(f"environment {name} has no deployment")
            did = switch(environment.current)
        return Answer.of({"success": True, "no_op": not did})

    async def _hold(self, model_id: str) -> None:
        """Hold a question about a rollout back while a replica really boots."""

        def pending_s() -> float:
            model = self._account.models.get(model_id)
            if model is None:
                return 0.0
            booting = any(
                replica.is_booting
                for deployment in model.deployments.values()
                for replica in deployment.replicas.values()
            )
            return self._site.options.boot_s if booting else 0.0

        await hold(self._site, self._site.changed, pending_s)

    def _found(self, model_id: str, key: str) -> Deployment:
        return self._account.deployment(self._account.model(model_id), key)

    def _environment(self, model: Model, environment: Environment) -> dict[str, Any]:
        return shown_environment(self._site, model, environment)

    def _created(self, model: Model, deployment: Deployment) -> Answer:
        shown = shown_deployment(self._site, deployment)
        return Answer.of({"model": shown_model(self._site, model), "deployment": shown})

    def _archive(self, s3_key: str | None) -> Any:
        archive = self._store.archive(s3_key) if s3_key is not None else None
        if archive is None:
            raise invalid(f"s3_key: no archive was uploaded as {s3_key}")
        return archive


def _breaks(request: Request) -> bool:
    return request.fault is not None and request.fault.kind == "crash"
