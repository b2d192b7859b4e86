"""What is in a pushed image: layers, variables, labels, schema. Pure.

What Replicate's registry and Cog's server read of an image: the labels that Cog's CLI sets and
``COG_PREDICT_TYPE_STUB`` (source of Cog 0.23, read 2026-11-20).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError
from gpuhub_replicate.schema import own_schema

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec

__all__ = [
    "CODE_FOLDER",
    "COG",
    "COG_FOLDER",
    "COMMAND",
    "PACKAGES_FOLDER",
    "PORT",
    "Contents",
    "check_python",
    "check_user_env",
]

COG = "0.23.1"
"""Version of Cog that images get; its server is in the package ``coglet`` of the same version."""
CODE_FOLDER = "src"
COG_FOLDER = "opt/gpuhub/cog"
PACKAGES_FOLDER = "opt/gpuhub/packages"
COMMAND = ("python", "-m", "cog.server.http")
PORT = "5000/tcp"

_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Versions that Cog's base images exist for."""
_RESERVED = ("PYTHONPATH", "PORT", "GPUHUB_TIMEOUT")
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Contents:
    """What becomes of one function.

    Attributes:
        spec: The function.
        bundle: Its code.
        has_cog_layer: Whether Cog is in a layer of its own.
    """

    spec: FunctionSpec
    bundle: Bundle
    has_cog_layer: bool

    @property
    def runner(self) -> str:
        """The class in ``run.py`` (here: ``entry.py``) that runs the function."""
        target, streams = self.spec.target, self.streams
        beside = target.is_async or self.spec.scaling.concurrency > 1
        return f"{'Async' if beside else ''}{'Stream' if streams else ''}Runner"

    @property
    def streams(self) -> bool:
        """Whether the function is a generator."""
        return self.spec.target.kind == "generator"

    def env(self) -> dict[str, str]:
        """Variables of the image, without those of secrets."""
        spec = self.spec
        folders = [PACKAGES_FOLDER] if spec.image.pip else []
        folders += [COG_FOLDER] if self.has_cog_layer else []
        paths = {"PYTHONPATH": ":".join(f"/{folder}" for folder in folders)} if folders else {}
        return {
            **spec.env,
            **paths,
            "COG_PREDICT_TYPE_STUB": f"run.py:{self.runner}",
            "COG_MAX_CONCURRENCY": str(spec.scaling.concurrency),
            "GPUHUB_TIMEOUT": f"{spec.timeout:g}",
        }

    def schema(self) -> dict[str, Any]:
        """The OpenAPI document, with what another machine should know."""
        target = self.spec.target
        facts = {
            "target": f"{target.module}:{target.qualname}",
            "kind": target.kind,
            "bundle": self.bundle.digest,
            "concurrency": self.spec.scaling.concurrency,
            "timeout": self.spec.timeout,
        }
        return own_schema(streams=self.streams, facts=facts)

    def files(self) -> dict[str, bytes]:
        """Files of the code layer, below its folder."""
        schema = json.dumps(self.schema(), separators=(",", ":"), sort_keys=True)
        return {
            "run.py": (_HERE / "entry.py").read_bytes(),
            ".cog/openapi_schema.json": schema.encode(),
            **{f"bundle/{path}": content for path, content in self.bundle.files.items()},
        }

    def labels(self, model: str, base: str, base_layers: Iterable[str]) -> dict[str, str]:
        """Labels of the image.

        Args:
            model: ``owner/name``: one manifest cannot be a version of two models.
            base: Name of the base image.
            base_layers: Its layers' diff ids.
        """
        layers = list(base_layers)
        return {
            "run.cog.version": COG,
            "run.cog.config": _compact(self._config()),
            "run.cog.openapi_schema": _compact(self.schema()),
            "run.cog.pip_freeze": "\n".join([f"cog=={COG}", *self.spec.image.pip]),
            "run.cog.has_init": "true",
            "run.cog.cog-base-image-name": base,
            "run.cog.cog-base-image-last-layer-sha": layers[-1] if layers else "",
            "run.cog.cog-base-image-last-layer-idx": str(len(layers) - 1),
            "gpuhub.model": model,
        }

    def _config(self) -> dict[str, Any]:
        spec = self.spec
        build = {"gpu": bool(spec.gpu_choices), "python_version": spec.image.python}
        # Also for a class with ``run``: the registry knows the name "predict".
        config: dict[str, Any] = {"build": build, "predict": f"run.py:{self.runner}"}
        if spec.scaling.concurrency > 1:
            config["concurrency"] = {"max": spec.scaling.concurrency}
        return config


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def check_user_env(names: Iterable[str]) -> None:
    """Refuse variables that are Cog's or gpuhub's own.

    Raises:
        SpecError: Names the first.
    """
    for name in names:
        if name.startswith("COG_") or name in _RESERVED:
            raise SpecError(
                f"env, secrets: the variable {name} cannot be set: Cog's server or gpuhub's worker"
                " is told with it what to run",
                next_step="choose another name",
                provider="replicate",
            )


def check_python(spec: FunctionSpec) -> None:
    """Refuse a Python that no stock base image has.

    Raises:
        SpecError: Names those that exist.
    """
    if spec.image.reference is None and spec.image.python not in _PYTHONS:
        raise SpecError(
            f"image.python: Replicate's base images have Python {', '.join(_PYTHONS)}"
            f" (asked: {spec.image.python})",
            next_step=f"set image=gpuhub.Image(python='{_PYTHONS[-1]}'), or name an image of yours",
            provider="replicate",
        )
