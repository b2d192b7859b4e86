"""Baseten's routes as requests. Pure.

Management: the published document (``/v1/…``). A model's own address: the inference document. Both
read 2026-11-24.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuhub.errors import PayloadTooLarge
from gpuhub.plan import Request, Retry
from gpuhub_baseten.defaults import PRODUCTION

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions, CallRef
    from gpuhub_baseten.defaults import Defaults

__all__ = ["LONGEST_WAIT_S", "ModelApi", "Place", "place_of"]

LONGEST_WAIT_S = 1230.0
"""Seconds to wait for an answer: Baseten's gateway gives one after 1200 at the latest."""
ASYNC_LIMIT = 256 * 1024
"""Bytes of a body of ``async_predict``."""
_JSON = {"Content-Type": "application/json"}
# Exactly ``application/json`` makes Truss join a stream into one text.
_STREAM = {**_JSON, "Accept": "*/*"}


def _get(path: str, origin: str = "api", **query: str) -> Request:
    return Request("GET", path, origin=origin, query=query, retry=Retry.SAFE)


def _id(text: str) -> str:
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class Place:
    """What an address names: a model, and what of it serves.

    Attributes:
        model: Id of the model.
        environment: Its environment; empty for one deployment.
        deployment: Id of that one deployment; empty for an environment.
    """

    model: str
    environment: str = PRODUCTION
    deployment: str = ""

    @property
    def address(self) -> str:
        """``model``, ``model/environment`` or ``model/deployment/id``."""
        if self.deployment:
            return f"{self.model}/deployment/{self.deployment}"
        return self.model if self.environment == PRODUCTION else f"{self.model}/{self.environment}"

    @property
    def target(self) -> str:
        """The path of it below the model's own address."""
        if self.deployment:
            return f"/deployment/{_id(self.deployment)}"
        if self.environment == PRODUCTION:
            return "/production"
        return f"/environments/{_id(self.environment)}"


def place_of(address: str) -> Place:
    """Read an address."""
    model, _, rest = address.partition("/")
    kind, slash, deployment = rest.partition("/")
    if kind == "deployment" and slash:
        return Place(model, "", deployment)
    return Place(model, rest or PRODUCTION)


# ---------------------------------------------------------------------------- management API


def get_models(name: str) -> Request:
    """``GET /v1/models?name=``."""
    return _get("/v1/models", name=name)


def get_model(model: str) -> Request:
    """``GET /v1/models/{id}``."""
    return _get(f"/v1/models/{_id(model)}")


def get_environment(model: str, environment: str) -> Request:
    """``GET /v1/models/{id}/environments/{name}``."""
    return _get(f"/v1/models/{_id(model)}/environments/{_id(environment)}")


def get_deployments(model: str) -> Request:
    """``GET /v1/models/{id}/deployments``."""
    return _get(f"/v1/models/{_id(model)}/deployments")


def get_deployment(model: str, deployment: str) -> Request:
    """``GET /v1/models/{id}/deployments/{id}``."""
    return _get(f"/v1/models/{_id(model)}/deployments/{_id(deployment)}")


def add_deployment(model: str, deploy: Request) -> Request:
    """``POST /v1/models/{id}/deployments``, from the request that would make the model."""
    source = {name: value for name, value in deploy.json["source"].items() if name != "name"}
    path = f"/v1/models/{_id(model)}/deployments"
    return Request("POST", path, step="deploy", json={"source": source})


def patch_environment(model: str, environment: str, settings: Mapping[str, Any]) -> Request:
    """``PATCH /v1/models/{id}/environments/{name}``: repeating it does no harm."""
    path = f"/v1/models/{_id(model)}/environments/{_id(environment)}"
    body = {"autoscaling_settings": dict(settings)}
    return Request("PATCH", path, json=body, retry=Retry.SAFE)


def patch_deployment(model: str, deployment: str, settings: Mapping[str, Any]) -> Request:
    """``PATCH …/deployments/{id}/autoscaling_settings``, for one that is in no environment."""
    path = f"/v1/models/{_id(model)}/deployments/{_id(deployment)}/autoscaling_settings"
    return Request("PATCH", path, json=dict(settings), retry=Retry.SAFE)


def promote(model: str, environment: str, deployment: str) -> Request:
    """``POST …/environments/{name}/promote``."""
    path = f"/v1/models/{_id(model)}/environments/{_id(environment)}/promote"
    body = {
        "deployment_id": deployment,
        "scale_down_previous_deployment": True,
        "preserve_env_instance_type": False,
    }
    return Request("POST", path, json=body)


def activate(model: str, deployment: str) -> Request:
    """``POST …/deployments/{id}/activate``."""
    path = f"/v1/models/{_id(model)}/deployments/{_id(deployment)}/activate"
    return Request("POST", path, retry=Retry.SAFE)


def deactivate(model: str, deployment: str) -> Request:
    """``POST …/deployments/{id}/deactivate``."""
    path = f"/v1/models/{_id(model)}/deployments/{_id(deployment)}/deactivate"
    return Request("POST", path, retry=Retry.SAFE)


def delete_deployment(model: str, deployment: str) -> Request:
    """``DELETE …/deployments/{id}``."""
    path = f"/v1/models/{_id(model)}/deployments/{_id(deployment)}"
    return Request("DELETE", path, retry=Retry.SAFE)


def delete_environment(model: str, environment: str) -> Request:
    """``DELETE …/environments/{name}``; production cannot be deleted."""
    path = f"/v1/models/{_id(model)}/environments/{_id(environment)}"
    return Request("DELETE", path, retry=Retry.SAFE)


def delete_model(model: str) -> Request:
    """``DELETE /v1/models/{id}``."""
    return Request("DELETE", f"/v1/models/{_id(model)}", retry=Retry.SAFE)


def get_logs(model: str, deployment: str, **window: int) -> Request:
    """``POST …/deployments/{id}/logs``: a read, oldest first.

    Args:
        model: Whose.
        deployment: Which.
        window: ``start_epoch_millis`` and ``end_epoch_millis``; at most 7 days between them.
    """
    path = f"/v1/models/{_id(model)}/deployments/{_id(deployment)}/logs"
    body = {"direction": "asc", "limit": 1000, **window}
    return Request("POST", path, json=body, retry=Retry.SAFE)


def get_secrets() -> Request:
    """``GET /v1/secrets``: names only."""
    return _get("/v1/secrets")


def delete_secret(name: str) -> Request:
    """``DELETE /v1/secrets/{name}``."""
    return Request("DELETE", f"/v1/secrets/{_id(name)}", retry=Retry.SAFE)


def get_prices() -> Request:
    """``GET /v1/instance_type_prices``: USD a minute."""
    return _get("/v1/instance_type_prices")


def get_startups(model: str, deployment: str) -> Request:
    """``GET …/deployments/{id}/startups/summary``: measured cold starts."""
    return _get(f"/v1/models/{_id(model)}/deployments/{_id(deployment)}/startups/summary")


# ------------------------------------------------------------------------ a model's own address


class ModelApi:
    """Requests to a model's own address, which is a host of its own at Baseten.

    Args:
        defaults: Where models are.
    """

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults

    def url(self, place: Place, route: str) -> str:
        """Give the address of a route of what serves there."""
        return f"{self._defaults.model_address(place.model)}{place.target}/{route}"

    def predict(self, place: Place, payload: bytes) -> Request:
        """``POST …/predict``: never repeated when its answer is lost."""
        url = self.url(place, "predict")
        return Request(
            "POST", url, origin="model", body=payload, headers=_JSON, timeout=LONGEST_WAIT_S
        )

    def stream(self, place: Place, payload: bytes) -> Request:
        """``POST …/predict`` whose answer is read as it comes."""
        url = self.url(place, "predict")
        return Request(
            "POST", url, origin="model", body=payload, headers=_STREAM, timeout=LONGEST_WAIT_S
        )

    def wake(self, place: Place) -> Request:
        """``POST …/wake``."""
        return Request("POST", self.url(place, "wake"), origin="model", retry=Retry.SAFE)

    def async_predict(
        self, place: Place, payload: bytes, options: CallOptions, webhook: str, queue_s: str | None
    ) -> Request:
        """``POST …/async_predict``: never repeated when its answer is lost.

        Raises:
            PayloadTooLarge: Baseten would refuse it.
        """
        members: dict[str, Any] = {
            "webhook_endpoint": webhook,
            "inference_retry_config": {"max_attempts": 1},
        }
        if queue_s is not None:
            members["max_time_in_queue_seconds"] = int(queue_s)
        elif options.budget_s is not None:
            members["max_time_in_queue_seconds"] = min(max(int(options.budget_s), 10), 259_200)
        rest = json.dumps(members)[1:]
        body = b'{"model_input":' + (payload.strip() or b"{}") + b"," + rest.encode()
        if len(body) > ASYNC_LIMIT:
            raise PayloadTooLarge(
                f"the call has {len(body):,} bytes; Baseten takes at most {ASYNC_LIMIT:,} for one"
                " whose result goes to a webhook",
                provider="baseten",
                next_step='pass a reference instead, or set payload_store = "s3://…"',
            )
        url = self.url(place, "async_predict")
        return Request("POST", url, origin="model", body=body, headers=_JSON)

    def get_async(self, call: CallRef) -> Request:
        """``GET /async_request/{id}``."""
        return _get(self._async_url(call), "model")

    def cancel_async(self, call: CallRef) -> Request:
        """``DELETE /async_request/{id}``: only while it waits."""
        return Request("DELETE", self._async_url(call), origin="model", retry=Retry.SAFE)

    def _async_url(self, call: CallRef) -> str:
        base = self._defaults.model_address(place_of(call.deployment).model)
        return f"{base}/async_request/{_id(call.id)}"
