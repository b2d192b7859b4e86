"""The decorator for ASGI applications."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload

from typing_extensions import override

from gpuhub._decorated import Decorated, Progress, default_name, describe
from gpuhub.spec import Bucket, FunctionSpec, Image, Secret, Volume

if TYPE_CHECKING:
    from gpuhub.endpoint import Endpoint
    from gpuhub.gpus import GpuChoice
    from gpuhub.scaling import Scaling
    from gpuhub.workspace import Workspace

__all__ = ["WebApp", "web"]

App = TypeVar("App")


class WebApp(Decorated, Generic[App]):
    """A function that makes an ASGI application. Made by :func:`web`."""

    def __init__(
        self, wrapped: Callable[[], App], spec: FunctionSpec, workspace: Workspace | None = None
    ) -> None:
        super().__init__(wrapped, spec, workspace)
        functools.update_wrapper(self, wrapped, updated=())

    def __call__(self) -> App:
        """Make the application here."""
        app: App = self.__wrapped__()
        return app

    @override
    def __repr__(self) -> str:
        """Show the qualified name."""
        return f"<gpuhub.WebApp {self.__module__}.{self.__qualname__}>"

    def in_workspace(self, workspace: Workspace) -> WebApp[App]:
        """The same application, bound to a workspace."""
        return WebApp(self.__wrapped__, self.spec, workspace)

    def deploy(self, *, warm: bool = False, progress: Progress | None = None) -> Endpoint[[], Any]:
        """Create or update the deployment. See :meth:`gpuhub.Function.deploy`."""
        self._deploy(warm=warm, progress=progress)
        return self.endpoint()

    async def deploy_async(
        self, *, warm: bool = False, progress: Progress | None = None
    ) -> Endpoint[[], Any]:
        """Create or update the deployment. See :meth:`gpuhub.Function.deploy`."""
        await self._deploy_async(warm=warm, progress=progress)
        return self.endpoint()

    def endpoint(self) -> Endpoint[[], Any]:
        """The application's deployment, without looking whether it exists; see ``Endpoint.url``."""
        from gpuhub.codec import BareCodec
        from gpuhub.endpoint import Endpoint

        workspace = self.workspace
        return Endpoint(workspace.session(), self.deployment_name, workspace.wire(BareCodec()))

    @property
    def url(self) -> str | None:
        """HTTP address of the deployment.

        Raises:
            NotDeployed: It is not deployed on the configured provider.
        """
        return self.endpoint().url


class _WebDecorator(Protocol):
    """What ``gpuhub.web(…)`` gives."""

    def __call__(self, wrapped: Callable[[], App], /) -> WebApp[App]: ...


@overload
def web(wrapped: Callable[[], App], /) -> WebApp[App]: ...
@overload
def web(
    *,
    gpu: str | GpuChoice | Sequence[str | GpuChoice] | None = None,
    name: str | None = None,
    image: Image = ...,
    scaling: Scaling = ...,
    timeout: float = 300,
    startup_timeout: float | None = None,
    cpu: float | None = None,
    memory: int | None = None,
    disk: int | None = None,
    env: Mapping[str, str] = ...,
    secrets: str | Secret | Sequence[str | Secret] = (),
    volumes: Mapping[str, Volume | Bucket] = ...,
    regions: str | Sequence[str] = (),
    cloud: str | None = None,
    snapshot: Literal["off", "cpu", "gpu"] = "off",
    min_cuda: str | None = None,
    public: bool = False,
    options: Mapping[str, Mapping[str, Any]] = ...,
) -> _WebDecorator: ...
def web(wrapped: Any = None, /, *, name: str | None = None, **settings: Any) -> Any:
    """Serve an ASGI application behind the provider's own web form.

    The decorated function takes no arguments and gives the application::

        @gpuhub.web(gpu="L4")
        def app() -> ASGIApp: ...

    Args:
        wrapped: The function, when used bare.
        name: Deployment name within the app. Default: the function's.
        **settings: As for :func:`gpuhub.function`, and ``public=True`` to need no credential.

    Raises:
        SpecError: A setting is wrong. Names the field.
    """

    def decorate(target: Any) -> WebApp[Any]:
        described = describe(target, web=True)
        spec = FunctionSpec(name=name or default_name(target), target=described, **settings)
        return WebApp(target, spec)

    return decorate if wrapped is None else decorate(wrapped)
