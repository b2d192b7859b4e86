"""The decorator: a plain Python function that can also run on a serverless GPU."""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, overload

from typing_extensions import ParamSpec, TypeVar, override

from gpuhub._decorated import Decorated, Progress, default_name, describe
from gpuhub.errors import SpecError
from gpuhub.spec import Batching, Bucket, FunctionSpec, Image, Schedule, Secret, Volume

if TYPE_CHECKING:
    from gpuhub.call import Call
    from gpuhub.codec import WireCodec
    from gpuhub.endpoint import Endpoint
    from gpuhub.gpus import GpuChoice
    from gpuhub.scaling import Scaling
    from gpuhub.workspace import Workspace

__all__ = ["Function", "function"]

P = ParamSpec("P")
R = TypeVar("R")
Local = TypeVar("Local", default=R)
R_co = TypeVar("R_co", covariant=True)


class Function(Decorated, Generic[P, R, Local]):
    """A decorated function or class. Made by :func:`function`.

    Calling it runs it here, always. ``remote``, ``spawn``, ``map`` and ``stream`` run it on the
    configured provider, where it must have been deployed.

    ``P`` are its parameters, ``R`` what a remote call gives, ``Local`` what the plain call gives
    (a coroutine for ``async def``, an iterator for generators).
    """

    def __init__(
        self, wrapped: Callable[P, Local], spec: FunctionSpec, workspace: Workspace | None = None
    ) -> None:
        super().__init__(wrapped, spec, workspace)
        functools.update_wrapper(self, wrapped, updated=())
        self._lock = Lock()
        self._instance: Any = None
        self._codec: WireCodec | None = None
        if inspect.isclass(wrapped):
            signature = inspect.signature(wrapped.__call__)
            bare = list(signature.parameters.values())[1:]
            self.__signature__ = signature.replace(parameters=bare)
        elif spec.target.is_async and hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Local:
        """Run it here, as if it were not decorated."""
        return self.local(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Function[P, R, Local]:
        """Be a routine to documentation tools; refuse to become a method.

        Raises:
            SpecError: It was put into a class and is used through an instance.
        """
        if instance is None:
            return self
        msg = f"{self.spec.name} is used as a method of {type(instance).__name__}"
        raise SpecError(msg, next_step="call it as a module-level function")

    @override
    def __repr__(self) -> str:
        """Show the qualified name and the GPUs."""
        gpus = ", ".join(str(choice) for choice in self.spec.gpu) or "CPU"
        return f"<gpuhub.Function {self.__module__}.{self.__qualname__} on {gpus}>"

    def local(self, *args: P.args, **kwargs: P.kwargs) -> Local:
        """Run it here. A class is made and set up once, then called."""
        target: Any = self.__wrapped__
        if inspect.isclass(target):
            target = self._local_instance(target)
        result: Local = target(*args, **kwargs)
        return result

    def _local_instance(self, made: type) -> Any:
        with self._lock:
            if self._instance is None:
                instance = made()
                if hasattr(instance, "setup"):
                    instance.setup()
                self._instance = instance
            return self._instance

    def in_workspace(self, workspace: Workspace) -> Function[P, R, Local]:
        """The same function, bound to a workspace."""
        return Function(self.__wrapped__, self.spec, workspace)

    # Deploying

    def deploy(self, *, warm: bool = False, progress: Progress | None = None) -> Endpoint[P, R]:
        """Create or update the deployment; return once it is routable.

        Sends no call: no worker starts unless ``min_workers`` or ``warm`` asks for one. An
        unchanged function sends no mutating request.

        Args:
            warm: Start a worker, which is billed.
            progress: Told the status at every look.

        Raises:
            SpecError: The provider cannot run this; nothing was sent.
            DeployFailed: The new version did not become routable; the old one serves.
            ProviderError: The provider refused.
        """
        self._deploy(warm=warm, progress=progress)
        return self.endpoint()

    async def deploy_async(
        self, *, warm: bool = False, progress: Progress | None = None
    ) -> Endpoint[P, R]:
        """Create or update the deployment. See :meth:`deploy`."""
        await self._deploy_async(warm=warm, progress=progress)
        return self.endpoint()

    def endpoint(self) -> Endpoint[P, R]:
        """The function's deployment; whether it exists is found out at its first use."""
        from gpuhub._engine.calls import CallSettings
        from gpuhub.endpoint import Endpoint

        workspace = self.workspace
        return Endpoint(
            workspace.session(),
            f"{workspace.settings.app}-{self.spec.name}",
            workspace.wire(self.codec),
            settings=CallSettings(idempotent=self.spec.idempotent),
        )

    @property
    def codec(self) -> WireCodec:
        """How its arguments and results travel.

        Raises:
            SpecError: A parameter or annotation cannot travel.
        """
        if self._codec is None:
            from gpuhub.codec import codec_for

            self._codec = codec_for(self.__wrapped__, self.spec.target)
        return self._codec

    # Calls

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call on the provider and wait for the result. See :meth:`Endpoint.invoke`."""
        return self._callable().invoke(*args, **kwargs)

    async def remote_async(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call on the provider and wait for the result. See :meth:`Endpoint.invoke`."""
        return await self._callable().invoke_async(*args, **kwargs)

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Submit a call and return at once."""
        return self._callable().spawn(*args, **kwargs)

    async def spawn_async(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Submit a call and return at once."""
        return await self._callable().spawn_async(*args, **kwargs)

    def call(self, call_id: str) -> Call[R]:
        """The spawned call of an id, its result typed as this function's."""
        from gpuhub.adapter import CallRef
        from gpuhub.call import Call

        ref = CallRef.parse(call_id)
        workspace = self.workspace
        return Call(workspace.session(ref.provider), ref, workspace.wire(self.codec))

    def map(self, *iterables: Iterable[Any], **options: Any) -> Iterator[R]:
        """Call once for each item, many at a time. See :meth:`Endpoint.map`."""
        return self._callable().map(*iterables, **options)

    def map_async(self, *iterables: Iterable[Any], **options: Any) -> AsyncIterator[R]:
        """Call once for each item, many at a time. See :meth:`Endpoint.map`."""
        return self._callable().map_async(*iterables, **options)

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        """Call a generator function and yield its items as they come."""
        return self._generator().stream(*args, **kwargs)

    def stream_async(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        """Call a generator function and yield its items as they come."""
        return self._generator().stream_async(*args, **kwargs)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
    ) -> Endpoint[P, R]:
        """The endpoint, with options for its calls. See :meth:`Endpoint.with_options`."""
        return self.endpoint().with_options(
            timeout=timeout, idempotency_key=idempotency_key, webhook=webhook
        )

    def _callable(self) -> Endpoint[P, R]:
        if self.spec.target.kind == "generator":
            msg = f"{self.spec.name} is a generator function: it has no single result"
            raise SpecError(msg, next_step=f"iterate over {self.__name__}.stream(…)")
        return self.endpoint()

    def _generator(self) -> Endpoint[P, R]:
        if self.spec.target.kind != "generator":
            msg = f"{self.spec.name} is no generator function: it has nothing to stream"
            raise SpecError(msg, next_step=f"call {self.__name__}.remote(…), or `yield` in it")
        return self.endpoint()


class _Servable(Protocol[P, R_co]):
    """A class that a worker makes once and calls for each call."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Take one call."""
        ...


class _Decorator(Protocol):
    """What ``gpuhub.function(…)`` gives: takes functions of every kind, and classes."""

    @overload
    def __call__(self, wrapped: type[_Servable[P, R]], /) -> Function[P, R]: ...
    @overload
    def __call__(
        self, wrapped: Callable[P, AsyncIterator[R]], /
    ) -> Function[P, R, AsyncIterator[R]]: ...
    @overload
    def __call__(
        self, wrapped: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Function[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, wrapped: Callable[P, Iterator[R]], /) -> Function[P, R, Iterator[R]]: ...
    @overload
    def __call__(self, wrapped: Callable[P, R], /) -> Function[P, R]: ...


@overload
def function(wrapped: type[_Servable[P, R]], /) -> Function[P, R]: ...
@overload
def function(wrapped: Callable[P, AsyncIterator[R]], /) -> Function[P, R, AsyncIterator[R]]: ...
@overload
def function(
    wrapped: Callable[P, Coroutine[Any, Any, R]], /
) -> Function[P, R, Coroutine[Any, Any, R]]: ...
@overload
def function(wrapped: Callable[P, Iterator[R]], /) -> Function[P, R, Iterator[R]]: ...
@overload
def function(wrapped: Callable[P, R], /) -> Function[P, R]: ...
@overload
def function(
    *,
    gpu: str | GpuChoice | Sequence[str | GpuChoice] | None = None,
    name: str | None = None,
    image: Image = ...,
    scaling: Scaling = ...,
    timeout: float = 300,
    startup_timeout: float | None = None,
    retries: int = 0,
    idempotent: bool = False,
    cpu: float | None = None,
    memory: int | None = None,
    disk: int | None = None,
    env: Mapping[str, str] = ...,
    secrets: str | Secret | Sequence[str | Secret] = (),
    volumes: Mapping[str, Volume | Bucket] = ...,
    schedule: Schedule | None = None,
    regions: str | Sequence[str] = (),
    cloud: str | None = None,
    batching: Batching | None = None,
    snapshot: Literal["off", "cpu", "gpu"] = "off",
    min_cuda: str | None = None,
    options: Mapping[str, Mapping[str, Any]] = ...,
) -> _Decorator: ...
def function(wrapped: Any = None, /, *, name: str | None = None, **settings: Any) -> Any:
    """Make a function, generator, ``async def`` or class run on a serverless GPU as well.

    Use it bare (``@gpuhub.function``) or with settings (``@gpuhub.function(gpu="A100")``). All
    settings have one meaning on every provider; what a provider cannot honour is refused or
    reported by ``gpuhub plan``, never dropped.

    Args:
        wrapped: The function or class, when used bare.
        name: Deployment name within the app. Default: the function's, ``embed_texts`` becoming
            ``embed-texts``.
        **settings: Fields of :class:`~gpuhub.spec.FunctionSpec`, which gives their units and
            defaults: ``gpu``, ``image``, ``scaling``, ``timeout`` and so on.

    Returns:
        A :class:`Function`, which still behaves as the plain function.

    Raises:
        SpecError: A setting is wrong, or the object cannot run remotely. Names the field.
    """

    def decorate(target: Any) -> Function[..., Any, Any]:
        described = describe(target)
        spec = FunctionSpec(name=name or default_name(target), target=described, **settings)
        return Function(target, spec)

    return decorate if wrapped is None else decorate(wrapped)
