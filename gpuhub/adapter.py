"""THE SEAM: everything an adapter is, and everything it may use.

An adapter is a package that exposes ``INFO`` (an :class:`AdapterInfo`) and ``create`` (settings
to :class:`Adapter`), named by an entry point in the group ``gpuhub.adapters``. Nothing is
inherited: waiting, retrying, timing out, error wrapping and validation are the engine's.

Rules for adapters:

* ``async def`` methods await nothing but the methods of the :class:`Io` they are given. The
  engine steps them by hand in sync mode: there is no event loop.
* ``plan`` is pure: no network, no credentials, no clock.
* State lives in the adapter object, never in a module: two workspaces may share a process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ParamSpec, Protocol, Self, TypeVar, runtime_checkable
from urllib.parse import quote, unquote

from typing_extensions import override

from gpuhub.errors import ConfigError, GpuHubError, ProviderError

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan, Request, Response
    from gpuhub.scaling import Scaling
    from gpuhub.settings import Credential, ProviderSettings, SettingKey
    from gpuhub.spec import FunctionSpec

T = TypeVar("T")
Arguments = ParamSpec("Arguments")

__all__ = [
    "Adapter",
    "AdapterInfo",
    "AdapterModule",
    "CallOptions",
    "CallRef",
    "CallState",
    "CancelReceipt",
    "Clock",
    "DeploymentRef",
    "EndpointStatus",
    "ErrorFacts",
    "ErrorRule",
    "Feature",
    "Io",
    "Level",
    "Limits",
    "LogLine",
    "Origin",
    "Phase",
    "Rollout",
    "SuppliesClock",
    "Support",
    "Version",
    "WorkerCounts",
]


class Feature(StrEnum):
    """What a provider can or cannot do. Every adapter declares every one of them.

    The value of a feature about a setting is the path of the spec field.
    """

    GPU = "gpu"
    GPU_COUNT = "gpu.count"
    GPU_FALLBACKS = "gpu.fallbacks"
    GPU_QUERY = "gpu.query"
    CPU_ONLY = "gpu.none"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    IMAGE_REFERENCE = "image.reference"
    IMAGE_PYTHON = "image.python"
    IMAGE_PIP = "image.pip"
    IMAGE_APT = "image.apt"
    IMAGE_COMMANDS = "image.commands"
    IMAGE_REGISTRY_SECRET = "image.registry_secret"  # noqa: S105
    SCALE_TO_ZERO = "scaling.mode"
    MIN_WORKERS = "scaling.min_workers"
    MAX_WORKERS = "scaling.max_workers"
    BUFFER_WORKERS = "scaling.buffer_workers"
    IDLE_TIMEOUT = "scaling.idle_timeout"
    CONCURRENCY = "scaling.concurrency"
    TARGET_IN_FLIGHT = "scaling.target_in_flight"
    SCALE_UP_DELAY = "scaling.scale_up_delay"
    SCALE_WINDOW = "scaling.scale_window"
    TIMEOUT = "timeout"
    STARTUP_TIMEOUT = "startup_timeout"
    RETRIES = "retries"
    BATCHING = "batching"
    ENV = "env"
    SECRETS = "secrets"
    SECRETS_LOCAL = "secrets.local"
    VOLUMES = "volumes"
    BUCKETS = "volumes.bucket"
    SCHEDULE = "schedule"
    REGIONS = "regions"
    CLOUD = "cloud"
    SNAPSHOT = "snapshot"
    MIN_CUDA = "min_cuda"
    PUBLIC = "public"
    KIND_CLASS = "kind.class"
    KIND_GENERATOR = "kind.generator"
    KIND_ASYNC = "kind.async"
    KIND_WEB = "kind.web"
    INVOKE = "invoke"
    SPAWN = "spawn"
    STREAM = "stream"
    CANCEL_QUEUED = "cancel.queued"
    CANCEL_RUNNING = "cancel.running"
    IDEMPOTENCY_KEY = "idempotency-key"
    WEBHOOK = "webhook"
    RESULT_KEPT = "result-kept"
    STATUS = "status"
    SCALE_LIVE = "scale-live"
    LOGS = "logs"
    LOGS_FOLLOW = "logs.follow"
    VERSIONS = "versions"
    ROLLBACK = "rollback"
    WARM = "warm"
    DELETE = "delete"
    CONNECT = "connect"


class Level(StrEnum):
    """How far a feature is supported."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Support:
    """Declared support of one feature.

    Attributes:
        level: Native, emulated or unsupported.
        how: How it is emulated, or why it is not supported. Empty only for native.
    """

    level: Level
    how: str = ""

    def __post_init__(self) -> None:
        if self.level is not Level.NATIVE and not self.how:
            msg = f"support {self.level.value!r} needs a reason"
            raise ValueError(msg)

    @classmethod
    def native(cls, how: str = "") -> Self:
        """The provider does it itself."""
        return cls(Level.NATIVE, how)

    @classmethod
    def emulated(cls, how: str) -> Self:
        """The adapter or the worker does it; say how."""
        return cls(Level.EMULATED, how)

    @classmethod
    def unsupported(cls, reason: str) -> Self:
        """It cannot be done; say why."""
        return cls(Level.UNSUPPORTED, reason)


@dataclass(frozen=True, slots=True)
class Limits:
    """A provider's limits, checked before anything is sent. ``None``: no limit known.

    Attributes:
        payload_bytes: Largest body of a call that is waited for.
        spawn_payload_bytes: Largest body of a spawned call; ``None`` takes ``payload_bytes``.
        result_bytes: Largest result.
        timeout_s: Longest run of one call.
        max_workers: Most workers of one deployment.
        name_length: Longest deployment name.
    """

    payload_bytes: int | None = None
    spawn_payload_bytes: int | None = None
    result_bytes: int | None = None
    timeout_s: float | None = None
    max_workers: int | None = None
    name_length: int = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """One base URL of a provider and the credential it takes.

    Attributes:
        name: What requests name, such as ``"api"``.
        setting: Key of the provider's settings that replaces the default, such as ``"api_url"``.
        default: Default base URL; may hold ``{key}`` places filled from the settings.
        headers: Header templates; ``{NAME}`` is the credential of that name.
    """

    name: str
    setting: str
    default: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One line of an adapter's error table.

    Attributes:
        status: HTTP status.
        error: Class to raise.
        code: The provider's error code this line is about; ``None`` matches any.
        next_step: What the user can do.
        accepted: Whether the request may have had an effect: ``False`` no, ``None`` unknown.
    """

    status: int
    error: type[ProviderError]
    code: str | None = None
    next_step: str = ""
    accepted: bool | None = False


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What an adapter reads out of an error answer.

    Attributes:
        message: The provider's own words.
        code: The provider's own code.
        request_id: Its id of the exchange.
    """

    message: str = ""
    code: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """Facts about an adapter, known without settings or network.

    Attributes:
        name: Registered name, as in ``provider = "…"``.
        title: Name for people.
        docs_url: Where the provider documents itself.
        credentials: What it needs, from the vendor's own environment variables.
        settings: Keys of ``[providers.<name>]``.
        origins: Base URLs.
        limits: Checked before sending.
        schemes: URL schemes of ``Endpoint.connect``; the first is the one call ids print with.
        errors: Error table; the first matching line wins. Statuses it lacks map by default.
        read_error: Reads the provider's error bodies.
        extra: The extra to install for an SDK, such as ``"modal"``; empty when none is needed.
        long_poll_s: Longest wait of one ``submit`` or ``poll``.
    """

    name: str
    title: str
    docs_url: str
    credentials: tuple[Credential, ...] = ()
    settings: Mapping[str, SettingKey] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    limits: Limits = Limits()
    schemes: tuple[str, ...] = ()
    errors: tuple[ErrorRule, ...] = ()
    read_error: Callable[[Response], ErrorFacts] | None = None
    extra: str = ""
    long_poll_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.schemes:
            object.__setattr__(self, "schemes", (self.name,))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef:
    """A deployment at a provider. JSON-able, kept in the journal.

    Attributes:
        provider: Adapter name.
        name: gpuhub's name of it, ``<app>-<function>``; the address for connected ones.
        address: What :class:`CallRef` and ``Endpoint.connect`` use after ``provider://``.
        version: Current version, in the provider's own numbering.
        fingerprint: Of the plan that made it; empty when gpuhub did not make it.
        url: HTTP address, where there is one.
        scheme: URL scheme it was connected with; empty for the provider's first.
        made_by_gpuhub: False for connected endpoints: bare JSON instead of the envelope.
        data: The adapter's own identifiers.
    """

    provider: str
    name: str
    address: str
    version: str = ""
    fingerprint: str = ""
    url: str | None = None
    scheme: str = ""
    made_by_gpuhub: bool = True
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallRef:
    """A call at a provider. Prints and parses as ``provider://deployment/call-id``.

    Attributes:
        provider: Adapter name.
        deployment: The deployment's address; may contain slashes.
        id: The provider's own call id.
    """

    provider: str
    deployment: str
    id: str

    @override
    def __str__(self) -> str:
        """Give the text form; slashes inside the call id are percent-encoded."""
        return f"{self.provider}://{quote(self.deployment, safe='/:@')}/{quote(self.id, safe=':')}"

    @classmethod
    def parse(cls, text: str) -> CallRef:
        """Read the text form back.

        Raises:
            ConfigError: It is not ``provider://deployment/call-id``.
        """
        provider, mark, rest = text.partition("://")
        deployment, slash, call_id = rest.rpartition("/")
        if not (mark and slash and provider and deployment and call_id):
            msg = f"a call id looks like provider://deployment/call-id (got {text!r})"
            raise ConfigError(msg, next_step="pass the id that Call.id or `gpuhub invoke` printed")
        return cls(provider, unquote(deployment), unquote(call_id))


class Phase(StrEnum):
    """Where a call is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the call has ended."""
        return self not in (Phase.QUEUED, Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class CallState:
    """What a provider says about a call.

    Attributes:
        ref: Which call.
        phase: Where it is.
        output: The worker's JSON envelope (or bare JSON) once it succeeded.
        error: What went wrong, for a failed call whose failure is the platform's.
        detail: The provider's own words about the phase.
        poll_after: Seconds until the next poll makes sense; ``None`` leaves it to the engine.
        worker: Id of the worker.
        queued_s: Seconds in the queue, cold start included.
        run_s: Seconds of running.
    """

    ref: CallRef
    phase: Phase
    output: bytes | None = None
    error: GpuHubError | None = None
    detail: str = ""
    poll_after: float | None = None
    worker: str | None = None
    queued_s: float | None = None
    run_s: float | None = None


class CancelReceipt(StrEnum):
    """What a cancel achieved, strongest first."""

    CONFIRMED_TERMINAL = "confirmed_terminal"
    """The provider reports the call as ended."""
    PROVIDER_ACK = "provider_ack"
    """The provider accepted the cancel."""
    CHANNEL_CLOSED = "channel_closed"
    """The connection was closed; the provider may or may not stop the call."""
    NO_EVIDENCE = "no_evidence"
    """Nothing is known."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How to submit one call.

    Attributes:
        budget_s: Seconds the caller gives the whole call, queue included; ``None``: no limit.
        wait_s: Longest the submit may wait for the result; 0 (a spawn) returns at once.
        idempotency_key: Unique per call; sent where the provider has such a key.
        webhook: URL the provider calls at the end, where it can.
    """

    budget_s: float | None = None
    wait_s: float = 0.0
    idempotency_key: str = ""
    webhook: str | None = None


class Rollout(StrEnum):
    """Where a deployment's newest version is."""

    IN_PROGRESS = "in-progress"
    READY = "ready"
    """Routable: a call will be taken, though it may start cold."""
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers by state."""

    starting: int = 0
    idle: int = 0
    running: int = 0
    throttled: int = 0
    unhealthy: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.starting + self.idle + self.running + self.throttled + self.unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """What a provider says about a deployment.

    Attributes:
        rollout: Where the newest version is.
        version: The version that serves.
        workers: By state; ``None`` when the provider does not tell.
        queue_depth: Calls waiting; ``None`` when the provider does not tell.
        in_flight: Calls running; ``None`` when the provider does not tell.
        scaling: Limits in force, as far as known: ``{"min_workers": 0, …}``.
        detail: The provider's own words, or a diagnosis with the next step.
        log_tail: Last lines of a failed build or start.
    """

    rollout: Rollout
    version: str = ""
    workers: WorkerCounts | None = None
    queue_depth: int | None = None
    in_flight: int | None = None
    scaling: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a worker's log.

    Attributes:
        time: Seconds since the epoch, UTC.
        message: Text without the line end.
        worker: Id of the worker; empty when unknown.
        source: ``"stdout"``, ``"stderr"``, ``"system"`` or ``"build"``.
    """

    time: float
    message: str
    worker: str = ""
    source: str = "stdout"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a deployment.

    Attributes:
        id: The provider's own number or id.
        created_at: Seconds since the epoch, UTC; ``None`` when unknown.
        current: Whether it serves.
        fingerprint: Of the plan that made it, as far as known.
        detail: The provider's own words.
    """

    id: str
    created_at: float | None = None
    current: bool = False
    fingerprint: str = ""
    detail: str = ""


class Clock(Protocol):
    """Time as the engine sees it: the system's, or one that a test moves."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or move the clock."""
        ...


class Io(Protocol):
    """Everything an adapter may await."""

    async def send(self, request: Request) -> Response:
        """Send one request and read the whole answer.

        Adds the origin's base URL and credential, retries as ``request.retry`` allows and maps
        error answers by the adapter's table.

        Raises:
            ProviderError: The answer is an error, or there was none.
        """
        ...

    def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Send one request and yield the body as it arrives, in chunks of any size."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def run(
        self, function: Callable[Arguments, T], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> T:
        """Run a blocking call: directly in sync mode, on a thread in async mode."""
        ...

    def iterate(self, make: Callable[[], Iterable[T]]) -> AsyncIterator[T]:
        """Iterate over a blocking iterable: directly in sync mode, on a thread in async mode."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...


class Adapter(Protocol):
    """One provider. See the module's rules."""

    @property
    def info(self) -> AdapterInfo:
        """Facts."""
        ...

    @property
    def capabilities(self) -> Mapping[Feature, Support]:
        """Support of every :class:`Feature`."""
        ...

    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        """Translate; pure. The deployment's name is ``spec.deployment_name``."""
        ...

    async def deploy(self, io: Io, plan: Plan, previous: DeploymentRef | None) -> DeploymentRef:
        """Create or update; may return before it is routable. Sends no inference request."""
        ...

    async def find(self, io: Io, name: str) -> DeploymentRef | None:
        """The deployment gpuhub made under this name, or ``None``."""
        ...

    async def connect(self, io: Io, scheme: str, address: str) -> DeploymentRef:
        """An endpoint gpuhub may not have made, from ``scheme://address``."""
        ...

    async def submit(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> CallState:
        """Send one call, at most once. The state may be terminal already."""
        ...

    async def poll(self, io: Io, call: CallRef, wait_s: float) -> CallState:
        """Ask about a call; may wait up to ``wait_s`` for its end."""
        ...

    def stream(
        self, io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions
    ) -> AsyncIterator[bytes]:
        """Send one call and yield the worker's chunks, one JSON document each."""
        ...

    async def cancel(self, io: Io, call: CallRef) -> CancelReceipt:
        """Stop a call."""
        ...

    async def status(self, io: Io, ref: DeploymentRef) -> EndpointStatus:
        """Workers, queue, rollout."""
        ...

    async def scale(self, io: Io, ref: DeploymentRef, scaling: Scaling) -> DeploymentRef:
        """Change the limits of the live deployment."""
        ...

    def logs(
        self, io: Io, ref: DeploymentRef, since: float | None, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Log lines, oldest first; ``since`` is seconds since the epoch."""
        ...

    async def versions(self, io: Io, ref: DeploymentRef) -> Sequence[Version]:
        """All versions the provider keeps, newest first."""
        ...

    async def rollback(self, io: Io, ref: DeploymentRef, version: str) -> DeploymentRef:
        """Make an older version serve."""
        ...

    async def warm(self, io: Io, ref: DeploymentRef) -> None:
        """Start a worker now, without a call where the provider can."""
        ...

    async def delete(self, io: Io, ref: DeploymentRef) -> None:
        """Remove all that deploy made."""
        ...


@runtime_checkable
class SuppliesClock(Protocol):
    """An adapter that brings its own time, as the mock does."""

    clock: Clock


class AdapterModule(Protocol):
    """What an entry point of ``gpuhub.adapters`` names."""

    INFO: AdapterInfo

    def create(self, settings: ProviderSettings) -> Adapter:
        """Make an adapter for one workspace; needs no credentials yet."""
        ...
