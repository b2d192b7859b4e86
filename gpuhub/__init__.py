"""One decorator and one ``Endpoint`` over every serverless-GPU provider.

Every public name is listed here and loaded at first use: ``import gpuhub`` imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuhub._function import Function, function
    from gpuhub._web import WebApp, web
    from gpuhub.adapter import CallState, EndpointStatus, LogLine, Phase, Version
    from gpuhub.call import Call
    from gpuhub.endpoint import Endpoint, ScaleReport
    from gpuhub.errors import (
        AdapterNotInstalled,
        AuthFailed,
        BadRequest,
        CallCancelled,
        CallExpired,
        CallFailed,
        CallTimedOut,
        ConfigError,
        DeployFailed,
        GpuHubError,
        JournalError,
        MalformedResponse,
        MissingCredentials,
        NoCapacity,
        NotDeployed,
        NotFound,
        OutcomeUnknown,
        PayloadTooLarge,
        ProviderError,
        ProviderUnavailable,
        QuotaExceeded,
        RateLimited,
        RemoteError,
        SpecError,
        UnknownGpu,
        UnknownProvider,
        UnsupportedSetting,
    )
    from gpuhub.gpus import gpu
    from gpuhub.plan import Plan, Row
    from gpuhub.scaling import Scaling, WorkerMode
    from gpuhub.spec import Batching, Bucket, FunctionSpec, Image, Schedule, Secret, Volume
    from gpuhub.worker.file import File
    from gpuhub.workspace import Workspace

__all__ = [
    "AdapterNotInstalled",
    "AuthFailed",
    "BadRequest",
    "Batching",
    "Bucket",
    "Call",
    "CallCancelled",
    "CallExpired",
    "CallFailed",
    "CallState",
    "CallTimedOut",
    "ConfigError",
    "DeployFailed",
    "Endpoint",
    "EndpointStatus",
    "File",
    "Function",
    "FunctionSpec",
    "GpuHubError",
    "Image",
    "JournalError",
    "LogLine",
    "MalformedResponse",
    "MissingCredentials",
    "NoCapacity",
    "NotDeployed",
    "NotFound",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "Phase",
    "Plan",
    "ProviderError",
    "ProviderUnavailable",
    "QuotaExceeded",
    "RateLimited",
    "RemoteError",
    "Row",
    "ScaleReport",
    "Scaling",
    "Schedule",
    "Secret",
    "SpecError",
    "UnknownGpu",
    "UnknownProvider",
    "UnsupportedSetting",
    "Version",
    "Volume",
    "WebApp",
    "WorkerMode",
    "Workspace",
    "function",
    "gpu",
    "web",
]

_HOMES = {
    "gpuhub.adapter": ("CallState", "EndpointStatus", "LogLine", "Phase", "Version"),
    "gpuhub.call": ("Call",),
    "gpuhub.endpoint": ("Endpoint", "ScaleReport"),
    "gpuhub._function": ("Function", "function"),
    "gpuhub.gpus": ("gpu",),
    "gpuhub.plan": ("Plan", "Row"),
    "gpuhub.scaling": ("Scaling", "WorkerMode"),
    "gpuhub.spec": (
        "Batching",
        "Bucket",
        "FunctionSpec",
        "Image",
        "Schedule",
        "Secret",
        "Volume",
    ),
    "gpuhub._web": ("WebApp", "web"),
    "gpuhub.worker.file": ("File",),
    "gpuhub.workspace": ("Workspace",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        msg = f"module 'gpuhub' has no attribute {name!r}"
        raise AttributeError(msg)
    # Everything that is listed above and lives nowhere else is an error class.
    value = getattr(import_module(_HOME_OF.get(name, "gpuhub.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
