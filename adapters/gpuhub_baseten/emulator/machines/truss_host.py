"""Starts Truss's inference server without Docker; a script for an interpreter that has ``truss``.

Usage: ``truss_host.py FOLDER MOUNTS``: ``FOLDER/truss`` is what was pushed, ``FOLDER/rootfs``
becomes what its image would hold, ``MOUNTS`` has the folders ``secrets`` and ``config`` that
Baseten mounts. Truss's own code builds and serves; it only listens on loopback here.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import runpy
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def build(folder: Path) -> Path:
    """Make what the image of a pushed Truss would hold, once; give it."""
    root = folder / "rootfs"
    with (folder / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several replicas may start together
        if not root.exists():
            half = folder / "rootfs.half"
            shutil.rmtree(half, ignore_errors=True)
            _build(folder / "truss", folder / "context", half)
            half.rename(root)
    return root


def _build(truss: Path, context: Path, root: Path) -> None:
    config = importlib.import_module("truss.base.truss_config").TrussConfig
    builder: Any = importlib.import_module("truss.contexts.image_builder.serving_image_builder")
    docker: Any = importlib.import_module("truss.contexts.local_loader.docker_build_emulator")
    config.from_yaml(truss / "config.yaml").validate_forbid_extra()
    context.mkdir(exist_ok=True)
    builder.ServingImageBuilderContext.run(truss).prepare_image_build_dir(context)
    root.mkdir()
    docker.DockerBuildEmulator(context / "Dockerfile", context).run(root)
    (root / "packages").mkdir(exist_ok=True)


def mount(mounts: Path) -> None:
    """Let the server look for what Baseten mounts here."""
    secrets: Any = importlib.import_module("_truss_shared.secrets_resolver")
    dynamic: Any = importlib.import_module("_truss_shared.dynamic_config_resolver")
    secrets.SecretsResolver.SECRETS_MOUNT_DIR = str(mounts / "secrets")
    dynamic.DYNAMIC_CONFIG_MOUNT_DIR = str(mounts / "config")


def stay_on_loopback() -> None:
    """Listen on this machine only: the server asks for every interface."""
    uvicorn: Any = importlib.import_module("uvicorn")
    original = uvicorn.Config.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**kwargs, "host": "127.0.0.1"})

    uvicorn.Config.__init__ = init


def watch_parent() -> None:
    """End with whoever started this, however that ended: nobody else would stop it."""
    parent, pause = os.getppid(), threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(0.5)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Build if need be, then serve until killed."""
    del sys.path[0]  # the folder of this script: names in it are not the packages'
    watch_parent()
    folder, mounts = Path(sys.argv[1]), Path(sys.argv[2])
    root = build(folder)
    os.chdir(root / "app")
    sys.path.insert(0, str(root / "app"))
    importlib.invalidate_caches()
    stay_on_loopback()
    mount(mounts)
    sys.argv = ["main.py"]
    runpy.run_path("main.py", run_name="__main__")


if __name__ == "__main__":
    main()
