"""What the APIs take: strict models of their requests.

A name that the published documents do not have is refused. Members that only the newer official
client knows (``baseten`` 0.13.1) are in :data:`NEWER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gpuhub.worker.wire import loads
from gpuhub_baseten.emulator.problems import Problem

__all__ = [
    "NEWER",
    "AsyncPredict",
    "Autoscaling",
    "CreateApiKey",
    "CreateDeployment",
    "CreateEnvironment",
    "CreateModel",
    "LogsQuery",
    "Payload",
    "PrepareUpload",
    "Promote",
    "PromoteTo",
    "UpdateDeployment",
    "UpdateEnvironment",
    "UpdateModel",
    "UpsertSecret",
    "read_body",
    "read_values",
]

M = TypeVar("M", bound="Body")

Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[0-9a-zA-Z_.-]+$")]
NEWER: Mapping[str, frozenset[str]] = {
    "DeploymentArchivePayloadV1": frozenset(
        {
            "autoscaling_schedule_settings",
            "autoscaling_settings",
            "create_environment_if_missing",
            "instance_type_id",
            "promotion_settings_override",
            "region",
            "request_backpressure_settings",
        }
    ),
    "UpdateEnvironmentRequestV1": frozenset({"traffic_routing_settings"}),
}
"""Members by schema of the August document that only the newer client has."""


class Body(BaseModel):
    """Strict about names and types."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    def sent(self) -> dict[str, Any]:
        """The members that were in the request."""
        return self.model_dump(exclude_unset=True)

    def given(self) -> dict[str, Any]:
        """The members that were in the request and are not null."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class Autoscaling(Body):
    """``UpdateAutoscalingSettingsV1``; bounds as the documentation has them."""

    min_replica: Annotated[int, Field(ge=0)] | None = None
    max_replica: Annotated[int, Field(ge=1)] | None = None
    autoscaling_window: Annotated[int, Field(ge=10, le=3600)] | None = None
    scale_down_delay: Annotated[int, Field(ge=0, le=3600)] | None = None
    concurrency_target: Annotated[int, Field(ge=1)] | None = None
    target_utilization_percentage: Annotated[int, Field(ge=1, le=100)] | None = None
    target_in_flight_tokens: int | None = None
    max_scale_down_rate: Annotated[int, Field(ge=1, le=50)] | None = None


class Backpressure(Body):
    """``UpdateRequestBackpressureSettingsV1``."""

    policy: Literal["QUEUE_ON_FULL", "REJECT_ON_FULL"] | None = None


class RollingDeploy(Body):
    """``UpdateRollingDeployConfigV1``."""

    rolling_deploy_strategy: Literal["REPLICA"] | None = None
    max_surge_percent: int | None = None
    max_unavailable_percent: int | None = None
    stabilization_time_seconds: int | None = None
    replica_overhead_percent: int | None = None


class Promotion(Body):
    """``UpdatePromotionSettingsV1``."""

    redeploy_on_promotion: bool | None = None
    rolling_deploy: bool | None = None
    promotion_cleanup_strategy: Literal["KEEP", "SCALE_TO_ZERO", "DEACTIVATE"] | None = None
    rolling_deploy_config: RollingDeploy | None = None
    ramp_up_while_promoting: bool | None = None
    ramp_up_duration_seconds: int | None = None


class Payload(Body):
    """``DeploymentArchivePayloadV1``."""

    config: dict[str, Any]
    raw_config: str | None = None
    user_env: dict[str, Any] | None = None
    environment_name: str | None = None
    create_environment_if_missing: bool = True
    region: str | None = None
    preserve_env_instance_type: bool = True
    deploy_timeout_minutes: Annotated[int, Field(ge=10, le=1440)] | None = None
    deployment_name: Name | None = None
    labels: dict[str, Any] | None = None
    is_development: bool = False
    autoscaling_settings: Autoscaling | None = None
    request_backpressure_settings: Backpressure | None = None
    autoscaling_schedule_settings: dict[str, Any] | None = None
    promotion_settings_override: Promotion | None = None
    instance_type_id: str | None = None


class PrepareUpload(Body):
    """``PrepareModelUploadRequestV1``."""

    deployment: Payload
    name: str | None = None
    team_id: str | None = None
    model_id: str | None = None
    dry_run: bool = False


class ModelArchive(Body):
    """``ModelArchiveSourceV1``."""

    kind: Literal["model_archive"] = "model_archive"
    name: Annotated[str, StringConstraints(min_length=1)]
    deployment: Payload
    s3_key: str | None = None
    disable_archive_download: bool = False


class DeploymentArchive(Body):
    """``DeploymentArchiveSourceV1``."""

    kind: Literal["model_archive"] = "model_archive"
    deployment: Payload
    s3_key: str | None = None


class CreateModel(Body):
    """``CreateModelRequestV1``; forks of library listings are not played."""

    source: ModelArchive


class CreateDeployment(Body):
    """``CreateModelDeploymentRequestV1``."""

    source: DeploymentArchive


class UpdateModel(Body):
    """``UpdateModelRequest`` of the newer client."""

    name: Annotated[str, StringConstraints(min_length=1)] | None = None


class UpdateDeployment(Body):
    """``UpdateDeploymentRequestV1``."""

    name: Name | None = None


class CreateEnvironment(Body):
    """``CreateEnvironmentRequestV1``."""

    name: Name
    autoscaling_settings: Autoscaling | None = None
    promotion_settings: Promotion | None = None
    request_backpressure_settings: Backpressure | None = None


class UpdateEnvironment(Body):
    """``UpdateEnvironmentRequestV1``."""

    autoscaling_settings: Autoscaling | None = None
    promotion_settings: Promotion | None = None
    autoscaling_schedule_settings: dict[str, Any] | None = None
    request_backpressure_settings: Backpressure | None = None
    traffic_routing_settings: dict[str, Any] | None = None


class Promote(Body):
    """``PromoteRequestV1``."""

    scale_down_previous_production: bool = True
    preserve_env_instance_type: bool = True


class PromoteTo(Body):
    """``PromoteToEnvironmentRequestV1``."""

    scale_down_previous_deployment: bool = True
    deployment_id: str
    preserve_env_instance_type: bool = True


Text256 = Annotated[str, StringConstraints(max_length=256)]


class LogsQuery(Body):
    """``GetDeploymentLogsRequestV1``."""

    start_epoch_millis: int | None = None
    end_epoch_millis: int | None = None
    direction: Literal["asc", "desc"] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = 500
    min_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = None
    replica: Text256 | None = None
    request_id: Text256 | None = None
    component: Text256 | None = None
    search_pattern: Text256 | None = None
    includes: Annotated[list[str], Field(max_length=8)] = Field(default_factory=list)
    excludes: Annotated[list[str], Field(max_length=8)] = Field(default_factory=list)


class UpsertSecret(Body):
    """``UpsertSecretRequestV1``."""

    name: str
    value: str = Field(repr=False)


class CreateApiKey(Body):
    """``CreateAPIKeyRequestV1``."""

    type: Literal[
        "PERSONAL",
        "WORKSPACE_MANAGE_ALL",
        "WORKSPACE_EXPORT_METRICS",
        "WORKSPACE_INVOKE",
        "WORKSPACE_MANAGE_API_KEYS",
    ]
    name: str | None = None
    model_ids: list[str] | None = None


class Retries(Body):
    """``InferenceRetryConfig`` of the inference document."""

    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    initial_delay_ms: Annotated[int, Field(ge=0, le=10_000)] = 1000
    max_delay_ms: Annotated[int, Field(ge=0, le=60_000)] = 5000


class AsyncPredict(Body):
    """``AsyncPredictRequest`` of the inference document."""

    model_input: Any
    webhook_endpoint: str | None = None
    priority: Annotated[int, Field(ge=0, le=2)] = 0
    max_time_in_queue_seconds: Annotated[int, Field(ge=10, le=259_200)] = 600
    inference_retry_config: Retries = Field(default_factory=Retries)


def read_body(model: type[M], body: bytes) -> M:
    """Read the body of a request.

    Raises:
        Problem: 400, it is no JSON or not as documented. The status is a guess.
    """
    try:
        document = loads(body or b"{}")
    except ValueError as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    return read_values(model, document)


def read_values(model: type[M], document: Any) -> M:
    """Check values that were read.

    Raises:
        Problem: 400.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise Problem(400, "; ".join(_told(each) for each in error.errors()[:5])) from None


def _told(error: Any) -> str:
    """One line about one mistake, without the value: it may be a secret."""
    place = ".".join(str(part) for part in error["loc"]) or "body"
    return f"{place}: {error['msg']}"
