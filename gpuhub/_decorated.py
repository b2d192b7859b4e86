"""What every decorated object can do: be described, planned and deployed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from gpuhub.errors import SpecError
from gpuhub.spec import FunctionSpec
from gpuhub.worker.target import Target

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub._session import Session
    from gpuhub.adapter import DeploymentRef, EndpointStatus
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan
    from gpuhub.workspace import Workspace

Progress = Callable[["EndpointStatus"], None]


class Decorated:
    """A function, class or web app with its spec, bound to a workspace at use."""

    __wrapped__: Any
    __name__: str
    __qualname__: str

    def __init__(
        self, wrapped: Any, spec: FunctionSpec, workspace: Workspace | None = None
    ) -> None:
        self.__wrapped__ = wrapped
        self.spec = spec
        self._workspace = workspace

    @override
    def __reduce__(self) -> str:
        """Pickle by name, as functions do."""
        name: str = self.__wrapped__.__qualname__
        return name

    @property
    def workspace(self) -> Workspace:
        """The workspace it was bound to, the enclosing block's, or its project's own."""
        from gpuhub.workspace import current_workspace

        return self._workspace or current_workspace(source_folder(self.__wrapped__))

    def bundle(self) -> Bundle:
        """Collect what would go into the container.

        Raises:
            SpecError: It cannot be shipped; names the file and the import.
        """
        return self._bundle(self.workspace, {})

    def plan(self, *, refuse: bool = True) -> Plan:
        """What a deploy would send and what becomes of each setting. Sends nothing.

        Args:
            refuse: Whether settings that the provider cannot honour are an error, as they are for
                a deploy. With ``False`` the plan tells them in its rows.

        Raises:
            SpecError: The provider cannot run this.
        """
        workspace = self.workspace
        secrets = self._local_secrets(workspace)
        bundle = self._bundle(workspace, secrets)
        spec = self._spec_for(workspace, bundle)
        return workspace.session().planner.plan(spec, bundle, secrets, refuse=refuse)

    def _spec_for(self, workspace: Workspace, bundle: Bundle) -> FunctionSpec:
        """The spec with what only the workspace knows: names, and access to its store."""
        changes: dict[str, Any] = {"app": workspace.settings.app, "target": bundle.target}
        if (store := workspace.payload_store) is not None:
            changes["env"] = {**self.spec.env, **store.worker_environment}
            image = self.spec.image
            if image.reference is None:
                packages = dict.fromkeys([*image.pip, *store.worker_packages])
                changes["image"] = image.model_copy(update={"pip": tuple(packages)})
        return self.spec.model_copy(update=changes)

    def _deploy(self, *, warm: bool, progress: Progress | None) -> tuple[Session, DeploymentRef]:
        session, plan = self.workspace.session(), self.plan()
        ref = session.run(
            lambda io: session.deployments.deploy(io, plan, warm=warm, progress=progress)
        )
        return session, ref

    async def _deploy_async(
        self, *, warm: bool, progress: Progress | None
    ) -> tuple[Session, DeploymentRef]:
        session, plan = self.workspace.session(), self.plan()
        ref = await session.run_async(
            lambda io: session.deployments.deploy(io, plan, warm=warm, progress=progress)
        )
        return session, ref

    @property
    def deployment_name(self) -> str:
        """Name of the deployment at the provider, ``<app>-<name>``."""
        return f"{self.workspace.settings.app}-{self.spec.name}"

    def _bundle(self, workspace: Workspace, secrets: Mapping[str, SecretStr]) -> Bundle:
        from gpuhub.bundle import build_bundle

        settings = workspace.settings
        root = settings.root
        if settings.file is None:
            root = import_folder(self.__wrapped__) or root
        hidden = sorted({secret.env for secret in self.spec.secrets})
        return build_bundle(
            self.__wrapped__,
            root,
            web=self.spec.target.kind == "web",
            include=settings.include,
            exclude=settings.exclude,
            image_packages=self.spec.image.pip,
            image_known=self.spec.image.reference is None,
            manifest_extra={"secrets": hidden} if hidden else {},
            secret_values=[value.get_secret_value() for value in secrets.values()],
        )

    def _local_secrets(self, workspace: Workspace) -> dict[str, SecretStr]:
        from pydantic import SecretStr

        found: dict[str, SecretStr] = {}
        for secret in self.spec.secrets:
            if secret.source != "local":
                continue
            value = workspace.settings.environment.get(secret.name)
            if value is None:
                msg = f"{self.spec.name}: secrets: the variable {secret.name} is not set here"
                raise SpecError(
                    msg, next_step=f"export {secret.name}, or store the secret at the provider"
                )
            found[secret.name] = SecretStr(value)
        return found


def source_folder(wrapped: Any) -> Path | None:
    """The folder of the code of a decorated object, ``None`` in a REPL."""
    try:
        file = inspect.getsourcefile(wrapped)
    except TypeError:
        return None
    path = Path(file) if file else None
    return path.parent.resolve() if path is not None and path.is_file() else None


def import_folder(wrapped: Any) -> Path | None:
    """The folder its module is imported from: where the outermost package lives."""
    folder = source_folder(wrapped)
    if folder is None:
        return None
    levels = wrapped.__module__.count(".")
    if Path(inspect.getsourcefile(wrapped) or "").name == "__init__.py":
        levels += 1
    return folder.parents[levels - 1] if levels else folder


def describe(wrapped: Any, *, web: bool = False) -> Target:
    """Find out what kind of object was decorated.

    Raises:
        SpecError: It is a method, or no callable.
    """
    if not callable(wrapped):
        msg = f"gpuhub.function decorates functions and classes (got {type(wrapped).__name__})"
        raise SpecError(msg, next_step="put @gpuhub.function directly above `def` or `class`")
    qualname: str = getattr(wrapped, "__qualname__", type(wrapped).__name__)
    if "." in qualname.rpartition("<locals>.")[2]:
        msg = f"{qualname} is a method: its `self` cannot travel"
        raise SpecError(
            msg, next_step="decorate a module-level function, or the class with __call__ and setup"
        )
    kind, called = "function", wrapped
    if inspect.isclass(wrapped):
        kind, called = "class", _call_of(wrapped)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        if kind == "class":
            msg = f"{qualname}.__call__ is a generator: classes give one result per call"
            raise SpecError(msg, next_step="make it a generator function instead")
        kind = "generator"
    is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
    module: str = wrapped.__module__
    return Target(module, qualname, "web" if web else kind, is_async)  # type: ignore[arg-type]


def _call_of(wrapped: type) -> Callable[..., Any]:
    call = wrapped.__dict__.get("__call__") or getattr(wrapped, "__call__", None)  # noqa: B004
    if not inspect.isfunction(call):
        msg = f"the class {wrapped.__qualname__} has no __call__"
        raise SpecError(msg, next_step="give it `def __call__(self, …)`: that is what a call runs")
    required = [
        name
        for name, parameter in inspect.signature(wrapped).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required:
        msg = f"{wrapped.__qualname__}.__init__ needs {', '.join(required)}: workers make it bare"
        raise SpecError(msg, next_step="load things in `def setup(self)` instead")
    return call


def default_name(wrapped: Any) -> str:
    """A deployment name from a Python name: ``embed_texts`` gives ``embed-texts``."""
    words: str = wrapped.__qualname__.rpartition(".")[2]
    spaced = "".join(f"-{c}" if c.isupper() and i else c for i, c in enumerate(words))
    return "-".join(part for part in spaced.lower().replace("_", "-").split("-") if part)
