"""Replicas that run Truss's own inference server, copied out of its package; no Docker."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from gpuhub.testing.emulator.containers import VendorPythonMissing, vendor_python
from gpuhub.testing.emulator.processes import free_port
from gpuhub_baseten.emulator.machines.kinds import Order
from gpuhub_baseten.emulator.machines.process import ProcessMachine

__all__ = ["TrussMissing", "truss_machine", "truss_python"]

_HOST = Path(__file__).with_name("truss_host.py")


class TrussMissing(VendorPythonMissing):
    """There is no Python with Truss and all that its server imports."""


def truss_python(configured: str = "") -> Path:
    """Give an interpreter that has ``truss`` and what its server imports.

    Args:
        configured: Its path. Empty: that of ``BASETEN_WORKER_PYTHON``, else of ``.venv-baseten`` in
            this folder or one above it.

    Raises:
        TrussMissing: There is none; says how to make one.
    """
    return vendor_python("baseten", "truss and fastapi", configured, TrussMissing, _is_fit)


def _is_fit(python: Path) -> bool:
    """Whether it is there with the packages beside it; looking is quicker than asking."""
    places = [*python.parent.parent.glob("lib/python3*/site-packages")]
    return python.is_file() and all(
        any((place / name).is_dir() for place in places)
        for name in ("truss", "fastapi", "prometheus_client", "msgpack")
    )


def truss_machine(order: Order, python: Path) -> ProcessMachine:
    """Make a replica that runs the real server.

    Its image is built by Truss's own code the first time a replica of it starts.

    Args:
        order: What to run.
        python: Interpreter.
    """
    port = free_port()
    root = order.image
    mounts = root / f"mounts-{port}"
    _write(mounts / "secrets", order.secrets)
    environment = {"name": order.environment} if order.environment else None
    _write(
        mounts / "config",
        {"environment": json.dumps(environment)} if environment is not None else {},
    )
    env = {
        **order.env,
        "INFERENCE_SERVER_PORT": str(port),
        "OTEL_SDK_DISABLED": "true",
        "PYTHONPATH": f"{root}/rootfs/app{os.pathsep}{root}/rootfs/packages",
        "PYTHONUNBUFFERED": "1",
    }
    command = [str(python), str(_HOST), str(root), str(mounts)]
    return ProcessMachine(command, env, root, order.log, port, order.exited)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
