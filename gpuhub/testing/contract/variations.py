"""For every field of the spec: values that differ from a plain function's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuhub.scaling import Scaling
from gpuhub.spec import Batching, Bucket, Image, Schedule, Secret, Volume

__all__ = ["LOCAL_SECRET", "VARIATIONS", "Variation"]

LOCAL_SECRET = "CONTRACT_LOCAL_SECRET"  # noqa: S105 - the name of a variable
_STOCK = "docker.io/library/python:3.12-slim"
_OTHER_PYTHON = "3.12" if sys.version_info.minor != 12 else "3.13"


@dataclass(frozen=True)
class Variation:
    """One change of one field.

    Attributes:
        changed: Settings of the decorator.
        base: Settings without the change. Default: none.
        function: Which function of the project is decorated.
        base_function: Which one without the change. Default: the same.
        is_web: Whether it is an ASGI application.
    """

    changed: Mapping[str, Any]
    base: Mapping[str, Any] = field(default_factory=dict)
    function: str = "echo"
    base_function: str = ""
    is_web: bool = False


def _scaling(**limits: Any) -> Variation:
    return Variation({"scaling": Scaling(**limits)})


def _image(**facts: Any) -> Variation:
    return Variation({"image": Image(**facts)})


def _plain(name: str, *values: Any) -> list[Variation]:
    return [Variation({name: value}) for value in values]


VARIATIONS: Mapping[str, Sequence[Variation]] = {
    "name": _plain("name", "another"),
    "target": [
        Variation({"name": "same"}, {"name": "same"}, "combine", "echo"),
        Variation({"name": "same"}, {"name": "same"}, "Counter", "echo"),
        Variation({"name": "same"}, {"name": "same"}, "count_to", "echo"),
        Variation({"name": "same"}, {"name": "same"}, "later", "echo"),
    ],
    "gpu": _plain("gpu", "H100", "A100-80GB", "L4:2", ["A100-80GB", "H100"], "A100"),
    "cpu": _plain("cpu", 2.0, 4.0),
    "memory": _plain("memory", 4096, 16384),
    "disk": _plain("disk", 50, 200),
    "image.reference": [_image(reference=_STOCK)],
    "image.python": [_image(python=_OTHER_PYTHON)],
    "image.pip": [_image(pip=["tinydb==4.8.2"])],
    "image.apt": [_image(apt=["ffmpeg"])],
    "image.commands": [_image(commands=["touch /contract"])],
    "image.registry_secret": [
        Variation(
            {"image": Image(_STOCK, registry_secret="contract-registry")},  # noqa: S106 - its name
            {"image": Image(_STOCK)},
        )
    ],
    "scaling.mode": [_scaling(mode="active")],
    "scaling.min_workers": [_scaling(min_workers=2)],
    "scaling.max_workers": [_scaling(max_workers=2), _scaling(max_workers=4)],
    "scaling.buffer_workers": [_scaling(buffer_workers=2)],
    "scaling.idle_timeout": [_scaling(idle_timeout=120), _scaling(idle_timeout=300)],
    "scaling.concurrency": [_scaling(concurrency=4)],
    "scaling.target_in_flight": [
        Variation(
            {"scaling": Scaling(concurrency=4, target_in_flight=2)},
            {"scaling": Scaling(concurrency=4)},
        )
    ],
    "scaling.scale_up_delay": [_scaling(scale_up_delay=7)],
    "scaling.scale_window": [_scaling(scale_window=90)],
    "timeout": _plain("timeout", 120, 600),
    "startup_timeout": _plain("startup_timeout", 420),
    "retries": _plain("retries", 2),
    "idempotent": _plain("idempotent", True),
    "batching": _plain("batching", Batching(max_size=6, wait=0.25)),
    "env": _plain("env", {"CONTRACT_PLACE": "a value = with 'marks' {{x}} ${y}"}),
    "secrets": [
        *_plain("secrets", "CONTRACT_TOKEN"),
        *_plain("secrets", Secret("contract-token", env="CONTRACT_TOKEN")),
        *_plain("secrets", Secret.from_local_env(LOCAL_SECRET)),
    ],
    "volumes": [
        *_plain("volumes", {"/contract/models": Volume("contract-models")}),
        *_plain("volumes", {"/contract/data": Bucket("s3://contract-data/part")}),
    ],
    "schedule": _plain("schedule", Schedule(cron="7 6 * * 1"), Schedule(every=3600)),
    "regions": _plain("regions", "us-east", "EU"),
    "cloud": _plain("cloud", "aws", "secure"),
    "snapshot": _plain("snapshot", "cpu", "gpu"),
    "min_cuda": [Variation({"gpu": "H100", "min_cuda": "12.4"}, {"gpu": "H100"})],
    "public": [Variation({"public": True}, function="site", is_web=True)],
    "options": _plain("options", {"another-provider": {"key": "value"}}),
}
