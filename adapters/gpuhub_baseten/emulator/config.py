"""What a pushed ``config.yaml`` may say: our own reading of Truss's ``TrussConfig``.

Names and rules as of truss 0.18.35 (``truss.base.truss_config``, read 2026-11). A name that it does
not have is refused, as its ``validate_forbid_extra`` does before a push.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gpuhub_baseten.emulator.problems import invalid

__all__ = ["ACCELERATORS", "Config", "Resources", "read_config"]

ACCELERATORS = (
    *("T4", "L4", "A10G", "V100", "A100", "A100_40GB", "H100", "H100_40GB", "H200", "L40S"),
    *("B10", "B200", "B300", "GB300", "RTX_PRO_6000"),
)
_PYTHONS = tuple(f"py3{minor}" for minor in range(9, 15))
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{name.upper()}i": 1024.0**power for power, name in enumerate("kMGTPE", 1)}
_MEMORY = re.compile(r"^([0-9.]+)([a-zA-Z]*)$")
_CPU = re.compile(r"^([0-9.]+)(m?)$")


def _accelerator(text: str | None) -> str | None:
    if not text:
        return None
    name, colon, count = text.partition(":")
    if name not in ACCELERATORS:
        raise ValueError(f"Accelerator {name} not supported")
    if colon and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"Could not parse the number of {name} in {text}")
    return text


def _cpu(text: str) -> str:
    if _CPU.match(text) is None:
        raise ValueError(f"Invalid cpu specification {text}.")
    return text


def _memory(text: str) -> str:
    match = _MEMORY.match(text)
    if match is None or (match[2] and match[2] not in {**_UNITS, **_BINARY}):
        raise ValueError(f"Invalid memory specification {text}")
    return text


def _python(text: str) -> str:
    if text not in _PYTHONS:
        raise ValueError(f"Please ensure that `python_version` is one of {', '.join(_PYTHONS)}")
    return text


def _only_one_worker(count: int) -> int:
    if count != 1:
        raise ValueError("the number of server workers is 1")
    return count


class Part(BaseModel):
    """Strict about names and types."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Resources(Part):
    """What a replica needs."""

    cpu: Annotated[str, AfterValidator(_cpu)] = "1"
    memory: Annotated[str, AfterValidator(_memory)] = "2Gi"
    accelerator: Annotated[str | None, AfterValidator(_accelerator)] = None
    instance_type: str | None = None
    node_count: Annotated[int, Field(ge=1)] | None = None
    fabric: dict[str, Any] | None = None
    use_gpu: bool | None = None

    @property
    def gpus(self) -> tuple[str | None, int]:
        """Card and number of them."""
        name, _, count = (self.accelerator or "").partition(":")
        return (name, int(count or 1)) if name else (None, 0)

    @property
    def millicpus(self) -> float:
        """CPU in thousandths."""
        match = _CPU.match(self.cpu)
        return 0.0 if match is None else float(match[1]) * (1 if match[2] else 1000)

    @property
    def mebibytes(self) -> float:
        """Memory in MiB."""
        match = _MEMORY.match(self.memory)
        units = {"": 1.0, **_UNITS, **_BINARY}
        return 0.0 if match is None else float(match[1]) * units[match[2]] / 1024**2


class HealthChecks(Part):
    """When a replica is restarted or gets no traffic; ``null`` leaves it to Baseten."""

    restart_check_delay_seconds: int | None = None
    restart_threshold_seconds: int | None = None
    stop_traffic_threshold_seconds: int | None = None
    startup_threshold_seconds: int | None = None


class Runtime(Part):
    """How the server runs."""

    predict_concurrency: Annotated[int, Field(ge=1)] = 1
    streaming_read_timeout: int = 60
    enable_tracing_data: bool = False
    enable_debug_logs: bool = False
    transport: dict[str, Any] = Field(default_factory=dict)
    is_websocket_endpoint: bool | None = None
    health_checks: HealthChecks = Field(default_factory=HealthChecks)
    num_workers: Annotated[int, AfterValidator(_only_one_worker)] = 1
    oidc: dict[str, Any] | None = None
    remote_ssh: dict[str, Any] | None = None
    egress_restrictions: dict[str, Any] | None = None
    truss_server_version_override: str | None = None


class BaseImage(Part):
    """An image to build on."""

    image: str = ""
    python_executable_path: Annotated[str, Field(pattern="^(/.*)?$")] = ""
    docker_auth: dict[str, Any] | None = None


class DockerServer(Part):
    """A container with a server of its own."""

    start_command: str | None = None
    server_port: int
    predict_endpoint: str
    readiness_endpoint: str
    liveness_endpoint: str
    run_as_user_id: int | None = None
    no_build: bool | None = None


class Config(Part):
    """``TrussConfig``, as far as the emulator looks at it; the rest is any JSON."""

    model_name: str | None = None
    model_metadata: dict[str, Any] = Field(default_factory=dict)
    description: str | None = None
    examples_filename: str = "examples.yaml"
    data_dir: str = "data"
    external_data: list[Any] | None = None
    external_package_dirs: list[str] = Field(default_factory=list)
    python_version: Annotated[str, AfterValidator(_python)] = "py313"
    base_image: BaseImage | None = None
    requirements_file: str | None = None
    requirements: list[str] = Field(default_factory=list)
    system_packages: list[str] = Field(default_factory=list)
    environment_variables: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str | None] = Field(default_factory=dict)
    resources: Resources = Field(default_factory=Resources)
    runtime: Runtime = Field(default_factory=Runtime)
    build: dict[str, Any] = Field(default_factory=dict)
    build_commands: list[str] = Field(default_factory=list)
    docker_server: DockerServer | None = None
    model_cache: Any = None
    weights: Any = None
    bdn: Any = None
    trt_llm: Any = None
    training_checkpoints: Any = None
    bis_llm: Any = None
    input_type: str = "Any"
    model_framework: str = "custom"
    model_type: str = "Model"
    model_module_dir: str = "model"
    model_class_filename: str = "model.py"
    model_class_name: str = "Model"
    bundled_packages_dir: str = "packages"
    use_local_src: bool = False
    cache_internal: Any = None
    live_reload: bool = False
    apply_library_patches: bool = True
    spec_version: Literal["2.0"] = "2.0"

    def filled(self) -> dict[str, Any]:
        """Give all members, those with defaults included, as the image's file has them."""
        return self.model_dump(mode="json")

    @property
    def timeout_s(self) -> float | None:
        """When gpuhub's own worker ends a call: Baseten has no such setting."""
        own = self.model_metadata.get("gpuhub")
        given = own.get("timeout_s") if isinstance(own, dict) else None
        return float(given) if isinstance(given, int | float) else None


def read_config(document: dict[str, Any]) -> Config:
    """Check a pushed configuration.

    Raises:
        Problem: 400, Truss would refuse it.
    """
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise invalid(f"config: {'; '.join(lines)}") from None
    if config.requirements and config.requirements_file:
        raise invalid("config: requirements and requirements_file exclude each other")
    return config
