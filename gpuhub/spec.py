"""What a function asks for, provider-neutral: frozen models that refuse unknown fields.

Every field here is answered for by every adapter: its plan has one row for each path that
:func:`spec_fields` lists. Adding a field without a row in each adapter fails the contract suite.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    field_validator,
    model_validator,
)

from gpuhub._model import Model
from gpuhub.gpus import GpuChoice, parse_gpus
from gpuhub.scaling import Scaling
from gpuhub.worker.target import Target

__all__ = [
    "Batching",
    "Bucket",
    "FunctionSpec",
    "Image",
    "Schedule",
    "Secret",
    "Volume",
    "spec_fields",
]

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DEPLOYMENT_NAME = re.compile(r"[a-z]([a-z0-9-]{0,53}[a-z0-9])?\Z")
_PYTHON = re.compile(r"3\.\d{1,2}\Z")


def _as_tuple(value: Any) -> Any:
    """Take one string for a list of one: ``region="eu"``."""
    return (value,) if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Gpus = Annotated[
    tuple[Any, ...],
    BeforeValidator(parse_gpus),
    PlainSerializer(lambda choices: [str(choice) for choice in choices], return_type=list[str]),
]


class Image(Model):
    """The container a function runs in: packages over a stock Python, or an image of yours.

    Attributes:
        reference: An image in a registry, such as ``"docker.io/me/worker:1"``. First positional
            argument. ``None`` takes a stock Python image.
        python: Python version ``"3.X"``. Default: the version that decorates the function.
        pip: Requirements, as pip takes them.
        apt: Debian packages.
        commands: Shell commands run last in the build.
        registry_secret: Name of the provider's credential for a private ``reference``.
    """

    reference: str | None = None
    python: str = Field(default_factory=lambda: f"3.{sys.version_info.minor}")
    pip: Strings = ()
    apt: Strings = ()
    commands: Strings = ()
    registry_secret: str | None = None

    _positional: ClassVar[str] = "reference"

    if TYPE_CHECKING:

        def __init__(
            self,
            reference: str | None = None,
            /,
            *,
            python: str = ...,
            pip: str | Sequence[str] = (),
            apt: str | Sequence[str] = (),
            commands: str | Sequence[str] = (),
            registry_secret: str | None = None,
        ) -> None: ...

    @field_validator("python")
    @classmethod
    def _check_python(cls, value: str) -> str:
        if not _PYTHON.match(value):
            msg = f"python is a version like '3.12' (got {value!r})"
            raise ValueError(msg)
        return value


class Volume(Model):
    """A provider's network volume, mounted at a path.

    Attributes:
        name: The volume's name at the provider. First positional argument.
        read_only: Mount without write access. Default False.
        size_gb: Size to create it with, in GB, where the provider wants one.
    """

    name: Annotated[str, Field(min_length=1)]
    read_only: bool = False
    size_gb: Annotated[int, Field(ge=1)] | None = None

    _positional: ClassVar[str] = "name"

    if TYPE_CHECKING:

        def __init__(
            self, name: str, /, *, read_only: bool = False, size_gb: int | None = None
        ) -> None: ...


class Bucket(Model):
    """An object-storage bucket, mounted at a path.

    Attributes:
        url: ``s3://bucket/prefix`` or the like. First positional argument.
        secret: Name of the provider's secret with the access keys.
        read_only: Mount without write access. Default True.
        endpoint_url: For S3-compatible stores.
    """

    url: Annotated[str, Field(pattern=r"^[a-z0-9]+://.+")]
    secret: str | None = None
    read_only: bool = True
    endpoint_url: str | None = None

    _positional: ClassVar[str] = "url"

    if TYPE_CHECKING:

        def __init__(
            self,
            url: str,
            /,
            *,
            secret: str | None = None,
            read_only: bool = True,
            endpoint_url: str | None = None,
        ) -> None: ...


class Secret(Model):
    """A secret that the worker sees as an environment variable. Never holds the value.

    Attributes:
        name: Its name at the provider, or of the local variable. First positional argument.
        env: Environment variable in the worker. Default: ``name``.
        source: ``provider`` (default) uses a secret stored at the provider; ``local`` reads the
            value from the deploying machine's environment at deploy time.
    """

    name: Annotated[str, Field(min_length=1)]
    env: str = ""
    source: Literal["provider", "local"] = "provider"

    _positional: ClassVar[str] = "name"

    if TYPE_CHECKING:

        def __init__(
            self, name: str, /, *, env: str = "", source: Literal["provider", "local"] = "provider"
        ) -> None: ...

    @classmethod
    def from_local_env(cls, name: str, *, env: str = "") -> Secret:
        """Send the value of a local environment variable at deploy time."""
        return cls(name, env=env or name, source="local")

    @model_validator(mode="after")
    def _check_env(self) -> Secret:
        if not self.env:
            object.__setattr__(self, "env", self.name)
        if not _ENV_NAME.match(self.env):
            msg = f"{self.env!r} is no environment variable name; give one: Secret(…, env='NAME')"
            raise ValueError(msg)
        return self


def _as_secrets(value: Any) -> Any:
    value = (value,) if isinstance(value, Secret) else _as_tuple(value)
    if isinstance(value, list | tuple):
        return tuple(Secret(item) if isinstance(item, str) else item for item in value)
    return value


class Schedule(Model):
    """When a function runs by itself: a cron line or a period, exactly one.

    Attributes:
        cron: Five fields, UTC, such as ``"0 6 * * 1"``.
        every: Seconds between runs.
    """

    cron: str | None = None
    every: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Schedule:
        if (self.cron is None) == (self.every is None):
            msg = "a schedule has either cron='…' or every=seconds"
            raise ValueError(msg)
        if self.cron is not None and len(self.cron.split()) != 5:
            msg = f"cron has five fields, minute hour day month weekday (got {self.cron!r})"
            raise ValueError(msg)
        return self


class Batching(Model):
    """Calls gathered into one: the function then takes and returns lists.

    Attributes:
        max_size: Most calls in one batch.
        wait: Seconds to wait for a batch to fill.
    """

    max_size: Annotated[int, Field(ge=2)]
    wait: Annotated[float, Field(gt=0)]


class FunctionSpec(Model):
    """Everything a decorated function asks for.

    Attributes:
        app: Name of the project; filled from the settings at plan time.
        name: Name within the app: lower-case letters, digits, hyphens. At most 55 characters.
        target: What runs.
        gpu: Ordered choices: the first that the provider has is taken. Empty means CPU only.
        cpu: Cores, ``None`` leaves it to the provider.
        memory: MiB, ``None`` leaves it to the provider.
        disk: GiB of ephemeral disk, ``None`` leaves it to the provider.
        image: The container.
        scaling: Worker limits.
        timeout: Seconds one call may run. Default 300.
        startup_timeout: Seconds a worker may take to become ready; ``None``: the provider's.
        retries: Times the provider runs a failed call again. Default 0.
        idempotent: Running a call twice does no harm, so a lost submit may be sent again.
        batching: Gather calls into batches.
        env: Environment variables, readable by anyone who can read the deployment.
        secrets: Secrets, as environment variables.
        volumes: Mounts by absolute path.
        schedule: When it runs by itself.
        regions: Where it may run, in the provider's own names. Empty: anywhere.
        cloud: Which cloud it runs on, where the provider offers a choice.
        snapshot: Start workers from a memory image: ``off`` (default), ``cpu`` or ``gpu``.
        min_cuda: Lowest CUDA version of the host, such as ``"12.4"``.
        public: For web functions: reachable without a credential. Default False.
        options: Settings of one provider only, ``{"baseten": {"…": …}}``: checked by its adapter,
            ignored (with a row) by the others.
    """

    app: str = ""
    name: str
    target: Target
    gpu: Gpus = ()
    cpu: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[int, Field(ge=1)] | None = None
    disk: Annotated[int, Field(ge=1)] | None = None
    image: Image = Field(default_factory=Image)
    scaling: Scaling = Field(default_factory=Scaling)
    timeout: Annotated[float, Field(gt=0)] = 300
    startup_timeout: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 0
    idempotent: bool = False
    batching: Batching | None = None
    env: dict[str, str] = Field(default_factory=dict)
    secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_secrets)] = ()
    volumes: dict[str, Volume | Bucket] = Field(default_factory=dict)
    schedule: Schedule | None = None
    regions: Strings = ()
    cloud: str | None = None
    snapshot: Literal["off", "cpu", "gpu"] = "off"
    min_cuda: Annotated[str, Field(pattern=r"^\d{1,2}\.\d{1,2}$")] | None = None
    public: bool = False
    options: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)

    @property
    def deployment_name(self) -> str:
        """Name at the provider: ``<app>-<name>``."""
        return f"{self.app}-{self.name}" if self.app else self.name

    @property
    def gpu_choices(self) -> tuple[GpuChoice, ...]:
        """The GPU choices, typed."""
        return self.gpu

    def is_set(self, field: str) -> bool:
        """Whether the user set the field at this path, such as ``"scaling.max_workers"``."""
        model: BaseModel = self
        for part in (parts := field.split(".")):
            if part not in model.model_fields_set:
                return False
            if part is not parts[-1]:
                model = getattr(model, part)
        return True

    def value_of(self, field: str) -> Any:
        """The value at a path, such as ``"image.pip"``."""
        value: Any = self
        for part in field.split("."):
            value = getattr(value, part)
        return value

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not _DEPLOYMENT_NAME.match(value):
            msg = (
                "a name is lower-case letters, digits and hyphens, starts with a letter and has "
                f"at most 55 characters (got {value!r})"
            )
            raise ValueError(msg)
        return value

    @field_validator("env")
    @classmethod
    def _check_env(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _ENV_NAME.match(name):
                msg = f"{name!r} is no environment variable name"
                raise ValueError(msg)
            if "\0" in text:
                msg = f"the value of {name} holds a NUL byte"
                raise ValueError(msg)
        return value

    @field_validator("volumes")
    @classmethod
    def _check_volumes(cls, value: dict[str, Volume | Bucket]) -> dict[str, Volume | Bucket]:
        for path in value:
            if not path.startswith("/") or path == "/" or ".." in path.split("/"):
                msg = f"a mount path is absolute and below the root, like '/models' (got {path!r})"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _check_variables(self) -> FunctionSpec:
        names = [secret.env for secret in self.secrets]
        for name in names:
            if name in self.env or names.count(name) > 1:
                msg = f"the environment variable {name} is set twice (env and secrets)"
                raise ValueError(msg)
        if self.scaling.buffer_workers > self.scaling.max_workers:
            msg = (
                f"buffer_workers ({self.scaling.buffer_workers}) is above max_workers "
                f"({self.scaling.max_workers})"
            )
            raise ValueError(msg)
        return self


_NESTED: dict[str, type[Model]] = {"image": Image, "scaling": Scaling}


def spec_fields() -> tuple[str, ...]:
    """Paths of all fields an adapter answers for, such as ``gpu`` and ``image.python``.

    ``app`` is left out: it is half of the deployment's name, which the row ``name`` shows.
    """
    paths: list[str] = []
    for name in FunctionSpec.model_fields:
        if name == "app":
            continue
        if name in _NESTED:
            paths += [f"{name}.{inner}" for inner in _NESTED[name].model_fields]
        else:
            paths.append(name)
    return tuple(paths)
