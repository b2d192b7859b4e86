"""The other way of shipping: Cog's own CLI, which builds with Docker and pushes.

Keys of ``cog.yaml`` are those of Cog's documentation, read 2026-11-20; it is JSON here, which is
YAML. The CLI is not on any package index: where it or Docker is missing, the deploy says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import DeployFailed
from gpuhub_replicate.image import COG

if TYPE_CHECKING:
    from gpuhub_replicate.image import Contents

__all__ = ["cog_config", "cog_push", "write_project"]

_TAIL_LINES = 30
_SECONDS = 3600


def cog_config(contents: Contents) -> dict[str, Any]:
    """Give the content of ``cog.yaml``, without the variables."""
    spec = contents.spec
    image = spec.image
    config: dict[str, Any] = {
        "build": {
            "gpu": bool(spec.gpu_choices),
            "python_version": image.python,
            "python_packages": list(image.pip),
            "system_packages": list(image.apt),
            "run": list(image.commands),
            "sdk_version": COG,
        },
        "run": f"run.py:{contents.runner}",
    }
    if spec.scaling.concurrency > 1:
        config["concurrency"] = {"max": spec.scaling.concurrency}
    return config


def cog_push(contents: Contents, env: Mapping[str, str], target: str) -> None:
    """Build and push. Blocks.

    Args:
        contents: What is in the image.
        env: Its variables.
        target: ``registry/owner/name``.

    Raises:
        DeployFailed: The CLI is missing or failed; with the end of what it said.
    """
    program = shutil.which("cog")
    if program is None or shutil.which("docker") is None:
        missing = "cog" if program is None else "docker"
        raise DeployFailed(
            f'the mode "cog" needs Cog\'s CLI and Docker: {missing} is not on the path',
            provider="replicate",
            log_tail=(f"{missing}: not found",),
            next_step='install it, or use the mode "push", which needs neither',
        )
    with tempfile.TemporaryDirectory(prefix="gpuhub-cog-") as folder:
        write_project(contents, env, Path(folder))
        try:
            done = subprocess.run(  # noqa: S603 - the user asked for Cog's CLI
                [program, "push", target],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeployFailed(
                f"cog push did not end within {_SECONDS} s",
                provider="replicate",
                next_step="look at Docker, and try again",
            ) from None
    if done.returncode != 0:
        raise DeployFailed(
            f"cog push failed with exit code {done.returncode}",
            provider="replicate",
            log_tail=tuple(done.stdout.strip().splitlines()[-_TAIL_LINES:]),
            next_step="read Cog's words below; `cog login` if it is about access",
        )


def write_project(contents: Contents, env: Mapping[str, str], folder: Path) -> None:
    """Write the project that Cog builds. It makes the schema itself, from ``run.py``. Blocks.

    Args:
        contents: What is in the image.
        env: Its variables.
        folder: Existing folder.
    """
    for path, content in contents.files().items():
        if path.startswith(".cog/"):
            continue
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    told = {name: value for name, value in env.items() if not name.startswith("COG_")}
    told.pop("PYTHONPATH", None)
    config = cog_config(contents)
    config["environment"] = [f"{name}={value}" for name, value in sorted(told.items())]
    (folder / "cog.yaml").write_text(json.dumps(config, indent=1), "utf-8")
