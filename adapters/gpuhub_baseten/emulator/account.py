"""Everything in one workspace, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub_baseten.emulator.catalog import InstanceType, by_id, choose
from gpuhub_baseten.emulator.config import read_config
from gpuhub_baseten.emulator.logs import DeploymentLog
from gpuhub_baseten.emulator.problems import Problem, conflict, invalid, missing
from gpuhub_baseten.emulator.state import AUTOSCALING, Deployment, Environment, Model

if TYPE_CHECKING:
    from pathlib import Path

    from gpuhub_baseten.emulator.bodies import Payload
    from gpuhub_baseten.emulator.fleet import Fleet
    from gpuhub_baseten.emulator.rollouts import Rollouts
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Account"]

_NOT_PLAYED = ("redeploy_on_promotion", "rolling_deploy", "ramp_up_while_promoting")


@dataclass
class Account:
    """One workspace. Every method needs the lock.

    Attributes:
        site: What all parts share.
        fleet: Starts and stops replicas.
        rollouts: Builds, deploys and promotes.
        models: By id, oldest first.
        secret_rows: What is shown of the workspace's secrets, by name.
        api_keys: What is shown of API keys that were made here, by prefix.
    """

    site: Site
    fleet: Fleet
    rollouts: Rollouts
    models: dict[str, Model] = field(default_factory=dict)
    secret_rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    api_keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    # Looking

    def model(self, model_id: str) -> Model:
        """Give a model.

        Raises:
            Problem: 404.
        """
        if model_id not in self.models:
            raise missing(f"Model {model_id}")
        return self.models[model_id]

    def named(self, name: str) -> Model | None:
        """Give the model of a name."""
        return next((each for each in self.models.values() if each.name == name), None)

    def environment(self, model: Model, name: str) -> Environment:
        """Give an environment of a model.

        Raises:
            Problem: 404.
        """
        if name not in model.environments:
            raise missing(f"Environment {name}")
        return model.environments[name]

    def deployment(self, model: Model, key: str) -> Deployment:
        """Give a deployment by its id, or by ``production`` or ``development``.

        Raises:
            Problem: 404.
        """
        words = {"production": model.production, "development": model.development}
        found = words[key] if key in words else model.deployments.get(key)
        if found is None:
            raise missing(f"Deployment {key}")
        return found

    # Changing

    def check_push(self, payload: Payload, model: Model | None) -> None:
        """Check what is to be pushed, and change nothing.

        Raises:
            Problem: Something of it may not be.
        """
        self._instance(payload, read_config(payload.config), None)
        if payload.is_development and (payload.environment_name or payload.deployment_name):
            raise invalid("a development deployment has no environment and no name of its own")
        name = payload.environment_name
        exists = name in (None, "production") or (model is not None and name in model.environments)
        if not exists and not payload.create_environment_if_missing:
            raise missing(f"Environment {name}")
        needs_environment = payload.autoscaling_schedule_settings is not None
        if (needs_environment or payload.promotion_settings_override is not None) and not name:
            raise invalid("these settings need an environment_name")
        if payload.region is not None:
            raise invalid(f"region {payload.region} is not available to this workspace")
        for secret in read_config(payload.config).secrets:
            if not secret:
                raise invalid("config.secrets: a name is empty")

    def new_model(self, name: str, *, allows_download: bool = True) -> Model:
        """Make a model without deployments.

        Raises:
            Problem: 409, the name is taken. The status is a guess.
        """
        if self.named(name) is not None:
            raise conflict(f"a model named {name} already exists")
        model = Model(self.site.new_id(), name, self.site.stamp(), allows_download=allows_download)
        model.environments["production"] = Environment("production", model.created_at)
        self.models[model.id] = model
        return model

    def push(
        self, model: Model, payload: Payload, archive: Path | None, *, is_broken: bool = False
    ) -> Deployment:
        """Add a deployment to a model and begin to build it.

        Args:
            model: Whose it is.
            payload: What was pushed, checked.
            archive: The uploaded file.
            is_broken: Whether its build dies.
        """
        config = read_config(payload.config)
        environment = self._target(model, payload)
        own = payload.autoscaling_settings.given() if payload.autoscaling_settings else {}
        base = environment.autoscaling if environment is not None else AUTOSCALING
        self._check_limits({**base, **own})
        model.pushes += 1
        backpressure = payload.request_backpressure_settings
        deployment = Deployment(
            id=self.site.new_id(7),
            model_id=model.id,
            name=payload.deployment_name or self._next_name(model, payload),
            created_at=self.site.stamp(),
            config=config,
            raw_config=payload.raw_config,
            archive=archive,
            instance=self._instance(payload, config, environment),
            autoscaling={**base, **own},
            log=DeploymentLog(self.site.timeline.wall),
            backpressure=backpressure.policy if backpressure else None,
            labels=payload.labels,
            is_development=payload.is_development,
            environment=environment,
            keeps=own if environment is not None else {},
            is_broken=is_broken,
        )
        if payload.is_development and model.development is not None:
            self.remove(model, model.development)
        if environment is not None:
            self.rollouts.cancel_promotion(environment)  # one promotion at a time: the newer wins
            environment.candidate = deployment
        model.deployments[deployment.id] = deployment
        self.rollouts.begin(deployment)
        return deployment

    def promote(
        self, model: Model, deployment: Deployment, name: str, *, keeps_instance: bool, ends: bool
    ) -> None:
        """Let an environment point at a deployment.

        Args:
            model: Whose they are.
            deployment: What is to serve.
            name: Of the environment.
            keeps_instance: Whether the environment keeps its kind of machine.
            ends: Whether what served before is scaled down.

        Raises:
            Problem: It may not be.
        """
        environment = self.environment(model, name)
        if deployment.has_failed:
            raise invalid(
                f"deployment {deployment.id} is {deployment.phase}: it cannot be promoted"
            )
        if environment.candidate is not None and environment.candidate is not deployment:
            raise conflict(f"a promotion to {name} is in progress")
        if deployment.is_current and deployment.environment is not environment:
            raise invalid(f"deployment {deployment.id} belongs to another environment")
        deployment.is_development = False
        deployment.scales_down_previous = ends
        if keeps_instance and environment.instance is not None:
            deployment.instance = environment.instance
        self.rollouts.promote(deployment, environment)

    def update_limits(self, deployment: Deployment, sent: dict[str, Any]) -> str:
        """Change the limits of a deployment; give what the API says of it.

        Raises:
            Problem: They contradict each other, or it has none that can be changed.
        """
        if deployment.is_development:
            raise invalid("autoscaling of a development deployment cannot be changed")
        limits = {**deployment.autoscaling, **sent}
        self._check_limits(limits)
        if limits == deployment.autoscaling:
            return "UNCHANGED"
        deployment.autoscaling = limits
        self.fleet.review_idleness(deployment)
        return "ACCEPTED" if deployment.phase == "LIVE" else "QUEUED"

    def update_environment(self, environment: Environment, sent: dict[str, Any]) -> str:
        """Change an environment; give what the API says of it.

        Raises:
            Problem: Limits contradict each other, or something is not played here.
        """
        before = (dict(environment.autoscaling), dict(environment.promotion))
        limits = {**environment.autoscaling, **sent.get("autoscaling_settings", {})}
        self._check_limits(limits)
        promotion = sent.get("promotion_settings", {})
        if asked := [name for name in _NOT_PLAYED if promotion.get(name)]:
            raise Problem(501, f"the emulator does not play {asked[0]}")
        environment.autoscaling = limits
        environment.promotion |= promotion
        if "request_backpressure_settings" in sent:
            environment.backpressure = sent["request_backpressure_settings"].get("policy")
        current = environment.current
        if current is not None:
            current.autoscaling, current.backpressure = dict(limits), environment.backpressure
            self.fleet.review_idleness(current)
        is_same = before == (environment.autoscaling, environment.promotion)
        return "UNCHANGED" if is_same else "ACCEPTED"

    def remove(self, model: Model, deployment: Deployment) -> None:
        """Delete a deployment with its replicas."""
        self.rollouts.deactivate(deployment)
        environment = deployment.environment
        if environment is not None and environment.current is deployment:
            environment.current = None
        del model.deployments[deployment.id]

    def remove_model(self, model: Model) -> None:
        """Delete a model with all it has."""
        for deployment in list(model.deployments.values()):
            self.remove(model, deployment)
        del self.models[model.id]

    # Inside

    def _target(self, model: Model, payload: Payload) -> Environment | None:
        name = payload.environment_name
        if name is None:
            return None
        if name not in model.environments:
            model.environments[name] = Environment(name, self.site.stamp())
        environment = model.environments[name]
        override = payload.promotion_settings_override
        if override is not None and any(override.given().get(each) for each in _NOT_PLAYED):
            raise Problem(501, "the emulator does not play rolling promotions")
        return environment

    def _instance(
        self, payload: Payload, config: Any, environment: Environment | None
    ) -> InstanceType:
        if payload.instance_type_id is not None:
            if payload.preserve_env_instance_type:
                raise invalid("instance_type_id goes with preserve_env_instance_type false only")
            return by_id(payload.instance_type_id)
        chosen = choose(config.resources)
        if environment is not None and payload.preserve_env_instance_type:
            return environment.instance or chosen
        return chosen

    def _next_name(self, model: Model, payload: Payload) -> str:
        return "development" if payload.is_development else f"deployment-{model.pushes}"

    def _check_limits(self, limits: dict[str, Any]) -> None:
        if limits["min_replica"] > limits["max_replica"]:
            raise invalid(
                f"min_replica {limits['min_replica']} is above max_replica {limits['max_replica']}"
            )
        quota = self.site.options.replica_quota
        if quota is not None and limits["max_replica"] > quota:
            raise invalid(f"max_replica {limits['max_replica']} is above your limit of {quota}")
