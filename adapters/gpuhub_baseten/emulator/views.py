"""How the management API shows what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub_baseten.emulator.catalog import INSTANCE_TYPES

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.site import Site
    from gpuhub_baseten.emulator.state import Deployment, Environment, Model

__all__ = ["shown_deployment", "shown_environment", "shown_model"]

_NOT_YET = ("BUILDING", "DEPLOYING", "BUILD_FAILED", "DEPLOY_FAILED")


def shown_model(site: Site, model: Model) -> dict[str, Any]:
    """Give ``ModelV1``."""
    production, development = model.production, model.development
    shown = production or next(iter(model.deployments.values()), None)
    return {
        "id": model.id,
        "created_at": model.created_at,
        "name": model.name,
        "deployments_count": len(model.deployments),
        "production_deployment_id": production.id if production else None,
        "development_deployment_id": development.id if development else None,
        "instance_type_name": shown.instance.id if shown else "",
        "team_name": site.team,
    }


def shown_deployment(site: Site, deployment: Deployment) -> dict[str, Any]:
    """Give ``DeploymentV1``."""
    now = site.now()
    environment = deployment.environment
    is_current = deployment.is_current
    early = deployment.phase in _NOT_YET
    return {
        "id": deployment.id,
        "created_at": deployment.created_at,
        "name": deployment.name,
        "model_id": deployment.model_id,
        "is_production": is_current and environment is not None and _is_production(environment),
        "is_development": deployment.is_development,
        "status": deployment.status(now),
        "active_replica_count": len(deployment.ready(now)),
        "autoscaling_settings": None if early else dict(deployment.autoscaling),
        "instance_type_name": deployment.instance.id,
        "environment": environment.name if environment is not None and is_current else None,
        "labels": deployment.labels,
        "region": None,
        "request_backpressure_settings": {"policy": deployment.backpressure},
    }


def shown_environment(site: Site, model: Model, environment: Environment) -> dict[str, Any]:
    """Give ``EnvironmentV1``."""
    candidate = environment.candidate
    current = environment.current
    promotion = {"status": "RELEASING", "percent_traffic_to_new_version": 0}
    instance = environment.instance or INSTANCE_TYPES[0]
    return {
        "name": environment.name,
        "created_at": environment.created_at,
        "model_id": model.id,
        "current_deployment": shown_deployment(site, current) if current else None,
        "candidate_deployment": shown_deployment(site, candidate) if candidate else None,
        "in_progress_promotion": promotion if candidate else None,
        "autoscaling_settings": dict(environment.autoscaling),
        "promotion_settings": dict(environment.promotion),
        "instance_type": instance.shown(),
        "request_backpressure_settings": {"policy": environment.backpressure},
        "autoscaling_schedules": None,
    }


def _is_production(environment: Environment) -> bool:
    return environment.name == "production"
