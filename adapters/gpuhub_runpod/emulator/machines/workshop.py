"""Decides what kind of machine runs a worker, and makes it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.containers import (
    VendorPythonMissing,
    container_env,
    make_folders,
    vendor_python,
)
from gpuhub.testing.emulator.processes import free_port
from gpuhub_runpod.emulator.machines.execve import execve_problem
from gpuhub_runpod.emulator.machines.forked import STANDIN, ForkedMachine
from gpuhub_runpod.emulator.machines.images import Image, LoopbackImages, on_loopback
from gpuhub_runpod.emulator.machines.inline import InlineMachine, Played, Stillborn
from gpuhub_runpod.emulator.machines.process import ProcessMachine

if TYPE_CHECKING:
    from gpuhub_runpod.emulator.machines.inline import Items, Results
    from gpuhub_runpod.emulator.options import EmulatorOptions
    from gpuhub_runpod.emulator.workers import Machine, MachineOrder, Worker

__all__ = ["SdkMissing", "Workshop", "sdk_python"]

_BOOT = re.compile(r'^(?:exec )?python3?(?: -[a-zA-Z]+)* "?\$\{?(\w+)\}?"?$')


class SdkMissing(VendorPythonMissing):
    """There is no Python with the ``runpod`` package for real workers."""


class Workshop:
    """Makes machines.

    Args:
        options: Of the emulator.
        folder: For homes, temporary files and unpacked images of the workers.
        results: Takes results of played images.
        items: Takes items of played images.

    Attributes:
        played: Python functions that stand for images, by reference.
    """

    def __init__(
        self, options: EmulatorOptions, folder: Path, results: Results, items: Items
    ) -> None:
        self._options = options
        self._folder = folder
        self._results = results
        self._items = items
        self.images = LoopbackImages(folder / "images")
        self.played: dict[str, Played] = {}
        self.default = Played(lambda job: job.get("input"))

    def open(self) -> None:
        """Make the folders; whoever made this removes them."""
        make_folders(self._folder, "home", "tmp")

    def make(self, worker: Worker, order: MachineOrder, *, is_web: bool) -> Machine:
        """Make the machine of a worker.

        An image that a test plays is played. Else ``args`` are run, or what the image itself
        starts when its registry is on this machine. What remains answers its own input.
        """
        if (played := self.played.get(order.image)) is not None:
            return InlineMachine(played, self._results, self._items)
        try:
            image = self.images.pull(order.image) if on_loopback(order.image) else None
        except (OSError, KeyError) as error:
            return Stillborn(order.log.say, order.exited, f"pull image {order.image}: {error}")
        command = shlex.split(order.args) or list(image.command if image else ())
        if not command:
            return InlineMachine(self.default, self._results, self._items)
        if problem := execve_problem(command, order.env):
            return Stillborn(order.log.say, order.exited, problem)
        return self._process(worker, order, command, image, is_web=is_web)

    def _process(
        self,
        worker: Worker,
        order: MachineOrder,
        command: list[str],
        image: Image | None,
        *,
        is_web: bool,
    ) -> Machine:
        env = self._machine_env() | (dict(image.env) if image else {}) | order.env
        env["PATH"] = self._machine_env()["PATH"]
        if image is not None:
            env = {name: image.here(value) for name, value in env.items()}
            command = [image.here(part) for part in command]
        if is_web:
            worker.port = free_port()
            env |= {"PORT": str(worker.port), "PORT_HEALTH": str(free_port())}
            worker.health_port = int(env["PORT_HEALTH"])
        script = _boot_script(command, env) if self._options.workers == "stub" else None
        if script is not None:
            return ForkedMachine(order, script, env, self._folder)
        if self._options.workers == "stub":
            env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(STANDIN), env.get("PYTHONPATH"))))
        return ProcessMachine(order, command, env, self._folder)

    def _machine_env(self) -> dict[str, str]:
        """What a container has by itself."""
        is_stub = self._options.workers == "stub"
        python = Path(sys.executable) if is_stub else sdk_python(self._options.sdk_python)
        return container_env(self._folder, python)


def sdk_python(configured: str = "") -> Path:
    """Give an interpreter that has the ``runpod`` package.

    Args:
        configured: Its path. Empty: that of ``RUNPOD_WORKER_PYTHON``, else of ``.venv-runpod`` in
            this folder or one above it.

    Raises:
        SdkMissing: There is none; says how to make one.
    """
    return vendor_python("runpod", "the runpod package", configured, SdkMissing)


def _boot_script(command: list[str], env: Mapping[str, Any]) -> str | None:
    """Give the text that a command hands to Python's ``-c`` from a variable, if that is all."""
    if len(command) != 3 or command[:2] != ["sh", "-c"]:
        return None
    match = _BOOT.match(command[2])
    return str(env[match[1]]) if match and match[1] in env else None
