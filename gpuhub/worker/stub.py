"""The ``gpuhub`` package of a container: every public name, and no work.

The user's module imports ``gpuhub`` for its decorators. In the container they have nothing to
do, so this file takes the library's place in a bundle: it imports nothing, and the user's module
is there in milliseconds. What only makes sense on the client raises
:class:`RuntimeError` when it is used.
"""

# No annotations and no imports but sys: this file's whole point is to cost nothing.

__version__ = "stub"

_ELSEWHERE = "is not available inside the worker: it belongs to the program that calls it"

_ERRORS = {
    "GpuHubError": "",
    "ConfigError": "GpuHubError",
    "UnknownProvider": "ConfigError",
    "AdapterNotInstalled": "ConfigError",
    "MissingCredentials": "ConfigError",
    "SpecError": "GpuHubError",
    "UnsupportedSetting": "SpecError",
    "UnknownGpu": "SpecError",
    "ProviderError": "GpuHubError",
    "AuthFailed": "ProviderError",
    "NotFound": "ProviderError",
    "RateLimited": "ProviderError",
    "QuotaExceeded": "ProviderError",
    "NoCapacity": "ProviderError",
    "PayloadTooLarge": "ProviderError",
    "BadRequest": "ProviderError",
    "ProviderUnavailable": "ProviderError",
    "MalformedResponse": "ProviderError",
    "JournalError": "GpuHubError",
    "DeployFailed": "GpuHubError",
    "NotDeployed": "GpuHubError",
    "CallFailed": "GpuHubError",
    "RemoteError": "CallFailed",
    "CallTimedOut": "CallFailed",
    "CallCancelled": "CallFailed",
    "CallExpired": "CallFailed",
    "OutcomeUnknown": "CallFailed",
}

_DECLARATIONS = ("Batching", "Bucket", "Image", "Scaling", "Schedule", "Secret", "Volume", "gpu")
_CLIENT_ONLY = (
    "Call",
    "CallState",
    "Endpoint",
    "EndpointStatus",
    "Function",
    "FunctionSpec",
    "LogLine",
    "Phase",
    "Plan",
    "Row",
    "ScaleReport",
    "Version",
    "WebApp",
    "WorkerMode",
    "Workspace",
)
_REMOTE = (
    "bundle",
    "call",
    "codec",
    "deploy",
    "deploy_async",
    "deployment_name",
    "endpoint",
    "in_workspace",
    "map",
    "map_async",
    "plan",
    "remote",
    "remote_async",
    "spawn",
    "spawn_async",
    "stream",
    "stream_async",
    "url",
    "with_options",
    "workspace",
)


class _Unavailable:
    """Stands for something of the client's; any use of it says so."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<gpuhub.{self.__name__}, not available inside the worker>"

    def __call__(self, *_: object, **__: object) -> None:
        raise RuntimeError(f"gpuhub.{self.__name__} {_ELSEWHERE}")

    def __getattr__(self, name: str) -> None:
        # Python itself asks for special names, for example to inspect annotations.
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(f"gpuhub.{self.__name__}.{name} {_ELSEWHERE}")

    def __or__(self, other: object) -> type:
        return object

    __ror__ = __or__

    def __getitem__(self, item: object) -> object:
        return self


class _DeclarationType(type):
    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Declaration(metaclass=_DeclarationType):
    """Accepts whatever the real class accepts and keeps the named arguments."""

    def __init__(self, *_: object, **settings: object) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: self


def _decorate(target: object) -> object:
    """Give the user's object back, with the client's methods as clear refusals."""
    for name in _REMOTE:
        if not hasattr(target, name):
            setattr(target, name, _Unavailable(f"Function.{name}"))
    if not hasattr(target, "local"):
        local = staticmethod(target) if isinstance(target, type) else target
        setattr(target, "local", local)  # noqa: B010  (the type has none)
    return target


def function(target: object = None, /, **_settings: object) -> object:
    """Take the place of the real decorator: give the function or class back."""
    return _decorate if target is None else _decorate(target)


web = function


def _error(name: str) -> type:
    base = __getattr__(_ERRORS[name]) if _ERRORS[name] else Exception
    return type(name, (base,), {"__module__": "gpuhub.errors"})  # type: ignore[arg-type]


def __getattr__(name: str) -> object:
    made: object
    if name in globals():
        return globals()[name]
    if name == "File":
        from gpuhub.worker import file

        made = file.File
    elif name in _ERRORS:
        made = _error(name)
    elif name in _DECLARATIONS:
        made = _DeclarationType(name, (_Declaration,), {"__module__": "gpuhub"})
    elif name in _CLIENT_ONLY:
        made = _Unavailable(name)
    else:
        raise AttributeError(
            f"the gpuhub inside the worker has no {name!r}: it offers the decorators and what "
            "they take, the errors and File"
        )
    globals()[name] = made
    return made


if __name__ == "gpuhub":
    # ``from gpuhub.errors import …`` needs a module of that name; its classes are made when asked.
    import sys

    errors = type(sys)("gpuhub.errors", "The names of gpuhub's errors.")
    errors.__getattr__ = __getattr__  # type: ignore[method-assign]
    sys.modules["gpuhub.errors"] = errors
