"""What the JSON twins of the gateway's gRPC methods take: strict models of their messages.

Field by field the messages of beta9 0.1.291 (``beta9.clients``; a test compares them). The real
gateway drops names that it does not know: here they are refused, so that a client's slip is seen.
Protobuf's JSON takes names in camel case or as declared, and 64-bit numbers as text too.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from gpuhub_beam.emulator.problems import Problem

__all__ = [
    "BuildImage",
    "CommitObjectDelta",
    "CompleteObjectUpload",
    "CreateObject",
    "CreateObjectDelta",
    "DeployStub",
    "GetOrCreateStub",
    "GetOrCreateVolume",
    "Message",
    "ScaleDeployment",
    "StopTasks",
    "VerifyImageBuild",
    "read_message",
]

M = TypeVar("M", bound="Message")


def _number(value: Any) -> Any:
    """Take text where Protobuf's JSON does; not a truth value."""
    if isinstance(value, str):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Natural = Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**32)]


class Message(BaseModel):
    """Strict about names and types."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        defer_build=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )


class BuildStep(Message):
    """``image.BuildStep``."""

    type: str = ""
    command: str = ""


class _Image(Message):
    python_version: str = ""
    python_packages: list[str] = []
    commands: list[str] = []
    existing_image_uri: str = ""
    build_steps: list[BuildStep] = []
    env_vars: list[str] = []
    dockerfile: str = ""
    build_ctx_object: str = ""
    secrets: list[str] = []
    gpu: str = ""
    ignore_python: bool = False
    git_source: Any = None


class VerifyImageBuild(_Image):
    """``image.VerifyImageBuildRequest``."""

    force_rebuild: bool = False
    image_id: str | None = None


class BuildImage(_Image):
    """``image.BuildImageRequest``."""

    existing_image_creds: dict[str, str] = {}


class ObjectMetadata(Message):
    """``gateway.ObjectMetadata``."""

    name: str = ""
    size: Whole = 0


class CreateObject(Message):
    """``gateway.CreateObjectRequest``."""

    object_metadata: ObjectMetadata = ObjectMetadata()
    hash: str = ""
    size: Whole = 0
    overwrite: bool = False
    supports_put_headers: bool = False
    multipart_part_size: Whole = 0
    multipart_total_size: Whole = 0


class UploadedPart(Message):
    """``gateway.ObjectUploadedPart``."""

    number: Natural = 0
    etag: str = ""


class CompleteObjectUpload(Message):
    """``gateway.CompleteObjectUploadRequest``."""

    object_id: str = ""
    upload_id: str = ""
    parts: list[UploadedPart] = []


class CreateObjectDelta(Message):
    """``gateway.CreateObjectDeltaRequest``."""

    hash: str = ""
    size: Whole = 0
    base_object_id: str = ""
    delta_size: Whole = 0


class CommitObjectDelta(Message):
    """``gateway.CommitObjectDeltaRequest``."""

    object_id: str = ""
    base_object_id: str = ""
    removed_paths: list[str] = []


class GetOrCreateVolume(Message):
    """``volume.GetOrCreateVolumeRequest``."""

    name: str = ""


class Autoscaler(Message):
    """``types.Autoscaler``."""

    type: str = ""
    max_containers: Natural = 0
    tasks_per_container: Natural = 0
    min_containers: Natural = 0


class TaskPolicy(Message):
    """``types.TaskPolicy``."""

    timeout: Whole = 0
    max_retries: Natural = 0
    ttl: Natural = 0


class SecretVar(Message):
    """``types.SecretVar``."""

    name: str = ""


class MountPointConfig(Message):
    """``types.MountPointConfig``."""

    bucket_name: str = ""
    access_key: str = ""
    secret_key: str = ""
    endpoint_url: str = ""
    region: str = ""
    read_only: bool = False
    force_path_style: bool = False


class Volume(Message):
    """``types.Volume``."""

    id: str = ""
    mount_path: str = ""
    config: MountPointConfig | None = None


class GetOrCreateStub(Message):
    """``gateway.GetOrCreateStubRequest``; what only pods have is kept as it is."""

    object_id: str = ""
    image_id: str = ""
    stub_type: str = ""
    name: str = ""
    app_name: str = ""
    python_version: str = ""
    cpu: Whole = 0
    memory: Whole = 0
    gpu: str = ""
    handler: str = ""
    retries: Natural = 0
    timeout: Whole = 0
    keep_warm_seconds: Annotated[float, Field(strict=False)] = 0
    workers: Natural = 0
    max_pending_tasks: Natural = 0
    volumes: list[Volume] = []
    force_create: bool = False
    on_start: str = ""
    callback_url: str = ""
    authorized: bool = False
    secrets: list[SecretVar] = []
    autoscaler: Autoscaler | None = None
    task_policy: TaskPolicy | None = None
    concurrent_requests: Natural = 0
    extra: str = ""
    checkpoint_enabled: bool = False
    gpu_count: Natural = 0
    on_deploy: str = ""
    on_deploy_stub_id: str = ""
    entrypoint: list[str] = []
    ports: list[Natural] = []
    env: list[str] = []
    inputs: Any = None
    outputs: Any = None
    tcp: bool = False
    block_network: bool = False
    allow_list: list[str] = []
    docker_enabled: bool = False
    pool: Any = None
    checkpoint_trigger: Any = None
    hostname: str = ""
    is_service: bool = False
    serving: Any = None
    disks: list[Any] = []
    persistent_root: Any = None
    managed_endpoint: str = ""
    use_vm: bool = False


class DeployStub(Message):
    """``gateway.DeployStubRequest``."""

    stub_id: str = ""
    name: str = ""
    rollout: str = ""


class ScaleDeployment(Message):
    """``gateway.ScaleDeploymentRequest``."""

    id: str = ""
    containers: Natural = 0


class StopTasks(Message):
    """``gateway.StopTasksRequest``."""

    task_ids: list[str] = []


def read_message(kind: type[M], document: Any) -> M:
    """Read a body.

    Raises:
        Problem: 400, it is not of that form; says where.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem(400, f"proto: {where}: {first['msg']}", "grpc") from None
