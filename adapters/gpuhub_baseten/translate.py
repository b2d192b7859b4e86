"""Pure translation of a spec: the plan with its requests.

The push over REST: ``PrepareModelUploadRequestV1`` and ``DeploymentArchivePayloadV1`` of the
management document, with what ``baseten`` 0.13.1 has of them beyond it (``region``,
``autoscaling_settings``, ``create_environment_if_missing``); read 2026-11-24.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.plan import CostEstimate, Plan, Request, Retry, ShipMode
from gpuhub_baseten.autoscaling import autoscaling
from gpuhub_baseten.config import config_of, secret_name, worker_facts
from gpuhub_baseten.options import read_options
from gpuhub_baseten.package import config_text, pack, truss_files
from gpuhub_baseten.rows import make_rows

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec
    from gpuhub_baseten.defaults import Defaults
    from gpuhub_baseten.options import Options

__all__ = ["LABEL", "PROVIDER", "files_of", "make_plan"]

PROVIDER = "baseten"
LABEL = "gpuhub_"
"""Begins the labels by which gpuhub knows its deployments again."""

_PRICES = "GET /v1/instance_type_prices of the account; no list of prices is public"
_LONGEST_TEXT = 100 * 1024
"""Bytes of a ``raw_config`` that Truss itself sends at most."""


def make_plan(spec: FunctionSpec, bundle: Bundle, defaults: Defaults) -> Plan:
    """Translate a spec.

    Raises:
        SpecError: It cannot run on Baseten; see its subclasses.
    """
    own = read_options(spec.options.get(PROVIDER, {}))
    config = config_of(spec, own)
    archive = pack(truss_files(config, bundle, worker_facts(spec)))
    deployment = _deployment(spec, config, own, defaults, archive)
    idle = 0.0 if spec.scaling.min_workers == 0 else None
    return Plan(
        provider=PROVIDER,
        deployment=spec.deployment_name,
        spec=spec,
        bundle=bundle,
        rows=make_rows(spec, config, deployment, own),
        requests=_requests(spec, deployment, archive, defaults),
        ship=ShipMode("truss", "Baseten builds the image from a Truss folder", len(archive)),
        cost=CostEstimate(idle_usd_per_hour=idle, source=_PRICES),
    )


def files_of(plan: Plan) -> dict[str, bytes]:
    """Give the Truss folder of a plan, content by path."""
    own = read_options(plan.spec.options.get(PROVIDER, {}))
    return truss_files(config_of(plan.spec, own), plan.bundle, worker_facts(plan.spec))


def _requests(
    spec: FunctionSpec, deployment: Mapping[str, Any], archive: bytes, defaults: Defaults
) -> tuple[Request, ...]:
    """What a first deploy sends; to a model that is there, ``POST /v1/models/{id}/deployments``."""
    name, team = spec.deployment_name, defaults.team_id
    find = Request("GET", "/v1/models", step="find", query={"name": name}, retry=Retry.SAFE)
    secrets = [
        Request(
            "POST",
            "/v1/secrets",
            step=f"secret-{secret.env}",
            json={"name": secret_name(spec, secret), "value": f"{{{{secret:{secret.name}}}}}"},
            retry=Retry.SAFE,  # it replaces the value
        )
        for secret in spec.secrets
        if secret.source == "local"
    ]
    prepare = {"name": name, **({"team_id": team} if team else {}), "deployment": deployment}
    source = {
        "kind": "model_archive",
        "name": name,
        "s3_key": "{{prepare.s3_key}}",
        "deployment": deployment,
    }
    models = f"/v1/teams/{team}/models" if team else "/v1/models"
    return (
        find,
        *secrets,
        Request("POST", "/v1/prepare_model_upload", step="prepare", json=prepare, retry=Retry.SAFE),
        Request("PUT", "{{upload.url}}", origin="", step="upload", body=archive, retry=Retry.SAFE),
        Request("POST", models, step="deploy", json={"source": source}),
    )


def _deployment(
    spec: FunctionSpec,
    config: Mapping[str, Any],
    own: Options,
    defaults: Defaults,
    archive: bytes,
) -> dict[str, Any]:
    """Give the deployment-level members, the same for both requests of a push.

    ``preserve_env_instance_type`` is false, so that the GPU asked for is the GPU used; the
    environment is always named, and made if it is missing.
    """
    text = config_text(config)
    settings = autoscaling(spec.scaling, own)
    deployment: dict[str, Any] = {
        "config": config,
        "raw_config": text if len(text.encode()) <= _LONGEST_TEXT else None,
        "environment_name": own.environment or defaults.environment,
        "create_environment_if_missing": True,
        "preserve_env_instance_type": False,
        "labels": _labels(spec, own, settings, archive),
        "autoscaling_settings": settings,
        "region": spec.regions[0] if len(spec.regions) == 1 else None,
        "deploy_timeout_minutes": own.deploy_timeout_minutes,
        "deployment_name": own.deployment_name,
    }
    if own.backpressure is not None:
        deployment["request_backpressure_settings"] = {"policy": own.backpressure}
    return {name: value for name, value in deployment.items() if value is not None}


def _labels(
    spec: FunctionSpec, own: Options, settings: Mapping[str, Any], archive: bytes
) -> dict[str, str]:
    """Give what a later look at the deployment has to know.

    The archive's digest is there so that another worker of gpuhub's makes another deployment.
    """
    facts = {
        "fingerprint": "{{gpuhub.fingerprint}}",
        "archive": hashlib.sha256(archive).hexdigest()[:16],
        "kind": spec.target.kind,
        "concurrency": str(spec.scaling.concurrency),
        "limits": json.dumps(settings, sort_keys=True, separators=(",", ":")),
        "webhook": own.webhook,
        "max_time_in_queue": None if own.max_time_in_queue is None else str(own.max_time_in_queue),
    }
    return {f"{LABEL}{name}": value for name, value in facts.items() if value is not None}
